internal import Glibc

/// Files that only their owner may read.
package enum PrivateFile {
    /// Bytes of such a file.
    package static let maxBytes = 1 << 20

    /// Makes a folder that only its owner may enter, unless it is there.
    package static func makeFolder(_ path: String) throws(FileError) {
        try Folder.make(path, mode: 0o700)
    }

    /// What to do about a file that everybody on this machine may read or write; nil where that is not so.
    package static func warning(_ path: String) -> String? {
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & 0o007 != 0 else { return nil }
        return "everybody on this machine may open \(path): chmod o-rwx \(path)"
    }

    /// - Returns: nil where there is no such file.
    /// - Throws: where it cannot be read, is too large, or others may read it.
    package static func read(_ path: String) throws(FileError) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw FileError("read", path) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw FileError("read", path) }
        guard status.st_mode & 0o077 == 0 else {
            throw FileError("\(path) holds secrets and others may open it: chmod 600 \(path)")
        }
        return try PlainFile.read(descriptor, path, maxBytes)
    }
}
