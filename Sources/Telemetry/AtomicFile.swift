internal import Glibc

/// Files that are always the old one or the new one, never half of either.
package enum AtomicFile {
    package static func write(_ text: String, to path: String, mode: UInt32) throws {
        try write(Array(text.utf8), to: path, mode: mode)
    }

    /// Writes beside `path`, syncs, renames, and syncs the folder.
    package static func write(_ octets: [UInt8], to path: String, mode: UInt32) throws {
        let temporary = "\(path).new-\(getpid())"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw AuditError("write", path) }
        var isWritten = fchmod(descriptor, mode) == 0
        var start = 0
        while isWritten, start < octets.count {
            let count = octets.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + start, octets.count - start)
            }
            if count < 0, errno == EINTR { continue }
            isWritten = count > 0
            start += max(count, 0)
        }
        isWritten = isWritten && fsync(descriptor) == 0
        let failure = errno
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else {
            if !isWritten { errno = failure }
            let error = AuditError("write", path)
            unlink(temporary)
            throw error
        }
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let directory = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }
}
