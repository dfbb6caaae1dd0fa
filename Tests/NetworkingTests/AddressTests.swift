import NIOCore
import Testing

@testable import Networking

struct AddressTests {
    @Test(
        "Addresses of the inside are told from those of the Internet",
        arguments: [
            ("8.8.8.8", true), ("192.0.3.1", true), ("2001:4860:4860::8888", true), ("::ffff:8.8.8.8", true),
            ("64:ff9b::8.8.8.8", true), ("127.0.0.1", false), ("10.1.2.3", false), ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false), ("169.254.169.254", false), ("100.64.0.1", false), ("0.0.0.0", false),
            ("224.0.0.1", false), ("255.255.255.255", false), ("::1", false), ("::", false), ("fe80::1", false),
            ("fd00::1", false), ("::ffff:127.0.0.1", false), ("64:ff9b::7f00:1", false), ("2001:db8::1", false),
        ]
    )
    func global(_ text: String, _ expected: Bool) throws {
        #expect(try SocketAddress(ipAddress: text, port: 80).isGlobal == expected)
    }

    @Test("An address of IPv4 is a client, and so is a network of IPv6")
    func addresses() throws {
        func client(_ text: String) throws -> ClientAddress? {
            ClientAddress(try SocketAddress(ipAddress: text, port: 80))
        }
        #expect(try client("10.0.0.1") == client("10.0.0.1") && client("10.0.0.1") != client("10.0.0.2"))
        #expect(try client("2001:db8:0:1::1") == client("2001:db8:0:1:ffff::2"))
        #expect(try client("2001:db8:0:1::1") != client("2001:db8:0:2::1"))
        // As a socket that listens for both families accepts them.
        #expect(try client("::ffff:10.0.0.1") == client("10.0.0.1"))
        #expect(try client("::ffff:10.0.0.1") != client("::ffff:10.0.0.2"))
        #expect(ClientAddress(try SocketAddress(unixDomainSocketPath: "/tmp/x")) == nil)
    }
}

struct LocalhostTests {
    @Test("Names below localhost are this machine's", arguments: ["tenant1.localhost", "A.B.LOCALHOST"])
    func below(_ name: String) throws {
        let addresses = try AddressResolver.lookUp(name, 80)
        #expect(addresses.compactMap(\.ipAddress) == ["127.0.0.1", "::1"] && addresses.allSatisfy { $0.port == 80 })
    }

    @Test("A name that only ends like it is not")
    func other() {
        #expect(throws: (any Error).self) { try AddressResolver.lookUp("notlocalhost.invalid", 80) }
    }
}

struct SearchSuffixTests {
    private static let names: [String: Set<String>] = [
        "erp": ["10.0.0.5"], "erp.corp.example.": ["10.0.0.5"], "whole.example": ["10.0.0.6"],
        "whole.example.": ["10.0.0.6"],
        "whole.example.corp.example.": ["10.0.0.9"], "hosts-file": ["127.0.0.1"], "deep": ["10.0.0.7"],
        "deep.lab.": ["10.0.0.7"],
        "deep.corp.example.": ["10.0.0.8"],
    ]

    @Test(
        "A name that is whole only with a suffix is told from one that is whole, or stands in a file",
        arguments: [
            ("erp", "corp.example"), ("deep", "lab"), ("whole.example", nil), ("hosts-file", nil), ("none", nil),
            ("10.0.0.5", nil),
            ("::1", nil), ("erp.", nil),
        ] as [(String, String?)]
    )
    func find(_ host: String, _ expected: String?) {
        let found = SearchSuffix.find(host, suffixes: ["corp.example", "lab"]) { Self.names[$0] ?? [] }
        #expect(found == expected)
        #expect(SearchSuffix.find(host, suffixes: []) { Self.names[$0] ?? [] } == nil)
    }

    @Test("The search list is that of the last line that has one")
    func configuration() {
        let text =
            "# search no\nnameserver 10.0.0.1\ndomain old.example\nsearch corp.example. lab\toffice\noptions ndots:1\n"
        #expect(SearchSuffix.suffixes(text) == ["corp.example", "lab", "office"])
        #expect(SearchSuffix.suffixes("nameserver 10.0.0.1\n").isEmpty)
    }
}
