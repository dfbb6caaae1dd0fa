internal import Cryptography
internal import Glibc
package import NIOCore
package import NIOPosix
package import TextFormats

/// Why an address cannot be listened on, and what to do.
package struct ListenError: Error, Sendable, CustomStringConvertible {
    /// The key in the configuration that names the address, such as `proxy.listen`; empty where none is known.
    package var setting: String
    /// As the configuration has it.
    package var address: String
    package var cause: String

    package var description: String { (setting.isEmpty ? "" : setting + " ") + "\(address): \(cause)" }

    package init(_ address: String, _ cause: String) { (setting, self.address, self.cause) = ("", address, cause) }

    package init(_ address: String, _ error: any Error) {
        self.init(address, Self.cause(error))
    }

    private static func cause(_ error: any Error) -> String {
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE: return "address already in use: stop what listens there, or choose another one"
        case EACCES: return "permission denied: ports below 1024 and foreign folders need more rights"
        case EADDRNOTAVAIL: return "this machine has no such address"
        case EAFNOSUPPORT: return "this machine does not speak this kind of address"
        case .some: return ConnectionError(error).cause
        case nil: break
        }
        if error is SocketAddressError || error is SocketAddressError.UnknownHost {
            return "the name cannot be resolved to an address of this machine"
        }
        return ConnectionError(error).cause
    }
}

extension ServerBootstrap {
    /// - Parameter setting: the key that names the address.
    package func bind(to address: HostPort, as setting: String) async throws(ListenError) -> any Channel {
        do {
            return try await bind(host: address.host, port: address.port).get()
        } catch {
            var failure = ListenError(address.description, error)
            failure.setting = setting
            throw failure
        }
    }
}
