internal import Glibc

/// Files that are always the old one or the new one, never half of either.
package enum AtomicFile {
    /// Part of the name of every file that is being written.
    package static let unfinishedMark = ".new-"

    package static func write(_ text: String, to path: String, mode: UInt32) throws {
        try write(Array(text.utf8), to: path, mode: mode)
    }

    /// Writes beside `path`, syncs, renames, and syncs the folder.
    package static func write(_ bytes: [UInt8], to path: String, mode: UInt32) throws {
        let temporary = path + unfinishedMark + String(getpid())
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileError("write", path) }
        var isWritten = fchmod(descriptor, mode) == 0
        var start = 0
        while isWritten, start < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress! + start, bytes.count - start)
            }
            if count < 0, errno == EINTR { continue }
            isWritten = count > 0
            start += max(count, 0)
        }
        isWritten = isWritten && fsync(descriptor) == 0
        let failure = errno
        close(descriptor)
        guard isWritten, unsafe rename(temporary, path) == 0 else {
            if !isWritten { errno = failure }
            let error = FileError("write", path)
            unsafe unlink(temporary)
            throw error
        }
        let directory = unsafe open(Folder.of(path), O_RDONLY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }
}
