import Testing

@testable import AccessPolicy

struct RequestAuthorityTests {
    static func parse(_ text: String) -> Result<String, RequestTargetError> {
        let bytes = Array(text.utf8)
        return Result { () throws(RequestTargetError) in
            let authority = try RequestAuthority(bytes.span, in: 0..<bytes.count)
            return "\(String(decoding: bytes[authority.host], as: UTF8.self)) \(authority.port)"
        }
    }

    @Test(
        "A host with an optional port is read",
        arguments: [
            ("host", "host 80"), ("host:", "host 80"), ("host:1", "host 1"), ("a.b-c~d:65535", "a.b-c~d 65535"),
            ("host.", "host. 80"), ("[::1]", "[::1] 80"), ("[::1]:443", "[::1] 443"),
            ("127.0.0.1:8080", "127.0.0.1 8080"),
        ]
    )
    func valid(_ text: String, _ expected: String) {
        #expect(Self.parse(text) == .success(expected))
    }

    @Test(
        "What is no host and port is refused with its reason",
        arguments: [
            ("", RequestTargetError.emptyHost), (":80", .emptyHost), ("user@host", .userInformation),
            ("user:pw@host", .userInformation), ("a_b", .underscoreInHost), ("a b", .invalidHost),
            ("a%2eb", .invalidHost),
            ("a..b", .invalidHost), (".a", .invalidHost), ("a..", .invalidHost), ("host:0", .invalidPort),
            ("host:00080", .invalidPort), ("host:65536", .invalidPort), ("host:65616", .invalidPort),
            ("host:-80", .invalidPort),
            ("host:+80", .invalidPort), ("host:80x", .invalidPort), ("host:8 0", .invalidPort), ("[::1", .invalidHost),
            ("[]", .invalidHost),
            ("[fe80::1%25lo]", .invalidHost), ("[::1]x", .invalidHost), ("a,b", .invalidHost), ("a\\b", .invalidHost),
            (String(repeating: "a", count: 64), .hostTooLong),
            (Array(repeating: "abcdefgh", count: 32).joined(separator: "."), .hostTooLong),
        ]
    )
    func invalid(_ text: String, _ expected: RequestTargetError) {
        #expect(Self.parse(text) == .failure(expected))
    }

    @Test("Systems are the same where hosts differ in case only and ports do not differ")
    func sameSystem() throws {
        func same(_ left: String, _ right: String) throws -> Bool {
            let (a, b) = (Array(left.utf8), Array(right.utf8))
            return RequestAuthority.sameSystem(
                try RequestAuthority(a.span, in: 0..<a.count),
                in: a.span,
                try RequestAuthority(b.span, in: 0..<b.count),
                in: b.span
            )
        }
        #expect(try same("Host", "host:80"))
        #expect(try !same("host:81", "host:80"))
        #expect(try !same("host", "hosts"))
    }
}
