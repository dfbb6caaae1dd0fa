import AccessPolicy
import Testing

@testable import ConnectorDaemon

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
    static let policy = AccessPolicy(systems: [first, secure])

    static func location(_ value: String, _ system: SystemMapping = first) -> String? {
        Array(value.utf8).withUnsafeBytes { ReverseMapping.location($0, system, policy) }
    }

    static func cookie(_ value: String) -> String? {
        Array(value.utf8).withUnsafeBytes { ReverseMapping.cookie($0, policy) }
    }

    @Test(
        "A redirect to an internal host becomes one to its virtual host, over http",
        arguments: [
            ("http://inner.corp:8080/a?b#c", "http://virtual:3333/a?b#c"),
            ("HTTP://INNER.corp:8080", "http://virtual:3333"),
            ("https://tls.corp/x", "http://secure/x"), ("https://tls.corp:443/x", "http://secure/x"),
        ]
    )
    func mapped(_ value: String, _ expected: String) {
        #expect(Self.location(value) == expected)
    }

    @Test(
        "Other redirects stay as they are",
        arguments: [
            "/relative", "http://inner.corp/", "http://elsewhere:8080/", "ftp://inner.corp:8080/",
            "http://u@inner.corp:8080/", "", "http://virtual:3333/x",
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
}
