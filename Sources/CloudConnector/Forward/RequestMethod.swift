internal import TextFormats
internal import TunnelCore

/// A request method; the common ones cost no memory.
enum RequestMethod: CustomStringConvertible {
    case get, head, post, put, patch, delete, options
    case other([UInt8])

    init(_ bytes: UnsafeRawBufferPointer) {
        if unsafe Bytes.isExactly(bytes, "GET") {
            self = .get
        } else if unsafe Bytes.isExactly(bytes, "POST") {
            self = .post
        } else if unsafe Bytes.isExactly(bytes, "HEAD") {
            self = .head
        } else if unsafe Bytes.isExactly(bytes, "PUT") {
            self = .put
        } else if unsafe Bytes.isExactly(bytes, "PATCH") {
            self = .patch
        } else if unsafe Bytes.isExactly(bytes, "DELETE") {
            self = .delete
        } else if unsafe Bytes.isExactly(bytes, "OPTIONS") {
            self = .options
        } else {
            self = unsafe .other(Array(bytes))
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
        case .other(let bytes): LogText.escaped(bytes)
        }
    }
}
