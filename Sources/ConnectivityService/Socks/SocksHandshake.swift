internal import JSON

/// The beginning of a SOCKS5 connection with SAP's authentication method 0x80: a token and a location ID.
///
///     greeting ──05 80──▶ authentication ──01 00──▶ request ──▶ complete
///
/// Sources: RFC 1928; SAP, "Using the TCP Protocol for Cloud Applications".
package struct SocksHandshake: Sendable {
    /// Bytes of a token.
    package static let maxToken = 16384

    /// What a client asks for: a host and port behind a connector, with what proves that it may.
    package struct Request: Sendable, Equatable {
        package var host: [UInt8]
        package var port: UInt16

        package init(host: [UInt8], port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    /// Replies of RFC 1928 section 6, with the meanings that SAP's service gives them.
    package enum Reply: UInt8, Sendable {
        case success = 0
        case failure = 1
        /// No system mapping.
        case notAllowed = 2
        /// No Cloud Connector.
        case networkUnreachable = 3
        /// The connector does not reach the internal host.
        case hostUnreachable = 4
        case authenticationFailed = 5
        case commandNotSupported = 7
        case addressTypeNotSupported = 8
    }

    /// What there is to do next.
    package enum Event: Sendable, Equatable {
        /// Send these bytes, then go on.
        case send([UInt8])
        /// Check these, and call `admit`.
        case authenticate(token: [UInt8], locationID: String)
        case connect(Request)
        /// Send these bytes and close.
        case refuse([UInt8], String)
    }

    private enum State { case greeting, authentication, admission, request, done }

    private var state = State.greeting
    private var input: [UInt8] = []

    package init() {}

    /// What came after the request: the program's own bytes.
    package private(set) var rest: [UInt8] = []

    /// Takes bytes of the client; `next` says what they mean.
    package mutating func receive(_ bytes: some Sequence<UInt8>) {
        if state == .done { rest += bytes } else { input += bytes }
    }

    /// Whether what comes now is the program's own, which is to wait where it is.
    package var isDone: Bool { state == .done }

    /// The next thing to do, or nil while bytes are missing.
    package mutating func next() -> Event? {
        switch state {
        case .greeting: greeting()
        case .authentication: authentication()
        case .admission, .done: nil
        case .request: request()
        }
    }

    /// - Parameter isGood: what became of the token.
    /// - Returns: what to send. After a refusal the connection ends.
    package mutating func admit(_ isGood: Bool) -> [UInt8] {
        state = isGood ? .request : .done
        return [1, (isGood ? Reply.success : .authenticationFailed).rawValue]
    }

    /// The answer to a request (RFC 1928 section 6), with an empty address.
    package static func reply(_ reply: Reply) -> [UInt8] { [5, reply.rawValue, 0, 1, 0, 0, 0, 0, 0, 0] }

    private mutating func take(_ count: Int) -> [UInt8] {
        defer { input.removeFirst(count) }
        return Array(input.prefix(count))
    }

    private mutating func refuse(_ bytes: [UInt8], _ cause: String) -> Event {
        state = .done
        return .refuse(bytes, cause)
    }

    private mutating func greeting() -> Event? {
        guard let version = input.first else { return nil }
        guard version == 5 else { return refuse([], "not SOCKS5") }
        guard input.count >= 2, input.count >= 2 + Int(input[1]) else { return nil }
        let methods = take(2 + Int(input[1])).dropFirst(2)
        guard methods.contains(0x80) else {
            return refuse([5, 0xff], "the client does not offer the authentication method 0x80")
        }
        state = .authentication
        return .send([5, 0x80])
    }

    private mutating func authentication() -> Event? {
        guard let version = input.first else { return nil }
        guard version == 1 else {
            return refuse([1, Reply.authenticationFailed.rawValue], "unknown version of the authentication")
        }
        guard input.count >= 5 else { return nil }
        let length = input[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.maxToken else {
            return refuse([1, Reply.authenticationFailed.rawValue], "the token is longer than \(Self.maxToken) bytes")
        }
        guard input.count >= 6 + length, input.count >= 6 + length + Int(input[5 + length]) else { return nil }
        let token = Array(take(5 + length).dropFirst(5))
        let encoded = Array(take(1 + Int(input[0])).dropFirst())
        guard let text = String(validating: encoded, as: UTF8.self), let bytes = Base64.decode(text),
            let location = String(validating: bytes, as: UTF8.self)
        else { return refuse([1, Reply.authenticationFailed.rawValue], "the location ID is not Base64") }
        state = .admission
        return .authenticate(token: token, locationID: location)
    }

    private mutating func request() -> Event? {
        guard input.count >= 5 else {
            if let version = input.first, version != 5 { return refuse(Self.reply(.failure), "not SOCKS5") }
            return nil
        }
        guard input[0] == 5 else { return refuse(Self.reply(.failure), "not SOCKS5") }
        guard input[1] == 1 else { return refuse(Self.reply(.commandNotSupported), "a command other than CONNECT") }
        let host: [UInt8]
        switch input[3] {
        case 1:
            guard input.count >= 10 else { return nil }
            host = Array(take(8).dropFirst(4).map { String($0) }.joined(separator: ".").utf8)
        case 3:
            let length = Int(input[4])
            guard input.count >= 7 + length else { return nil }
            host = Array(take(5 + length).dropFirst(5))
        default:
            return refuse(Self.reply(.addressTypeNotSupported), "an address that is neither a name nor an IPv4 address")
        }
        let port = take(2)
        guard Self.isName(host) else { return refuse(Self.reply(.notAllowed), "what is asked for is not a host name") }
        state = .done
        (rest, input) = (input, [])
        return .connect(Request(host: host, port: UInt16(port[0]) << 8 | UInt16(port[1])))
    }

    /// Anything else could become another authority within `:authority`.
    private static func isName(_ host: [UInt8]) -> Bool {
        !host.isEmpty
            && host.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}
