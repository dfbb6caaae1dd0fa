internal import CGlibc
internal import Glibc

/// A file that people edit as well, whenever they like: what they have written meanwhile is never overwritten.
package struct EditedFile: Sendable {
    /// Where it really lies, links followed.
    package let path: String
    let maxBytes: Int

    /// - Parameter path: of the file, or of a link to it, which stays one.
    package init(_ path: String, maxBytes: Int) throws(FileError) {
        guard let real = unsafe realpath(path, nil) else { throw FileError("read", path) }
        defer { unsafe free(real) }
        self.path = unsafe String(cString: real)
        self.maxBytes = maxBytes
    }

    package var folder: String { Folder.of(path) }

    package func read() throws(FileError) -> [UInt8] { try PlainFile.read(path, maxBytes: maxBytes) }

    /// Has something done while no other process does so with a file of the same folder.
    package func exclusively<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // Where the folder cannot be locked, the exchange below still loses nothing.
        let descriptor = unsafe open(folder, O_RDONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        if descriptor >= 0 { while flock(descriptor, LOCK_EX) != 0, errno == EINTR {} }
        return try body()
    }

    /// Puts new contents in place of what was read before, in one step. Mode and owner stay.
    ///
    /// - Parameter old: what the change was made from.
    /// - Returns: false where the file has something else by now; then it stays as it is.
    package func replace(_ old: [UInt8], with new: [UInt8]) throws(FileError) -> Bool {
        guard try read() == old else { return false }
        let temporary = path + AtomicFile.unfinishedMark + String(getpid())
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw FileError("read", path) }
        do {
            try AtomicFile.write(new, to: temporary, mode: status.st_mode & 0o7777)
        } catch {
            throw error as? FileError ?? FileError("\(error)")
        }
        // A service may be forbidden to give files away, and need not where it is the owner anyway. A new owner takes special bits of
        // the mode away.
        var own = stat()
        let isOwned =
            unsafe stat(temporary, &own) == 0 && own.st_uid == status.st_uid && own.st_gid == status.st_gid
        let isPrepared =
            unsafe (isOwned || chown(temporary, status.st_uid, status.st_gid) == 0)
            && chmod(temporary, status.st_mode & 0o7777) == 0
        guard isPrepared else {
            let error = FileError("give \(path)'s owner to", temporary)
            unsafe unlink(temporary)
            throw error
        }
        defer { unsafe unlink(temporary) }
        guard exchange(temporary) else {
            // A file system that cannot: the look above was the last one.
            guard [EINVAL, ENOSYS, ENOTSUP].contains(errno), unsafe rename(temporary, path) == 0 else {
                throw FileError("write", path)
            }
            return true
        }
        // What was there until now is in the other file.
        guard (try? PlainFile.read(temporary, maxBytes: maxBytes)) != old else { return true }
        guard exchange(temporary) else { throw FileError("write", path) }
        return false
    }

    private func exchange(_ other: String) -> Bool { unsafe CGlibc_exchange(other, path) == 0 }
}
