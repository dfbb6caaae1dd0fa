import NIOCore
import Testing

@testable import Networking

/// Who is believed about clients, without sockets.
struct TrustedPeersTests {
    private static func peers(_ texts: String...) -> TrustedPeers {
        var peers = TrustedPeers()
        peers.ranges = texts.map { AddressRange($0)! }
        return peers
    }

    private static func address(_ text: String) throws -> SocketAddress { try SocketAddress(ipAddress: text, port: 1) }

    @Test(
        "A network has the addresses that begin as it does",
        arguments: [
            ("10.0.0.1", "10.0.0.1", true), ("10.0.0.1", "10.0.0.2", false), ("10.1.0.0/16", "10.1.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false), ("10.0.0.0/7", "11.9.9.9", true), ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false), ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("::1", "::1", true),
        ]
    )
    func ranges(_ range: String, _ address: String, _ isIn: Bool) throws {
        #expect(try #require(AddressRange(range)).contains(try Self.address(address)) == isIn)
    }

    @Test(
        "What is no address and no network is refused",
        arguments: [
            "", "host", "10.0.0", "10.0.0.1/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/+8", "::/129", "10.0.0.1/32/1",
        ]
    )
    func noRange(_ text: String) { #expect(AddressRange(text) == nil) }

    @Test(
        "The last word of trusted proxies counts, and nobody else's",
        arguments: [
            ("10.0.0.1", "", "1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", "", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", "", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
            ("10.0.0.1", "", "10.0.0.3", "10.0.0.3"),
            ("10.0.0.1", "", "1.2.3.4:5678", "1.2.3.4"),
            ("10.0.0.1", "", "6.6.6.6, unknown", nil),
            ("10.0.0.1", "", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
            ("9.9.9.9", "", "1.2.3.4", nil),
            ("10.0.0.1", "for=1.2.3.4;proto=https", "", "1.2.3.4"),
            ("10.0.0.1", "proto=https; For=\"[2001:db8::5]:99\"", "", "2001:db8::5"),
            ("10.0.0.1", "for=6.6.6.6, for=1.2.3.4;by=10.0.0.1", "", "1.2.3.4"),
            ("10.0.0.1", "for=_hidden", "", nil),
            ("10.0.0.1", "for=1.2.3.4", "1.2.3.4", "1.2.3.4"),
            // One of them is the client's own.
            ("10.0.0.1", "for=6.6.6.6", "1.2.3.4", nil),
            ("10.0.0.1", "by=10.0.0.1", "1.2.3.4", nil),
            ("10.0.0.1", "", "", nil),
        ] as [(String, String, String, String?)]
    )
    func chain(_ peer: String, _ forwarded: String, _ forwardedFor: String, _ client: String?) throws {
        let found = Self.peers("10.0.0.0/24").client(
            behind: try Self.address(peer),
            forwarded: forwarded.isEmpty ? [] : [forwarded],
            forwardedFor: forwardedFor.isEmpty ? [] : [forwardedFor]
        )
        #expect(found?.ipAddress == client)
    }

    // MARK: The PROXY protocol

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

    private static func read(_ bytes: [UInt8]) -> ProxyProtocol.Result {
        ProxyProtocol.read(ByteBuffer(bytes: bytes).readableBytesView)
    }

    @Test(
        "A line of version 1 names the client",
        arguments: [
            ("PROXY TCP4 1.2.3.4 5.6.7.8 99 443\r\n", "1.2.3.4", 99),
            ("PROXY TCP6 2001:db8::1 ::1 65535 443\r\n", "2001:db8::1", 65535),
            ("PROXY UNKNOWN\r\n", nil, 0), ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", nil, 0),
        ] as [(String, String?, Int)]
    )
    func line(_ text: String, _ client: String?, _ port: Int) throws {
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count { #expect(Self.read(Array(bytes[..<count])) == .incomplete, "\(count)") }
        guard case .header(let address, let length) = Self.read(bytes + Array("GET ".utf8)) else {
            Issue.record("\(Self.read(bytes))")
            return
        }
        #expect(length == bytes.count && address?.ipAddress == client && (address?.port ?? 0) == port)
    }

    @Test(
        "What is no header is broken as soon as that is known",
        arguments: [
            "GET / HTTP/1.1\r\n", "PROXX", "PROXY TCP4 1.2.3.4 5.6.7.8 99\r\n", "PROXY TCP4 ::1 5.6.7.8 99 443\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 99 443\n", "PROXY TCP4 1.2.3.4 5.6.7.8 -1 443\r\n",
            "PROXY TCP9 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 host 5.6.7.8 1 2\r\n", "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY " + String(repeating: "x", count: 101),
            "PROXY TCP4 1.2.3.4 5.6.7.8 70000 443\r\n",
        ]
    )
    func brokenLine(_ text: String) {
        guard case .broken = Self.read(Array(text.utf8)) else {
            Issue.record("\(Self.read(Array(text.utf8)))")
            return
        }
    }

    @Test("Version 2 names the client, for IPv4 and IPv6, and skips further fields")
    func binary() {
        let four: [UInt8] = [0x21, 0x11, 0, 15, 1, 2, 3, 4, 5, 6, 7, 8, 0, 99, 1, 187, 4, 0, 0]
        let all = Self.signature + four
        for count in 0..<all.count { #expect(Self.read(Array(all[..<count])) == .incomplete, "\(count)") }
        #expect(
            Self.read(all + [22])
                == .header(client: try? SocketAddress(ipAddress: "1.2.3.4", port: 99), length: all.count)
        )
        let six: [UInt8] = [0x21, 0x21, 0, 36, 0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
        let long = Self.signature + six + [UInt8](repeating: 9, count: 16) + [0, 7, 0, 8]
        #expect(
            Self.read(long)
                == .header(client: try? SocketAddress(ipAddress: "2001:db8::1", port: 7), length: long.count)
        )
        // A health check, and a socket in the file system.
        #expect(Self.read(Self.signature + [0x20, 0, 0, 0]) == .header(client: nil, length: 16))
        #expect(Self.read(Self.signature + [0x21, 0x31, 0, 1, 0]) == .header(client: nil, length: 17))
    }

    @Test(
        "Broken headers of version 2 are refused",
        arguments: [
            [0x31, 0x11, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 99, 1, 187], [0x21, 0x11, 0, 4, 1, 2, 3, 4],
            [0x22, 0, 0, 0], [0x21, 0x11, 0xFF, 0xFF],
        ] as [[UInt8]]
    )
    func brokenBinary(_ bytes: [UInt8]) {
        guard case .broken = Self.read(Self.signature + bytes) else {
            Issue.record("\(Self.read(Self.signature + bytes))")
            return
        }
    }
}
