internal import Glibc

/// Reads whole files of bounded size.
package enum PlainFile {
    /// Whether there is anything with this name, be it a file or not.
    package static func isThere(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat(path, &status) == 0
    }

    /// Removes a file, if it is there.
    package static func remove(_ path: String) throws(FileError) {
        guard unsafe unlink(path) != 0, errno != ENOENT else { return }
        throw FileError("remove", path)
    }

    /// The bytes of a file that others may read as well.
    package static func read(_ path: String, maxBytes: Int) throws(FileError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError("read", path) }
        defer { close(descriptor) }
        return try read(descriptor, path, maxBytes)
    }

    static func read(_ descriptor: Int32, _ path: String, _ maxBytes: Int) throws(FileError) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError("read", path) }
            if count == 0 { return bytes }
            guard bytes.count + count <= maxBytes else {
                throw FileError("\(path) is larger than \(maxBytes) bytes")
            }
            bytes += piece.prefix(count)
        }
    }
}
