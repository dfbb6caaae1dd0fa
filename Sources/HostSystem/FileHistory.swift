internal import Glibc

/// Earlier contents of a file, in the folder `history` beside it, named after it, with a number that counts up and the time when
/// they were replaced.
package struct FileHistory: Sendable {
    /// Versions that are kept.
    package static let limit = 10

    private let file: EditedFile
    private let name: String

    package init(_ file: EditedFile) {
        self.file = file
        name = String(file.path.split(separator: "/").last ?? "")
    }

    package var folder: String { file.folder + "/history" }

    /// Paths of the earlier contents, the latest first.
    package var versions: [String] {
        Folder.names(folder).filter { $0.hasPrefix(name + ".") }.sorted(by: >).map { "\(folder)/\($0)" }
    }

    /// Contents of one of `versions`, by its number from 1.
    package func read(_ number: Int) throws(FileError) -> [UInt8] {
        let versions = versions
        guard number >= 1, number <= versions.count else {
            throw FileError(
                versions.isEmpty
                    ? "there are no earlier versions of \(file.path)"
                    : "there is no version \(number) of \(file.path): they go from 1, the latest, to \(versions.count)"
            )
        }
        return try PlainFile.read(versions[number - 1], maxBytes: file.maxBytes)
    }

    /// Keeps what a file held, with its mode and owner.
    ///
    /// - Returns: where it is kept, for `forget`.
    package func keep(_ bytes: [UInt8]) throws(FileError) -> String {
        var status = stat()
        guard unsafe stat(file.path, &status) == 0 else { throw FileError("read", file.path) }
        var above = stat()
        guard unsafe stat(file.folder, &above) == 0 else { throw FileError("read", file.folder) }
        let isNew = unsafe access(folder, F_OK) != 0
        try Folder.make(folder, mode: above.st_mode & 0o7777)
        if isNew { unsafe _ = chown(folder, above.st_uid, above.st_gid) }
        // A number in front: a clock may be set back, and two changes may share a second.
        let last = versions.first?.dropFirst(folder.utf8.count + name.utf8.count + 2).prefix { $0 != "." }
        let number = String(1_000_001 + (last.flatMap { Int($0) } ?? 0)).dropFirst()
        let path = "\(folder)/\(name).\(number).\(WallClock.fileStamp())"
        do {
            try AtomicFile.write(bytes, to: path, mode: status.st_mode & 0o7777)
        } catch {
            throw error as? FileError ?? FileError("\(error)")
        }
        unsafe _ = chown(path, status.st_uid, status.st_gid)
        return path
    }

    /// Takes back what was kept for a change that was not made.
    package func forget(_ path: String) { unsafe _ = unlink(path) }

    /// Lets go of the oldest above the limit.
    package func trim() { for old in versions.dropFirst(Self.limit) { unsafe _ = unlink(old) } }
}
