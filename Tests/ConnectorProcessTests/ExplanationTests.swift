import Testing

@testable import ConnectorProcess

struct ExplanationTests {
    static let configuration = ConnectorConfigurationReader.read(
        Array(
            (ConnectorConfigurationTests.head + """
                systems:
                  - virtual-host: internalhost:3333
                    internal-host: inner:80
                    host-in-header: internal
                    protocol: HTTP
                    resources:
                      - {path: /hello, access: path-only}
                      - {path: /off, access: path-only, active: false}
                      - {path: /ws/, access: path-and-sub-paths, upgrade-allowed: true}
                """).utf8
        ),
        file: "f.conf"
    ).0!

    static func explain(_ url: String, isUpgrade: Bool = false) -> String {
        Explanation(method: "GET", url: url, isUpgrade: isUpgrade, configuration: configuration).lines
            .joined(separator: "\n")
    }

    @Test("An allowed request shows who decides, where that stands, and what is sent")
    func allowed() {
        #expect(
            Self.explain("http://InternalHost:3333/hello?x=1") == """
                system      internalhost:3333 -> inner:80 over HTTP  (f.conf:4)
                resource    /hello (path-only)  (f.conf:9)
                decision    allowed
                sends       GET /hello?x=1 HTTP/1.1
                            Host: inner
                            X-Forwarded-Host: InternalHost:3333
                """
        )
    }

    @Test(
        "A refusal says why and what would help",
        arguments: [
            ("http://internalhst:3333/hello", "did you mean internalhost:3333?"),
            ("http://internalhost:3333/helo", "the nearest exposed path is /hello  (f.conf:9)"),
            ("http://internalhost:3333/hello/x", "/hello admits only itself"),
            ("http://internalhost:3333/off", "set active: true  (f.conf:10)"),
            ("http://internalhost:3333/hello/../x", "refused with 400: a dot segment"),
            ("https://internalhost:3333/hello", "write the URL as http://"),
            ("/hello", "write the URL as http://"),
        ]
    )
    func refused(_ url: String, _ expected: String) {
        #expect(Self.explain(url).contains(expected), "\(Self.explain(url))")
    }

    @Test("Upgrades are rehearsed too")
    func upgrades() {
        #expect(
            Self.explain("http://internalhost:3333/hello", isUpgrade: true).contains(
                "/hello admits the path, but not upgrades  (f.conf:9): set upgrade-allowed: true"
            )
        )
        let allowed = Self.explain("http://internalhost:3333/ws/x", isUpgrade: true)
        #expect(allowed.contains("decision    allowed, and WebSocket with it"))
        #expect(allowed.contains("Sec-WebSocket-Key: (a new one each time)"), "\(allowed)")
    }
}
