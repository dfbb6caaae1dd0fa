import NIOCore
import Testing

@testable import ConnectorDaemon

struct WebAddressTests {
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

    @Test("URLs are taken apart, and what is none is refused")
    func urls() {
        let url = WebURL("http://internalhost:3333/a?b=c#d")
        #expect(url?.host == "internalhost" && url?.port == 3333 && url?.path == "/a?b=c")
        #expect(WebURL("https://example.com")?.port == 443)
        #expect(WebURL("http://example.com?x")?.path == "/?x")
        #expect(WebURL("http://[::1]:8080/")?.host == "::1")
        for text in [
            "", "ftp://x", "http://", "http:///x", "http://a@b", "http://a:0", "http://a:99999", "http://a:b",
            "http://a b/",
            "http://[::1", "http://a:1:2", "//x", "http://a\n/",
        ] {
            #expect(WebURL(text) == nil, "\(text)")
        }
    }
}
