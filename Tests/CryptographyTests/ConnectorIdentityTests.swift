import Testing

@testable import Cryptography

struct ConnectorIdentityTests {
    @Test(
        "An identity survives its way through a certificate",
        arguments: [("sub", ""), ("3b7e-1", "Loc 1"), ("a/b", "ü/%"), ("s", "..")]
    )
    func roundTrip(_ subaccount: String, _ locationID: String) {
        let identity = ConnectorIdentity(subaccount: subaccount, locationID: locationID)
        #expect(ConnectorIdentity(uri: identity.uri) == identity)
    }

    @Test(
        "Other URIs are no identity",
        arguments: [
            "", "connector://", "connector:///x", "connector://a", "connector://a/b/c", "https://a/b",
            "connector://%f/x", "connector://%ff/x",
        ]
    )
    func others(_ uri: String) { #expect(ConnectorIdentity(uri: uri) == nil) }
}
