internal import HostSystem

/// Something secret that is read and written as a whole: a file of this service, or what several share.
package protocol SecretDocument: Sendable {
    /// As messages name it.
    var name: String { get }
    /// - Returns: nil where there is none.
    func read() throws -> [UInt8]?
    /// Makes sure that it can be written, long before it is.
    func prepare() throws
    /// Writes what `body` makes of what is there now. Of all who do it at once, each sees what the one before has written.
    ///
    /// - Parameter body: nil leaves it as it is.
    func change(_ body: ([UInt8]?) throws -> [UInt8]?) throws
}

/// A file that only its owner may read. One service has it to itself.
package struct SecretFile: SecretDocument {
    private let path: String

    package init(_ path: String) { self.path = path }

    package var name: String { path }
    package func read() throws -> [UInt8]? { try PrivateFile.read(path) }

    package func prepare() throws {
        // Now it is known that there can be one.
        if try read() == nil { try AtomicFile.write([], to: path, mode: 0o600) }
    }

    package func change(_ body: ([UInt8]?) throws -> [UInt8]?) throws {
        guard let new = try body(try read()) else { return }
        try AtomicFile.write(new, to: path, mode: 0o600)
    }
}
