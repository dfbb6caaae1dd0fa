internal import CGlibc
internal import Glibc

/// A file in memory, for libraries that read a file by its name. This process alone sees it, and it goes with the process.
package final class MemoryFile: Sendable {
    private let descriptor: Int32

    /// - Parameter name: for those who look at the process from outside.
    package init(_ name: String) { descriptor = unsafe CGlibc_memfd_create(name) }

    /// Stays the same whatever is in it.
    package var path: String { "/proc/self/fd/\(descriptor)" }

    /// Another content takes the place of the old one at once, so that nobody reads half of each.
    package func replace(_ text: String) {
        let new = unsafe CGlibc_memfd_create("new")
        guard new >= 0, descriptor >= 0 else { return }
        defer { close(new) }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { unsafe write(new, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
        _ = CGlibc_dup3(new, descriptor)
    }
}
