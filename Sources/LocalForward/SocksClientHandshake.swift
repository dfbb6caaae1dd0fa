internal import JSON

/// A program's half of SOCKS5 with SAP's authentication method 0x80: a token, a location ID, a virtual host.
///
/// Sources: RFC 1928; SAP, "Using the TCP Protocol for Cloud Applications".
struct SocksClientHandshake {
    enum Event: Equatable {
        case send([UInt8])
        /// The connection is there; what follows belongs to the program.
        case connected(rest: [UInt8])
        case failed(Failure)
    }

    enum Failure: Error, Equatable, CustomStringConvertible {
        case notSocks
        /// Of the token or location ID, with the code.
        case notAuthenticated(UInt8)
        /// Of the connection, with the code of the reply.
        case refused(UInt8)

        var description: String {
            switch self {
            case .notSocks:
                "the proxy does not speak SOCKS5 with the authentication method 0x80; is it the SOCKS5 port?"
            case .notAuthenticated: "the service does not take the token"
            case .refused(2): "the virtual host is not exposed, or not as TCP: see the system mappings"
            case .refused(3): "no Cloud Connector with this location ID is connected to the subaccount"
            case .refused(4): "the Cloud Connector does not reach the internal host"
            case .refused(let code): "the service could not open the connection (SOCKS5 reply \(code))"
            }
        }
    }

    private enum State { case greeted, authenticating, requesting, done }

    private var state = State.greeted
    private var input: [UInt8] = []
    private let authentication: [UInt8]
    private let request: [UInt8]

    static let greeting: [UInt8] = [5, 1, 0x80]

    /// - Parameters:
    ///   - host: at most 255 bytes.
    ///   - locationID: at most 190 bytes, 255 as Base64.
    init(token: String, locationID: String, host: String, port: UInt16) {
        let token = Array(token.utf8)
        let location = Array(Base64.encode(Array(locationID.utf8)).utf8).prefix(255)
        let length = (0..<4).map { UInt8(truncatingIfNeeded: token.count >> (24 - 8 * $0)) }
        authentication = [1] + length + token + [UInt8(location.count)] + location
        let name = Array(host.utf8).prefix(255)
        request = [5, 1, 0, 3, UInt8(name.count)] + name + [UInt8(port >> 8), UInt8(port & 0xff)]
    }

    mutating func receive(_ bytes: some Sequence<UInt8>) { input += bytes }

    /// What to do next, or nil while bytes are missing.
    mutating func next() -> Event? {
        switch state {
        case .greeted:
            guard let answer = take(2) else { return nil }
            guard answer == [5, 0x80] else { return fail(.notSocks) }
            state = .authenticating
            return .send(authentication)
        case .authenticating:
            guard let answer = take(2) else { return nil }
            guard answer[0] == 1 else { return fail(.notSocks) }
            guard answer[1] == 0 else { return fail(.notAuthenticated(answer[1])) }
            state = .requesting
            return .send(request)
        case .requesting:
            return reply()
        case .done:
            return nil
        }
    }

    private mutating func reply() -> Event? {
        guard input.count >= 2 else { return nil }
        guard input[0] == 5 else { return fail(.notSocks) }
        guard input[1] == 0 else { return fail(.refused(input[1])) }
        guard input.count >= 5 else { return nil }
        let address: Int
        switch input[3] {
        case 1: address = 4
        case 3: address = 1 + Int(input[4])
        case 4: address = 16
        default: return fail(.notSocks)
        }
        guard take(4 + address + 2) != nil else { return nil }
        state = .done
        return .connected(rest: input)
    }

    private mutating func take(_ count: Int) -> [UInt8]? {
        guard input.count >= count else { return nil }
        defer { input.removeFirst(count) }
        return Array(input.prefix(count))
    }

    private mutating func fail(_ failure: Failure) -> Event {
        state = .done
        return .failed(failure)
    }
}
