internal import Glibc

/// Why a file or folder cannot be read, written or made.
package struct FileError: Error, Sendable, CustomStringConvertible {
    /// Of errno(3); 0 where the system has no objection, but we have.
    package var number: Int32
    package var description: String

    package init(_ description: String) { (self.number, self.description) = (0, description) }

    /// With what the system call before this left in `errno`.
    ///
    /// - Parameter action: such as "read" or "write".
    package init(_ action: String, _ path: String) {
        number = errno
        description = unsafe "cannot \(action) \(path): \(String(cString: strerror(number)))"
    }

    /// In the system's words.
    package var reason: String { unsafe String(cString: strerror(number)) }

    /// Whether there was no room, which passes.
    package var isFull: Bool { number == ENOSPC || number == EDQUOT }
}
