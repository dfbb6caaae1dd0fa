import JSON
import Testing
import TextFormats

@testable import LocalForward

struct SocksClientHandshakeTests {
    private static func make(location: String = "") -> SocksClientHandshake {
        SocksClientHandshake(token: "abc", locationID: location, host: "db", port: 5432)
    }

    @Test("Token, location ID and virtual host go out one after the other, each after its answer")
    func whole() {
        var handshake = Self.make(location: "x")
        #expect(handshake.next() == nil)
        handshake.receive([5, 0x80])
        #expect(handshake.next() == .send([1, 0, 0, 0, 3] + Array("abc".utf8) + [4] + Array("eA==".utf8)))
        #expect(handshake.next() == nil)
        handshake.receive([1, 0])
        #expect(handshake.next() == .send([5, 1, 0, 3, 2] + Array("db".utf8) + [0x15, 0x38]))
        handshake.receive([5, 0, 0, 1, 0, 0, 0, 0, 0])
        #expect(handshake.next() == nil)
        handshake.receive([0] + Array("first".utf8))
        #expect(handshake.next() == .connected(rest: Array("first".utf8)))
        #expect(handshake.next() == nil)
    }

    @Test(
        "What the service says no to is a failure with its cause",
        arguments: [
            ([5, 0xff], "does not speak SOCKS5 with the authentication method 0x80"),
            ([0x48, 0x54], "is it the SOCKS5 port"), ([5, 0x80, 1, 5], "does not take the token"),
            ([5, 0x80, 1, 0, 5, 2], "not exposed, or not as TCP"), ([5, 0x80, 1, 0, 5, 3], "no Cloud Connector"),
            ([5, 0x80, 1, 0, 5, 4], "does not reach the internal host"), ([5, 0x80, 1, 0, 5, 9], "SOCKS5 reply 9"),
            ([5, 0x80, 1, 0, 4, 0], "does not speak SOCKS5"),
            ([5, 0x80, 1, 0, 5, 0, 0, 9, 9], "does not speak SOCKS5"),
        ] as [([UInt8], String)]
    )
    func failures(_ answer: [UInt8], _ cause: String) {
        var handshake = Self.make()
        var failure: SocksClientHandshake.Failure?
        for byte in answer {
            handshake.receive([byte])
            while let event = handshake.next() {
                if case .failed(let found) = event { failure = found }
            }
        }
        #expect(failure.map { "\($0)".contains(cause) } == true, "\(String(describing: failure))")
    }

    @Test(
        "An address of any kind in the reply is skipped, however the bytes are cut",
        arguments: [
            [5, 0, 0, 1, 1, 2, 3, 4, 0, 80], [5, 0, 0, 3, 2, 0x61, 0x62, 0, 80],
            [5, 0, 0, 4] + [UInt8](repeating: 7, count: 18),
        ] as [[UInt8]]
    )
    func replies(_ reply: [UInt8]) {
        for cut in 1..<reply.count {
            var handshake = Self.make()
            handshake.receive([5, 0x80, 1, 0])
            while handshake.next() != nil {}
            handshake.receive(reply[..<cut])
            #expect(handshake.next() == nil)
            handshake.receive(reply[cut...] + [42])
            #expect(handshake.next() == .connected(rest: [42]))
        }
    }
}

struct ConnectivityBindingTests {
    private static let whole: [String: JSONValue] = [
        "clientid": .string("c"), "clientsecret": .string("s"), "token_service_url": .string("https://uaa.test"),
        "onpremise_proxy_host": .string("proxy.test"), "onpremise_socks5_proxy_port": .string("20004"),
    ]

    @Test("A binding says where the entry is and who asks for tokens where")
    func whole() throws {
        let binding = try ConnectivityBinding(Self.whole)
        #expect("\(binding.proxy)" == "proxy.test:20004" && binding.clientID == "c" && binding.clientSecret == "s")
        #expect(
            binding.tokenURL.isTLS && binding.tokenURL.host == "uaa.test" && binding.tokenURL.path == "/oauth/token"
        )
        var other = Self.whole
        other["token_service_url"] = nil
        other["url"] = .string("http://uaa.test:8080/oauth/token")
        other["onpremise_socks5_proxy_port"] = .integer(1)
        let second = try ConnectivityBinding(other)
        #expect(second.tokenURL.port == 8080 && second.tokenURL.path == "/oauth/token" && second.proxy.port == 1)
    }

    @Test(
        "What is missing is named",
        arguments: [
            ("clientid", "no clientid"), ("clientsecret", "no clientsecret"),
            ("onpremise_proxy_host", "no onpremise_proxy_host"),
            ("onpremise_socks5_proxy_port", "no SOCKS5 entry"), ("token_service_url", "no url"),
        ]
    )
    func missing(_ key: String, _ cause: String) {
        var credentials = Self.whole
        credentials[key] = nil
        var message = ""
        do { _ = try ConnectivityBinding(credentials) } catch { message = "\(error)" }
        #expect(message.contains(cause), "\(message)")
    }

    @Test(
        "VCAP_SERVICES is looked through for the Connectivity service",
        arguments: ["{}", "[]", "x", "{\"connectivity\":[]}"]
    )
    func services(_ text: String) throws {
        #expect(throws: (any Error).self) { try ConnectivityBinding.find(inVCAP: text) }
        let whole =
            "{\"connectivity\":[{\"credentials\":\(String(decoding: JSONLines.encode(Self.whole), as: UTF8.self))}]}"
        #expect(try ConnectivityBinding.find(inVCAP: whole) == ConnectivityBinding(Self.whole))
    }
}
