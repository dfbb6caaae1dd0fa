internal import Glibc

/// Folders: what is in them, and making them.
package enum Folder {
    /// Makes a folder, and those it lies in, unless it is there.
    ///
    /// - Parameter mode: of each one that is made.
    /// - Throws: what went wrong and with which folder.
    package static func make(_ path: String, mode: UInt32) throws(FileError) {
        guard unsafe mkdir(path, mode) != 0, errno != EEXIST else { return }
        let error = FileError("make", path)
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        guard error.number == ENOENT, !parent.isEmpty else { throw error }
        try make(parent, mode: mode)
        guard unsafe mkdir(path, mode) != 0, errno != EEXIST else { return }
        throw FileError("make", path)
    }

    /// In which a file lies: all of its path before the name; "." where that is all of it.
    package static func of(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Bytes of the files in it and in the folders below it, of so many at most; what cannot be looked at counts as nothing.
    package static func size(_ path: String, files: Int = 10_000) -> Int {
        var (left, total, folders) = (files, 0, [path])
        while let folder = folders.popLast() {
            for name in names(folder) where left > 0 {
                left -= 1
                var status = stat()
                let file = "\(folder)/\(name)"
                guard unsafe lstat(file, &status) == 0 else { continue }
                switch status.st_mode & S_IFMT {
                case S_IFDIR: folders.append(file)
                case S_IFREG: total += Int(status.st_size)
                default: break
                }
            }
        }
        return total
    }

    /// The names in it, without hidden ones, in no particular order; none where it cannot be read.
    package static func names(_ path: String) -> [String] {
        guard let directory = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) {
                unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }
}
