internal import Cryptography
internal import Glibc
internal import NIOCore
internal import NIOPosix

/// What a failed attempt to connect means, in words that suit whoever connects to whom: a connector to an internal host or to
/// the service, a token service's client, a command to an admin socket.
package struct ConnectionError: Error, Sendable, CustomStringConvertible {
    package var cause: String
    /// The cause without names and addresses, for those who are not to know them.
    package var publicCause: String
    /// The error token of RFC 9209 section 2.3.
    package var proxyStatus: StaticString
    /// Whether there was a connection, and TLS failed on it.
    package var isTLS = false

    package var description: String { cause }

    private init(_ cause: String, _ proxyStatus: StaticString) {
        (self.cause, self.publicCause, self.proxyStatus) = (cause, cause, proxyStatus)
    }

    /// - Parameter error: of a bootstrap, a channel, or TLS on it; any other speaks for itself.
    package init(_ error: any Error) {
        switch error {
        case let error as ConnectionError:
            self = error
        case let error as TLSError:
            self.init(error.description, error.proxyStatus)
            publicCause = error.cause
            isTLS = true
        case let error as NIOConnectionError:
            self.init(error)
        case ChannelError.connectTimeout(let limit):
            self.init("no connection within \(limit.nanoseconds / 1_000_000_000) seconds", "connection_timeout")
        case let error as IOError:
            self.init(errorNumber: error.errnoCode)
        default:
            self.init("\(error)", "destination_unavailable")
        }
    }

    /// - Parameter host: a name that nobody knows an address of.
    package init(unresolved host: String) {
        self.init("the name \(host) cannot be resolved", "dns_error")
        publicCause = "the name cannot be resolved"
    }

    private init(_ error: NIOConnectionError) {
        if error.dnsAError != nil || error.dnsAAAAError != nil, error.connectionErrors.isEmpty {
            self.init(unresolved: error.host)
        } else if let last = error.connectionErrors.last {
            self.init(last.error)
        } else {
            self.init("no address of \(error.host) could be reached", "destination_unavailable")
            publicCause = "no address could be reached"
        }
    }

    private init(errorNumber: CInt) {
        switch errorNumber {
        case ECONNREFUSED: self.init("connection refused", "connection_refused")
        case EHOSTUNREACH, ENETUNREACH: self.init("no route to the host", "destination_ip_unroutable")
        case ETIMEDOUT: self.init("connection timed out", "connection_timeout")
        case EMFILE, ENFILE: self.init("this process has no file descriptors left", "connection_limit_reached")
        default:
            self.init(unsafe String(cString: strerror(errorNumber)).lowercased(), "destination_unavailable")
        }
    }
}
