internal import Glibc

/// Folders: what is in them, and making them.
package enum Folder {
    /// Makes a folder, and those it lies in, unless it is there.
    ///
    /// - Parameter mode: of each one that is made.
    /// - Returns: nil, or what went wrong and with which folder.
    package static func make(_ path: String, mode: UInt32) -> String? {
        guard mkdir(path, mode) != 0, errno != EEXIST else { return nil }
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        guard errno == ENOENT, !parent.isEmpty else {
            return "cannot make \(path): \(String(cString: strerror(errno)))"
        }
        if let fault = make(parent, mode: mode) { return fault }
        guard mkdir(path, mode) != 0, errno != EEXIST else { return nil }
        return "cannot make \(path): \(String(cString: strerror(errno)))"
    }

    /// The names in it, without hidden ones, in no particular order; none where it cannot be read.
    package static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }
}
