internal import Glibc

/// Reads whole files of bounded size.
package enum PlainFile {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    package static func read(_ path: String, maxOctets: Int) throws(Failure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        return try read(descriptor, path, maxOctets)
    }

    static func read(_ descriptor: Int32, _ path: String, _ maxOctets: Int) throws(Failure) -> [UInt8] {
        var octets: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(path) }
            if count == 0 { return octets }
            guard octets.count + count <= maxOctets else {
                throw Failure(description: "\(path) is larger than \(maxOctets) octets")
            }
            octets += piece.prefix(count)
        }
    }

    private static func failure(_ path: String) -> Failure {
        Failure(description: "cannot read \(path): \(String(cString: strerror(errno)))")
    }
}
