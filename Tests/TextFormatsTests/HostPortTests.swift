import Testing

@testable import TextFormats

struct HostPortTests {
    @Test(
        "A host and a port are taken apart, with brackets where the host has colons",
        arguments: [
            ("host", "host", nil), ("host:80", "host", 80), ("[::1]", "::1", nil), ("[::1]:80", "::1", 80),
            ("10.0.0.1:65536", "10.0.0.1", 65536), ("host:0", "host", 0),
        ] as [(String, String, Int?)]
    )
    func parsed(_ text: String, _ host: String, _ port: Int?) throws {
        let parsed = try #require(HostPort.parse(text))
        #expect(parsed.host == host && parsed.port == port)
    }

    @Test(
        "What is neither a host nor a host and a port is nothing",
        arguments: [
            "", ":80", "host:", "host:x", "host:8 0", "host:+80", "host:-1", "host:1234567890", "[::1", "[::1]x",
            "[::1]:x", "a:1:2",
        ]
    )
    func refused(_ text: String) { #expect(HostPort.parse(text) == nil) }

    @Test("What was taken apart is put together as it was", arguments: ["host:80", "[::1]:80", "10.0.0.1:1"])
    func printed(_ text: String) throws {
        let parsed = try #require(HostPort.parse(text))
        #expect("\(HostPort(host: parsed.host, port: try #require(parsed.port)))" == text)
    }

    @Test("Loopback is known by its names, and by its network")
    func loopback() {
        for host in ["127.0.0.1", "::1", "localhost"] {
            #expect(HostPort(host: host, port: 1).isLoopback && HostPort(host: host, port: 1).isLocalhost)
        }
        for host in ["127.0.0.2", "127.255.255.254"] {
            #expect(HostPort(host: host, port: 1).isLoopback && !HostPort(host: host, port: 1).isLocalhost)
        }
        for host in ["127.example.com", "127.0.0.1.example.com", "127.0.0", "127..0.1", "1270.0.0.1", "127.0.0.x"] {
            #expect(!HostPort(host: host, port: 1).isLoopback, "\(host)")
        }
        for host in ["0.0.0.0", "::", "localhost.example"] {
            #expect(!HostPort(host: host, port: 1).isLoopback)
        }
    }

    @Test(
        "Host names have letters, digits, hyphens, dots and underscores, in labels of at most 63",
        arguments: [
            ("a", true), ("a-b.c_d.E9", true), (String(repeating: "a", count: 63) + ".b", true), ("", false),
            (".a", false),
            ("a..b", false), ("a b", false), ("a/b", false), ("ä", false), (String(repeating: "a", count: 64), false),
            (String(repeating: "a.", count: 127), false),
        ]
    )
    func names(_ host: String, _ isName: Bool) { #expect(HostPort.isHostName(host) == isName) }
}
