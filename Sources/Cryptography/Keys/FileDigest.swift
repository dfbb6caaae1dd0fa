internal import HostSystem

/// Tells whether files have changed since they were last read.
package enum FileDigest {
    /// Of the contents; a file that cannot be read counts as empty.
    package static func of(_ paths: [String]) -> [UInt8] {
        SHA256.digest(paths.flatMap { path in (try? PlainFile.read(path, maxBytes: PrivateFile.maxBytes)) ?? [] })
    }
}
