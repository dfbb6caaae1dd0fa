import AccessPolicy
import Testing

@testable import CloudConnector

struct ReverseMappingTests {
    static let first = SystemMapping(
        virtualHost: "virtual",
        virtualPort: 3333,
        internalHost: "inner.corp",
        internalPort: 8080,
        resources: []
    )
    static let secure = SystemMapping(
        virtualHost: "secure",
        virtualPort: 80,
        internalHost: "tls.corp",
        internalPort: 443,
        protocol: .https,
        resources: []
    )
    static let policy = AccessPolicy(systems: [first, second, secure, v6, v6tls])
    /// On the host of `first`, with another port.
    static let second = SystemMapping(
        virtualHost: "other",
        virtualPort: 3334,
        internalHost: "INNER.corp",
        internalPort: 8081,
        resources: []
    )
    static let v6 = SystemMapping(
        virtualHost: "v6",
        virtualPort: 8000,
        internalHost: "::1",
        internalPort: 8080,
        resources: []
    )
    static let v6tls = SystemMapping(
        virtualHost: "v6tls",
        virtualPort: 80,
        internalHost: "fd00::a",
        internalPort: 443,
        protocol: .https,
        resources: []
    )

    static func location(_ value: String, _ system: SystemMapping = first) -> String? {
        ReverseMapping.location(value, system, policy)
    }

    static func cookie(_ value: String, _ system: SystemMapping = first) -> String? {
        ReverseMapping.cookie(value, system, policy)
    }

    @Test(
        "A redirect to an internal host becomes one to its virtual host, over http",
        arguments: [
            ("http://inner.corp:8080/a?b#c", "http://virtual:3333/a?b#c"),
            ("HTTP://INNER.corp:8080", "http://virtual:3333"),
            ("https://tls.corp/x", "http://secure/x"), ("https://tls.corp:443/x", "http://secure/x"),
            ("//inner.corp:8080/a", "//virtual:3333/a"), ("http://[::1]:8080/a", "http://v6:8000/a"),
            ("http://[::1]:8080", "http://v6:8000"), ("https://[fd00::A]/x", "http://v6tls/x"),
            ("https://tls.corp:/x", "http://secure/x"), ("http://inner.corp:8080?a", "http://virtual:3333?a"),
        ]
    )
    func mapped(_ value: String, _ expected: String) {
        #expect(Self.location(value) == expected)
    }

    @Test(
        "Other redirects stay as they are",
        arguments: [
            "/relative", "http://inner.corp/", "http://elsewhere:8080/", "ftp://inner.corp:8080/",
            "http://u@inner.corp:8080/", "", "http://virtual:3333/x", "//virtual:3333/x", "///inner.corp:8080/",
            "http://[::1/", "http://[::1]:x/",
            "http://inner.corp:99999/", "//elsewhere/", "https://inner.corp:80800/",
        ]
    )
    func untouched(_ value: String) {
        #expect(Self.location(value) == nil)
    }

    @Test("An HTTPS system that answers with its virtual host gets the scheme of the cloud side")
    func scheme() {
        #expect(Self.location("https://secure:80/x", Self.secure) == "http://secure/x")
    }

    @Test("A cookie's domain that is an internal host becomes the virtual one, and nothing else changes")
    func cookies() {
        #expect(Self.cookie("id=1; Path=/; Domain=inner.corp; Secure") == "id=1; Path=/; Domain=virtual; Secure")
        #expect(Self.cookie("id=1;domain = .INNER.corp") == "id=1;domain =.virtual")
        #expect(Self.cookie("domain=inner.corp; Path=/") == nil)
        #expect(Self.cookie("id=1; Domain=corp") == nil)
    }

    @Test("Without a scheme it is the one by which the internal host was asked")
    func schemeOfRequest() {
        #expect(Self.location("//tls.corp/x", Self.secure) == "//secure/x")
        #expect(Self.location("//tls.corp/x", Self.first) == nil)
    }

    @Test("Of several systems on one internal host, the one that was called is meant")
    func ownSystem() {
        #expect(Self.cookie("a=b; Domain=inner.corp", Self.second) == "a=b; Domain=other")
        #expect(Self.cookie("a=b; Domain=inner.corp", Self.first) == "a=b; Domain=virtual")
        #expect(Self.cookie("a=b; Domain=inner.corp", Self.secure) == "a=b; Domain=virtual")
        #expect(Self.location("http://inner.corp:8081/x", Self.first) == "http://other:3334/x")
    }

    @Test(
        "A page that refreshes itself stays with the virtual host",
        arguments: [
            ("5; url=http://inner.corp:8080/next", "5; url=http://virtual:3333/next"),
            ("0;URL='http://inner.corp:8080/'", "0;URL='http://virtual:3333/'"),
            ("0; url=\"http://inner.corp:8080/a\"", "0; url=\"http://virtual:3333/a\""),
            ("5", nil), ("5; url=/next", nil), ("5; url=", nil), ("=", nil), ("url='", nil),
        ] as [(String, String?)]
    )
    func refresh(_ value: String, _ expected: String?) {
        #expect(ReverseMapping.refresh(value, Self.first, Self.policy) == expected)
    }
}
