import ConnectivityService
import ControlProtocol
import Cryptography
import Foundation
import Telemetry
import Testing

@testable import CloudServices

/// The small authority in its folder: tokens that work once, certificates, revocations.
struct EnrolmentAuthorityTests {
    private static let identity = ConnectorIdentity(subaccount: "a", locationID: "x")
    private let folder = FileManager.default.temporaryDirectory.appending(path: "authority-\(UUID().uuidString)")

    private func authority(lifetime: Int = 86400) throws -> EnrolmentAuthority {
        try EnrolmentAuthority(EnrolmentFolder(folder.path), anchor: nil, lifetime: lifetime, audit: .off)
    }

    private func remove() { try? FileManager.default.removeItem(at: folder) }

    private static func request(_ token: EnrolmentToken, _ key: SigningKey) throws -> EnrolmentRequest {
        EnrolmentRequest(secret: token.secret, certificateRequest: try key.certificateRequest())
    }

    @Test("A token is good for one certificate, for the connector that it was made for")
    func once() throws {
        defer { remove() }
        let authority = try authority()
        let token = try authority.createToken(for: Self.identity, service: "s:1", lifetime: 60)
        #expect(token.subaccount == "a" && token.locationID == "x" && token.service == "s:1")
        let key = try SigningKey()
        let answer = try authority.enrol(Self.request(token, key))
        let details = try CertificateDetails(.pem(#require(answer.certificate)))
        #expect(details.connector == Self.identity)
        let anchors = try CertificateDetails.all(.pem(#require(answer.anchor)))
        #expect(anchors.contains { $0.fingerprint == token.anchor })
        #expect(throws: EnrolmentError.self) { try authority.enrol(Self.request(token, key)) }
    }

    @Test("A secret that nobody was given is refused, and so is one that has expired")
    func wrong() throws {
        defer { remove() }
        let authority = try authority()
        var token = try authority.createToken(for: Self.identity, service: "s:1", lifetime: 60)
        token.secret = String(repeating: "0", count: token.secret.count)
        #expect(throws: EnrolmentError.self) { try authority.enrol(Self.request(token, SigningKey())) }
        let old = try authority.createToken(for: Self.identity, service: "s:1", lifetime: -1)
        #expect(throws: EnrolmentError.self) { try authority.enrol(Self.request(old, SigningKey())) }
    }

    @Test(
        "A secret that names another file is only a wrong one",
        arguments: ["../ca.key", "", "/etc/passwd", "a/b", ".."]
    )
    func paths(_ secret: String) throws {
        defer { remove() }
        let authority = try authority()
        let request = EnrolmentRequest(secret: secret, certificateRequest: try SigningKey().certificateRequest())
        #expect(throws: EnrolmentError.self) { try authority.enrol(request) }
        #expect(FileManager.default.fileExists(atPath: folder.appending(path: "ca.key").path))
    }

    @Test("What is not a certificate request costs the token nothing but itself", arguments: ["", "not a request"])
    func brokenRequest(_ text: String) throws {
        defer { remove() }
        let authority = try authority()
        let token = try authority.createToken(for: Self.identity, service: "s:1", lifetime: 60)
        #expect(throws: (any Error).self) {
            try authority.enrol(EnrolmentRequest(secret: token.secret, certificateRequest: text))
        }
        #expect(try authority.issued().isEmpty)
    }

    @Test("Another start reads the same authority, and knows what was issued and revoked")
    func restart() throws {
        defer { remove() }
        let first = try authority()
        let token = try first.createToken(for: Self.identity, service: "s:1", lifetime: 60)
        _ = try first.enrol(Self.request(token, SigningKey()))
        let serials = try first.revoke(Self.identity)
        let second = try authority()
        #expect(second.certificate == first.certificate)
        #expect(serials.count == 1 && serials.allSatisfy { second.isRevoked($0) })
    }

    @Test("Revoking ends what one connector has, and nobody else's; what comes after counts")
    func revocation() throws {
        defer { remove() }
        let authority = try authority()
        let other = ConnectorIdentity(subaccount: "a", locationID: "y")
        var serials: [String] = []
        for identity in [Self.identity, Self.identity, other] {
            let token = try authority.createToken(for: identity, service: "s:1", lifetime: 60)
            let answer = try authority.enrol(Self.request(token, SigningKey()))
            serials.append(try CertificateDetails(.pem(#require(answer.certificate))).serial)
        }
        #expect(try authority.revoke(Self.identity) == Set(serials.prefix(2)))
        #expect(serials.map { authority.isRevoked($0) } == [true, true, false])
        #expect(try authority.revoke(Self.identity).isEmpty, "there is nothing left to revoke")
        let token = try authority.createToken(for: Self.identity, service: "s:1", lifetime: 60)
        let answer = try authority.enrol(Self.request(token, SigningKey()))
        #expect(!authority.isRevoked(try CertificateDetails(.pem(#require(answer.certificate))).serial))
    }

    @Test("Two services that share the folder give one token one certificate")
    func shared() throws {
        defer { remove() }
        let (one, two) = (try authority(), try authority())
        let token = try one.createToken(for: Self.identity, service: "s:1", lifetime: 60)
        _ = try two.enrol(Self.request(token, SigningKey()))
        #expect(throws: EnrolmentError.self) { try one.enrol(Self.request(token, SigningKey())) }
        let serials = try two.revoke(Self.identity)
        #expect(serials.count == 1 && serials.allSatisfy { !one.isRevoked($0) })
        #expect(try one.reload() == serials && serials.allSatisfy { one.isRevoked($0) })
        #expect(try one.reload().isEmpty, "that is no news any more")
    }

    @Test("A certificate lives as long as the authority says")
    func lifetime() throws {
        defer { remove() }
        let authority = try authority(lifetime: 7200)
        let token = try authority.createToken(for: Self.identity, service: "s:1", lifetime: 60)
        let answer = try authority.enrol(Self.request(token, SigningKey()))
        let details = try CertificateDetails(.pem(#require(answer.certificate)))
        let left = Double(details.notAfter) - Date().timeIntervalSince1970
        #expect(left > 7100 && left < 7300)
    }

    @Test("Keys and tokens are for their owner only")
    func modes() throws {
        defer { remove() }
        let authority = try authority()
        _ = try authority.createToken(for: Self.identity, service: "s:1", lifetime: 60)
        func mode(_ path: String) throws -> Int {
            try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
        }
        #expect(try mode(folder.appending(path: "ca.key").path) == 0o600)
        let tokens = folder.appending(path: "tokens")
        for name in try FileManager.default.contentsOfDirectory(atPath: tokens.path) {
            #expect(try mode(tokens.appending(path: name).path) == 0o600)
        }
    }
}
