import NIOCore
import Testing
import TunnelCore

@testable import CloudConnector

/// A connection that is offered to an Envoy, without sockets.
struct EnvoyOfferTests {
    private static let clientHello: [UInt8] = [22, 3, 1, 0, 5]
    private static let accepted = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

    private static let settings: EnvoySettings = {
        var settings = EnvoySettings()
        (settings.node, settings.cluster, settings.tenant) = ("plant4-1", "plant4", "acme")
        return settings
    }()

    private static func waiting() throws -> EnvoyOffer {
        var offer = EnvoyOffer(settings)
        let found = try receive(&offer, accepted)
        #expect(found == .accepted)
        return offer
    }

    private static func receive(_ offer: inout EnvoyOffer, _ text: String, at seconds: Int64 = 0) throws
        -> EnvoyOffer.Found
    {
        try receive(&offer, Array(text.utf8), at: seconds)
    }

    private static func receive(_ offer: inout EnvoyOffer, _ bytes: [UInt8], at seconds: Int64 = 0) throws
        -> EnvoyOffer.Found
    {
        try bytes.withUnsafeBytes { try offer.receive($0, now: .uptimeNanoseconds(0) + .seconds(100 + seconds)) }
    }

    @Test("The offer names node, cluster and tenant, and asks for an upgrade where that is wanted")
    func head() {
        let plain = """
            GET /reverse_connections/request HTTP/1.1\r
            host: edge.example:8443\r
            x-envoy-reverse-tunnel-node-id: plant4-1\r
            x-envoy-reverse-tunnel-cluster-id: plant4\r
            x-envoy-reverse-tunnel-tenant-id: acme\r
            content-length: 0\r
            \r

            """
        #expect(Self.settings.head(for: "edge.example:8443") == plain)
        var settings = Self.settings
        settings.isUpgrade = true
        let upgrade = settings.head(for: "edge.example:8443")
        #expect(upgrade.contains("\r\nconnection: upgrade\r\nupgrade: reverse-tunnel\r\n"))
    }

    @Test("An answer in pieces is one answer, and pings in pieces are pings")
    func pieces() throws {
        var offer = EnvoyOffer(Self.settings)
        var found: [EnvoyOffer.Found] = []
        for byte in Self.accepted.utf8 { found.append(try Self.receive(&offer, [byte])) }
        #expect(found.last == .accepted && found.dropLast().allSatisfy { $0 == .nothing })
        found = try "RPINGRPING".utf8.map { try Self.receive(&offer, [$0]) }
        #expect(found.map { $0 == .pings(1) } == [false, false, false, false, true, false, false, false, false, true])
        let mixed = try Self.receive(&offer, Array("RPINGRPING".utf8) + Self.clientHello)
        let after = try Self.receive(&offer, "anything")
        #expect(mixed == .tls(at: 10, pings: 2) && after == .nothing)
    }

    @Test(
        "Whatever is not taken is refused with what to do",
        arguments: [
            (400, "identifiers"), (401, "token"), (403, "node plant4-1, cluster plant4, tenant acme"),
            (404, "tunnel.envoy.path"),
            (426, "tunnel.envoy.upgrade: true"), (429, "no more"), (500, "its log"), (101, "its log"), (204, "its log"),
        ]
    )
    func refusals(_ status: Int, _ advice: String) {
        var offer = EnvoyOffer(Self.settings)
        let error = #expect(throws: EnvoyError.self) {
            try Self.receive(&offer, "HTTP/1.1 \(status) Some\r\ncontent-length: 0\r\n\r\n")
        }
        #expect(
            error?.description.contains("answered \(status) ") == true && error?.description.contains(advice) == true
        )
    }

    @Test("An upgrade is answered with 101")
    func upgrade() throws {
        var settings = Self.settings
        settings.isUpgrade = true
        var offer = EnvoyOffer(settings)
        let found = try Self.receive(&offer, "HTTP/1.1 101 Switching Protocols\r\nupgrade: reverse-tunnel\r\n\r\n")
        #expect(found == .accepted && offer.isWaiting)
    }

    @Test(
        "What is not HTTP, or has more than a head, is no Envoy's",
        arguments: ["SSH-2.0-x\r\n\r\n", accepted + "RPING"]
    )
    func foreign(_ text: String) {
        var offer = EnvoyOffer(Self.settings)
        #expect(throws: EnvoyError.self) { try Self.receive(&offer, text) }
    }

    @Test("A head without end is refused at the limit of heads")
    func endless() {
        var offer = EnvoyOffer(Self.settings)
        #expect(throws: EnvoyError.self) {
            for _ in 0..<10_000 { _ = try Self.receive(&offer, "x-more: " + String(repeating: "a", count: 100)) }
        }
    }

    @Test("Requests in clear text are refused with the reason, and nothing else passes either")
    func clearText() throws {
        for (bytes, advice) in [
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "transport_socket"), ("GET / HTTP/1.1\r\n", "neither RPING nor TLS"),
            ("RPINPRI", "neither RPING nor TLS"), ("RPIN\u{16}", "neither RPING nor TLS"),
        ] {
            var offer = try Self.waiting()
            let error = #expect(throws: EnvoyError.self) { try Self.receive(&offer, bytes) }
            #expect(error?.description.contains(advice) == true, "\(bytes)")
        }
    }

    @Test("Pings keep no connector busy")
    func flood() throws {
        var offer = try Self.waiting()
        let many = String(repeating: "RPING", count: EnvoyOffer.pingLimit)
        let first = try Self.receive(&offer, many)
        let later = try Self.receive(&offer, many, at: 31)
        #expect(first == .pings(EnvoyOffer.pingLimit) && later == first)
        let error = #expect(throws: HTTP2Error.self) { try Self.receive(&offer, "RPING", at: 32) }
        #expect(error?.code == .flood)
    }

    @Test(
        "Identifiers are ASCII without spaces and colons",
        arguments: [("plant4", true), ("", false), ("a:b", false), ("a b", false), ("ä", false), ("a\r\nb", false)]
    )
    func identifiers(_ text: String, _ isOne: Bool) {
        #expect(EnvoySettings.isIdentifier(text) == isOne)
        #expect(!EnvoySettings.isIdentifier(String(repeating: "a", count: EnvoySettings.identifierLimit + 1)))
    }
}
