/// What bytes from outside go through, each with its input and nothing else: no sockets, no clock, no files.
package enum FuzzTarget: String, CaseIterable, Sendable {
    case http1Request = "http1-request"
    case http1Response = "http1-response"
    case chunks
    case http2Service = "http2-service"
    case http2Connector = "http2-connector"
    case controlMessages = "control-messages"
    case tokens
    case configuration
    case properties
    case openAPI = "openapi"
    case socks
    case requestTarget = "request-target"

    /// Must return, in little time, whatever the input is; what goes wrong is an error within, or a trap that ends the
    /// process.
    package func run(_ input: UnsafeRawBufferPointer) {
        switch self {
        case .http1Request: HTTP1Fuzz.request(input)
        case .http1Response: HTTP1Fuzz.response(input)
        case .chunks: HTTP1Fuzz.chunks(input)
        case .http2Service: HTTP2Fuzz.service(input)
        case .http2Connector: HTTP2Fuzz.connector(input)
        case .controlMessages: ControlFuzz.messages(input)
        case .tokens: TokenFuzz.verify(input)
        case .configuration: ConfigurationFuzz.read(input)
        case .properties: DestinationFuzz.read(input)
        case .openAPI: OpenAPIFuzz.run(input)
        case .socks: SocksFuzz.handshake(input)
        case .requestTarget: TargetFuzz.decide(input)
        }
    }
}

/// The first bytes of an input steer, the rest is what a peer sends.
struct FuzzInput {
    private(set) var rest: UnsafeRawBufferPointer

    init(_ input: UnsafeRawBufferPointer) { rest = input }

    mutating func byte() -> UInt8 {
        guard let first = rest.first else { return 0 }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        return first
    }

    /// The next piece, of 1 to 256 bytes; nil at the end.
    mutating func piece() -> UnsafeRawBufferPointer? {
        guard rest.count > 1 else { return nil }
        let length = min(Int(byte()) + 1, rest.count)
        defer { rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(length)) }
        return UnsafeRawBufferPointer(rebasing: rest.prefix(length))
    }
}
