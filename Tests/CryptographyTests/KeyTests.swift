import Testing

@testable import Cryptography

struct KeyTests {
    @Test("A key signs, and its public half verifies that and nothing else")
    func signatures() throws {
        let (key, other) = (try SigningKey(), try SigningKey())
        let message = Array("a message".utf8)
        let signature = try key.sign(message)
        #expect(SigningKey.isValid(signature, over: message, publicKeyPEM: key.publicKeyPEM))
        #expect(!SigningKey.isValid(signature, over: message + [0], publicKeyPEM: key.publicKeyPEM))
        #expect(!SigningKey.isValid(signature, over: message, publicKeyPEM: other.publicKeyPEM))
        #expect(
            !SigningKey.isValid(
                signature.dropLast() + [signature.last! ^ 1],
                over: message,
                publicKeyPEM: key.publicKeyPEM
            )
        )
        #expect(!SigningKey.isValid(signature, over: message, publicKeyPEM: "no key"))
        #expect(!SigningKey.isValid([], over: message, publicKeyPEM: key.publicKeyPEM))
    }

    @Test("A key that was written is read again")
    func roundTrip() throws {
        let key = try SigningKey()
        let again = try SigningKey(.pem(key.pem))
        #expect(again.publicKeyPEM == key.publicKeyPEM)
    }

    @Test(
        "What is not a key is refused with where it came from",
        arguments: ["", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"]
    )
    func broken(_ text: String) {
        #expect { try SigningKey(.pem(text)) } throws: { ($0 as? TLSError)?.code == .configuration }
        #expect { try SigningKey(.file("/nonexistent.key")) } throws: { "\($0)".contains("/nonexistent.key") }
    }

    @Test("SHA-256 of what everybody knows (FIPS 180-2, appendix B)")
    func digest() {
        let digest = SHA256.digest(Array("abc".utf8))
        #expect(digest.prefix(4) == [0xba, 0x78, 0x16, 0xbf] && digest.count == 32)
        #expect(SHA256.digest([UInt8]()).prefix(4) == [0xe3, 0xb0, 0xc4, 0x42])
    }

    @Test("Random bytes are as many as wanted, and differ")
    func random() throws {
        let (one, other) = (try SecureRandom.bytes(16), try SecureRandom.bytes(16))
        #expect(one.count == 16 && other.count == 16 && one != other)
        #expect(try SecureRandom.bytes(0).isEmpty)
    }

    @Test("A certificate says whose it is, how long it counts, and who made it")
    func certificates() throws {
        let issuer = try CertificateIssuer(commonName: "Test authority", days: 10)
        let identity = ConnectorIdentity(subaccount: "a b/ü", locationID: "x:y")
        let issued = try issuer.issue(.connector(identity), commonName: "connector", days: 5)
        let details = try CertificateDetails(.pem(issued.certificate))
        #expect(details.connector == identity && details.subject.contains("connector"))
        #expect(details.issuer.contains("Test authority"))
        #expect(details.notAfter - details.notBefore > 4 * 86400 && details.notAfter - details.notBefore < 6 * 86400)
        let server = try CertificateDetails(
            .pem(try issuer.issue(.server(names: ["a"]), commonName: "a", days: 1).certificate)
        )
        #expect(server.connector == nil && server.fingerprint != details.fingerprint)
    }

    @Test("All certificates of a file are read, in order")
    func chain() throws {
        let issuer = try CertificateIssuer(commonName: "Test authority", days: 10)
        let one = try issuer.issue(.server(names: ["a"]), commonName: "one", days: 1)
        let two = try issuer.issue(.server(names: ["b"]), commonName: "two", days: 1)
        let all = try CertificateDetails.all(.pem("text before\n" + one.certificate + "between\n" + two.certificate))
        #expect(all.map { $0.subject.contains("one") } == [true, false] && all.count == 2)
        #expect(try CertificateDetails.all(.pem("nothing")).isEmpty)
    }
}
