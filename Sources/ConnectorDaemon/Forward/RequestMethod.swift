internal import TunnelCore

/// A request method; the common ones cost no memory.
enum RequestMethod: Equatable, CustomStringConvertible {
    case get, head, post, put, patch, delete, options
    case other([UInt8])

    init(_ octets: UnsafeRawBufferPointer) {
        self = Self.common.first { octets.elementsEqual($0.name) }?.method ?? .other(Array(octets))
    }

    private static let common: [(name: [UInt8], method: RequestMethod)] = [
        (Array("GET".utf8), .get), (Array("POST".utf8), .post), (Array("HEAD".utf8), .head),
        (Array("PUT".utf8), .put), (Array("PATCH".utf8), .patch), (Array("DELETE".utf8), .delete),
        (Array("OPTIONS".utf8), .options),
    ]

    /// RFC 9110 section 9.2.2, of those known here.
    var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options: true
        case .post, .patch, .other: false
        }
    }

    var description: String {
        switch self {
        case .other(let octets): LogText.escaped(octets)
        default: Self.common.first { $0.method == self }.map { String(decoding: $0.name, as: UTF8.self) } ?? ""
        }
    }
}
