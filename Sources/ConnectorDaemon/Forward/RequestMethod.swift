internal import TunnelCore

/// A request method; the common ones cost no memory.
enum RequestMethod: CustomStringConvertible {
    case get, head, post, put, patch, delete, options
    case other([UInt8])

    init(_ octets: UnsafeRawBufferPointer) {
        if Octets.isExactly(octets, "GET") {
            self = .get
        } else if Octets.isExactly(octets, "POST") {
            self = .post
        } else if Octets.isExactly(octets, "HEAD") {
            self = .head
        } else if Octets.isExactly(octets, "PUT") {
            self = .put
        } else if Octets.isExactly(octets, "PATCH") {
            self = .patch
        } else if Octets.isExactly(octets, "DELETE") {
            self = .delete
        } else if Octets.isExactly(octets, "OPTIONS") {
            self = .options
        } else {
            self = .other(Array(octets))
        }
    }

    /// RFC 9110 section 9.2.2, of those known here.
    var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options: true
        case .post, .patch, .other: false
        }
    }

    var description: String {
        switch self {
        case .get: "GET"
        case .post: "POST"
        case .head: "HEAD"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .other(let octets): LogText.escaped(octets)
        }
    }
}
