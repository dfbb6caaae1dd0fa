import AccessPolicy
import Cryptography
import NIOCore
import Testing
import TextFormats
import TunnelCore

@testable import CloudConnector

/// A request as the internal host gets it.
struct RequestHeadTests {
    private static func system(
        _ host: SystemMapping.HostInHeader,
        _ forwarded: SystemMapping.ForwardedHeaders
    ) -> SystemMapping {
        SystemMapping(
            virtualHost: "virtual.example",
            virtualPort: 80,
            internalHost: "inner.example",
            internalPort: 8080,
            protocol: .http,
            hostInHeader: host,
            forwardedHeaders: forwarded,
            resources: [Resource(path: "/", access: .pathAndSubPaths)]
        )
    }

    /// - Returns: the lines of the head.
    private static func head(
        _ fields: [(StaticString, String)],
        host: SystemMapping.HostInHeader = .virtual,
        forwarded: SystemMapping.ForwardedHeaders = .drop,
        path: String = "/a?b",
        isEnd: Bool = true
    ) throws -> [String] {
        let block = FieldBlock(capacity: 4096, fields: 32)
        block.append(":method", "POST")
        block.append(":authority", "virtual.example")
        for (name, value) in fields {
            var value = value
            let known = KnownField.identify(name.bytes).field
            value.withUTF8 { block.append(name, UnsafeRawBufferPointer($0), known: known) }
        }
        let policy = AccessPolicy(systems: [system(host, forwarded)])
        let decision = ForwardingDecision.make(
            policy,
            authority: "virtual.example",
            path: path,
            isOptions: true,
            isUpgrade: false
        )
        guard case .permitted(let permit) = decision else { throw TLSError(.configuration, "not permitted") }
        var output = OutputBuffer()
        RequestHead.write(block, RequestSummary(block), permit, isEnd: isEnd, to: &output)
        let text = output.take().map { String(buffer: $0) } ?? ""
        #expect(text.hasSuffix("\r\n\r\n"))
        return text.split(separator: "\r\n").map(String.init)
    }

    @Test(
        "The target is the one that was decided on, byte for byte",
        arguments: ["/a?b", "/", "/a;b=c?d=%20", "/%C3%BC?x"]
    )
    func target(_ path: String) throws {
        #expect(try Self.head([], path: path)[0] == "POST \(path) HTTP/1.1")
    }

    @Test("The virtual host stays, or the internal one takes its place and the virtual one goes beside it")
    func host() throws {
        #expect(try Self.head([])[1] == "Host: virtual.example")
        let inner = try Self.head([], host: .internal)
        #expect(inner[1] == "Host: inner.example:8080" && inner[2] == "X-Forwarded-Host: virtual.example")
    }

    @Test("A body of unknown length is chunked, one with a length is not, and none says nothing")
    func framing() throws {
        #expect(try Self.head([], isEnd: false).contains("Transfer-Encoding: chunked"))
        let length = try Self.head([("content-length", "5")], isEnd: false)
        #expect(length.contains("Content-Length: 5") && !length.contains("Transfer-Encoding: chunked"))
        #expect(try !Self.head([], isEnd: true).contains("Transfer-Encoding: chunked"))
    }

    @Test("What is the client's own passes")
    func passed() throws {
        let lines = try Self.head([
            ("accept", "text/html"), ("authorization", "Basic x"), ("cookie", "a=b"), ("x-own", "1"),
        ])
        for line in ["Accept: text/html", "Authorization: Basic x", "Cookie: a=b", "X-Own: 1"] {
            #expect(lines.contains(line), "\(line)")
        }
    }

    @Test(
        "What is between hops, ours, or could talk a server past the policy, does not",
        arguments: [
            "connection", "keep-alive", "te", "upgrade", "transfer-encoding", "proxy-authorization",
            "sap-connectivity-scc-location_id", "sap-connectivity-authentication", "sap-connectivity-pin",
            "x-original-url",
            "x-rewrite-url", "x-forwarded-host", "ssl_client_cert",
        ] as [StaticString]
    )
    func dropped(_ name: StaticString) throws {
        let lines = try Self.head([(name, "evil")])
        #expect(!lines.contains { $0.contains("evil") }, "\(lines)")
    }

    @Test("Cookies that HTTP/2 has split are one line again, where the first one stood")
    func cookies() throws {
        let lines = try Self.head([("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"), ("cookie", "c=3")])
        #expect(lines.filter { $0.hasPrefix("Cookie") } == ["Cookie: a=1; b=2; c=3"])
        #expect(lines.firstIndex(of: "Cookie: a=1; b=2; c=3")! < lines.firstIndex(of: "Accept: */*")!)
    }

    @Test(
        "Names have the capitals that old servers look for",
        arguments: [
            ("content-type", "Content-Type"), ("soapaction", "SOAPAction"), ("content-md5", "Content-MD5"),
            ("mime-version", "MIME-Version"), ("x-csrf-token", "X-CSRF-Token"), ("dnt", "DNT"), ("x", "X"),
            ("accept-language", "Accept-Language"), ("x--y", "X--Y"), ("1st-name", "1st-Name"),
            ("sap_client", "Sap_client"),
        ] as [(StaticString, String)]
    )
    func capitals(_ name: StaticString, _ expected: String) throws {
        #expect(try Self.head([(name, "v")]).last == "\(expected): v")
    }

    @Test(
        "What proxies before the program say passes where the mapping says so",
        arguments: [
            ("x-forwarded-for", "X-Forwarded-For"), ("x-forwarded-proto", "X-Forwarded-Proto"),
            ("x-forwarded-path", "X-Forwarded-Path"), ("x-forwarded-port", "X-Forwarded-Port"),
            ("x-forwarded-host", "X-Forwarded-Host"), ("forwarded", "Forwarded"),
        ] as [(StaticString, String)]
    )
    func forwarded(_ name: StaticString, _ expected: String) throws {
        #expect(try Self.head([(name, "v")], forwarded: .pass).contains("\(expected): v"))
        #expect(
            try !Self.head([(name, "v")], forwarded: .drop).contains { $0.contains(": v") && !$0.hasPrefix("Host") }
        )
    }

    @Test("The host before the internal one is ours to say")
    func forwardedHost() throws {
        let lines = try Self.head([("x-forwarded-host", "evil")], host: .internal, forwarded: .pass)
        #expect(lines.filter { $0.hasPrefix("X-Forwarded-Host") } == ["X-Forwarded-Host: virtual.example"])
    }

    @Test("OPTIONS for the whole server is sent with an asterisk")
    func asterisk() throws {
        #expect(try Self.head([], path: "*")[0] == "POST * HTTP/1.1")
    }
}
