internal import Glibc

/// Something wrong with a file that holds secrets.
package struct PrivateFileError: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// Files that only their owner may read.
package enum PrivateFile {
    /// Octets of such a file.
    package static let maxOctets = 1 << 20

    /// Makes a folder that only its owner may enter, unless it is there.
    package static func makeFolder(_ path: String) throws(PrivateFileError) {
        if let fault = Folder.make(path, mode: 0o700) { throw PrivateFileError(fault) }
    }

    /// - Returns: nil where there is no such file.
    /// - Throws: where it cannot be read, is too large, or others may read it.
    package static func read(_ path: String) throws(PrivateFileError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path) }
        guard status.st_mode & 0o077 == 0 else {
            throw PrivateFileError("\(path) holds secrets and others may open it: chmod 600 \(path)")
        }
        do {
            return try PlainFile.read(descriptor, path, maxOctets)
        } catch {
            throw PrivateFileError(error.description)
        }
    }

    private static func failure(_ path: String) -> PrivateFileError {
        PrivateFileError("cannot read \(path): \(String(cString: strerror(errno)))")
    }
}
