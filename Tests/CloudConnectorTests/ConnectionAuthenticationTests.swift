import Testing

@testable import CloudConnector

struct ConnectionAuthenticationTests {
    @Test(
        "NTLM and Negotiate bind a connection, other schemes do not",
        arguments: [
            ("NTLM", true), ("ntlm TlRM", true), ("Negotiate abc", true), ("Basic eDp5", false), ("NTLMX y", false),
            ("", false),
        ]
    )
    func schemes(_ value: String, _ expected: Bool) {
        #expect(Array(value.utf8).withUnsafeBytes { ConnectionAuthentication.isUsed($0) } == expected)
    }
}
