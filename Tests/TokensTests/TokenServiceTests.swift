internal import AdminProtocol
internal import Cryptography
import Foundation
import HostSystem
import JSON
import Testing

@testable import Tokens

/// Tokens as SAP's clients ask for them, and as the proxy entry believes them.
@Suite final class TokenServiceTests {
    static let now = 1_800_000_000
    let folder = FileManager.default.temporaryDirectory.appending(path: "tokens-\(UUID().uuidString)")
    let service: TokenService

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        service = TokenService(
            keys: try TokenKeys(SecretFile(folder.path + "/keys.json"), lifetime: 3600, now: Self.now),
            clients: try ServiceClients(SecretFile(folder.path + "/clients.json")),
            tenants: [
                Tenant(subaccount: "3b7e1e5a", subdomain: "provider"), Tenant(subaccount: "77", subdomain: "tenant1"),
            ],
            url: "http://localhost:8080",
            lifetime: 3600
        )
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func client(_ kind: BoundService) -> ServiceClient { service.clients.first(kind)! }

    func request(
        _ form: [String: String],
        authorization: String? = nil,
        host: String = "localhost",
        tenant: String? = nil
    ) -> TokenRequest {
        let body = form.map { name, value in
            "\(name)=" + value.addingPercentEncoding(withAllowedCharacters: .alphanumerics)!
        }
        return TokenRequest(
            body: Array(body.joined(separator: "&").utf8),
            authorization: authorization,
            host: host,
            tenant: tenant
        )
    }

    func credentials(_ client: ServiceClient) -> [String: String] {
        ["grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret]
    }

    func verified(_ token: String, _ now: Int = TokenServiceTests.now) throws -> VerifiedToken {
        try service.verifier([.connectivity], now: now).verify(token.utf8, now: now)
    }

    func refusal(_ request: TokenRequest) -> TokenRefusal? {
        do {
            _ = try service.issue(request, now: Self.now)
            return nil
        } catch { return error as? TokenRefusal }
    }

    @Test("Credentials in the body or as Basic bring a token with the claims that SAP's libraries read")
    func clientCredentials() throws {
        let client = client(.connectivity)
        let basic = "Basic " + Data("\(client.id):\(client.secret)".utf8).base64EncodedString()
        for request in [
            request(credentials(client)), request(["grant_type": "client_credentials"], authorization: basic),
        ] {
            let answer = try service.issue(request, now: Self.now)
            let token = try JSONWebToken(answer.access_token.utf8)
            let claims = token.claims
            #expect(try token.keyID == service.keys.current.id && token.algorithm == "RS256")
            #expect(claims.zid == "3b7e1e5a" && claims.cid == client.id && claims.client_id == client.id)
            #expect(claims.ext_attr?.enhancer == "XSUAA" && claims.ext_attr?.zdn == "provider")
            #expect(claims.scope == ["uaa.resource", client.application + ".proxy"])
            #expect(answer.scope == "uaa.resource \(client.application).proxy")
            #expect(claims.exp == Self.now + 3600 && answer.expires_in == 3600)
            let verified = try verified(answer.access_token)
            #expect(verified.subaccount == "3b7e1e5a" && verified.user == nil)
        }
    }

    @Test("The tenant comes from the host's first label or from x-zid; an unknown one is refused")
    func tenants() throws {
        let form = credentials(client(.connectivity))
        func zid(_ host: String, _ tenant: String? = nil) throws -> String? {
            let answer = try service.issue(request(form, host: host, tenant: tenant), now: Self.now)
            return try JSONWebToken(answer.access_token.utf8).claims.zid
        }
        #expect(try zid("localhost") == "3b7e1e5a" && zid("127.0.0.1") == "3b7e1e5a")
        #expect(try zid("tenant1.localhost") == "77" && zid("PROVIDER.localhost") == "3b7e1e5a")
        #expect(try zid("localhost", "77") == "77")
        #expect(refusal(request(form, host: "other.localhost"))?.status == 404)
        #expect(refusal(request(form, tenant: "78"))?.status == 401)
    }

    @Test("A wrong client, secret or grant type gets the error of RFC 6749 and no token")
    func refusals() throws {
        let client = client(.connectivity)
        var form = credentials(client)
        form["client_secret"] = client.secret + "x"
        #expect(refusal(request(form)) == .badCredentials)
        #expect(refusal(request(credentials(client).merging(["client_id": "nobody"]) { $1 })) == .badCredentials)
        #expect(refusal(request(["grant_type": "client_credentials"])) == .badCredentials)
        #expect(refusal(request(credentials(client), authorization: "Bearer x")) == .badCredentials)
        form = credentials(client)
        form["grant_type"] = "password"
        #expect(refusal(request(form))?.error == "unsupported_grant_type")
        form["grant_type"] = nil
        #expect(refusal(request(form))?.description == "Missing grant type")
        var broken = request(form)
        broken.body = Array("grant_type=%zz".utf8)
        #expect(refusal(broken)?.error == "invalid_request")
    }

    @Test("A user's token is exchanged for one of another client, which stands for the same user and tenant")
    func exchange() throws {
        let user = try service.token(for: .xsuaa, user: "alice@example.com", tenant: service.tenants[1], now: Self.now)
        let client = client(.connectivity)
        let form = [
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "client_id": client.id,
            "client_secret": client.secret, "assertion": user.access_token, "response_type": "token",
        ]
        let verified = try verified(service.issue(request(form), now: Self.now).access_token)
        #expect(verified.subaccount == "77" && verified.claims.user_name == "alice@example.com")
        #expect(verified.user == "77/alice@example.com" && verified.client == client.id)
        // Of an application, of nobody, and of yesterday.
        let own = try service.issue(request(credentials(client)), now: Self.now).access_token
        for assertion in [own, "x.y.z", user.access_token + "x"] {
            #expect(refusal(request(form.merging(["assertion": assertion]) { $1 }))?.error == "invalid_token")
        }
        #expect(throws: TokenRefusal.self) { try self.service.issue(self.request(form), now: Self.now + 3600) }
        #expect(refusal(request(form, tenant: "3b7e1e5a"))?.error == "invalid_token")
    }

    @Test(
        "A token that is altered, foreign, expired, of another client or another algorithm is refused with the reason"
    )
    func verification() throws {
        let token = try service.issue(request(credentials(client(.connectivity))), now: Self.now).access_token
        func reason(_ token: String, _ now: Int = TokenServiceTests.now) -> TokenError? {
            do {
                _ = try verified(token, now)
                return nil
            } catch { return error as? TokenError }
        }
        #expect(reason(token) == nil && reason(token, Self.now + 3600) == .expired)
        #expect(reason(token, Self.now - 61) == .notYetValid)
        let parts = token.split(separator: ".")
        func encoded(_ text: String) -> String { Base64.encodeURL(Array(text.utf8)) }
        let head = String(decoding: Base64.decodeURL(parts[0].utf8)!, as: UTF8.self)
        let claims = String(decoding: Base64.decodeURL(parts[1].utf8)!, as: UTF8.self)
        func assembled(_ head: String, _ claims: String) -> String { "\(encoded(head)).\(encoded(claims)).\(parts[2])" }
        #expect(reason(assembled(head, claims)) == nil)
        #expect(reason(assembled(head, claims.replacing("3b7e1e5a", with: "3b7e1e5b"))) == .badSignature)
        #expect(reason(assembled(head.replacing("RS256", with: "none"), claims)) == .badAlgorithm)
        #expect(reason(assembled(head.replacing("RS256", with: "HS256"), claims)) == .badAlgorithm)
        #expect(reason(assembled(head.replacing("key-", with: "yek-"), claims)) == .unknownKey)
        #expect(
            reason(assembled("[]", claims)) == .badHeader && reason(assembled(head, "{\"exp\":\"x\"}")) == .badClaims
        )
        #expect(reason("\(parts[0]).\(parts[1])") == .notCompact && reason("\(parts[0]).\(parts[1]).") == .notCompact)
        #expect(reason(token + "=") == .notCompact && reason(" " + token) == .notCompact)
        #expect(reason(String(repeating: "x", count: 16385)) == .tooLong)
        let other = try service.issue(request(credentials(client(.destination))), now: Self.now).access_token
        #expect(reason(other) == .wrongClient)
    }

    @Test(
        "A token with an extension in its header is refused, also when it is signed with the right key",
        arguments: [
            #""crit":["b64"],"b64":false"#, #""crit":["exp"]"#, #""b64":true"#, #""crit":null"#, #""b64":null"#,
        ]
    )
    func extensions(_ members: String) throws {
        let token = try service.issue(request(credentials(client(.connectivity))), now: Self.now).access_token
        let parts = token.split(separator: ".")
        let head = String(decoding: Base64.decodeURL(parts[0].utf8)!, as: UTF8.self)
        let changed = Base64.encodeURL(Array(("{\(members)," + head.dropFirst()).utf8))
        let signed = "\(changed).\(parts[1])"
        let signature = Base64.encodeURL(try service.keys.current.signingKey.sign(Array(signed.utf8)))
        #expect(throws: TokenError.unknownExtension) { try verified("\(signed).\(signature)") }
    }

    @Test("After a rotation both keys are believed, the new one signs, and the old one goes with its last token")
    func rotation() throws {
        let path = folder.path + "/keys.json"
        let before = try service.issue(request(credentials(client(.connectivity))), now: Self.now).access_token
        try service.keys.rotate(now: Self.now + 10)
        let after = try service.issue(request(credentials(client(.connectivity))), now: Self.now + 10).access_token
        #expect(try JSONWebToken(after.utf8).keyID != JSONWebToken(before.utf8).keyID)
        // Read again, as after a restart.
        let keys = try TokenKeys(SecretFile(path), lifetime: 3600, now: Self.now + 20)
        let verifier = try keys.verifier(clients: [], now: Self.now + 20)
        for token in [before, after] { _ = try verifier.verify(token.utf8, now: Self.now + 20) }
        #expect(try keys.current.id == service.keys.current.id)
        #expect(try keys.all(now: Self.now + 3611).count == 1)
        try keys.rotate(now: Self.now + 4000)
        #expect(try keys.all(now: Self.now + 4000).count == 2)
    }

    @Test("Who starts with no key does not wait for the first; what it signs is believed by who was there before")
    func firstKey() throws {
        let path = folder.path + "/first.json"
        let keys = try TokenKeys(SecretFile(path), lifetime: 3600, now: Self.now)
        let early = try keys.verifier(clients: [], now: Self.now)
        let late = TokenService(
            keys: keys,
            clients: service.clients,
            tenants: service.tenants,
            url: "http://localhost",
            lifetime: 3600
        )
        let token = try late.issue(request(credentials(client(.connectivity))), now: Self.now).access_token
        for verifier in [early, try keys.verifier(clients: [], now: Self.now)] {
            _ = try verifier.verify(token.utf8, now: Self.now)
        }
        #expect(try TokenKeys(SecretFile(path), lifetime: 3600, now: Self.now).current.id == keys.current.id)
        // As a process leaves it that ends before there is a key.
        try Data().write(to: URL(filePath: path))
        #expect(try TokenKeys(SecretFile(path), lifetime: 3600, now: Self.now).current.id != keys.current.id)
    }

    @Test("A key is believed as long as the longest of its tokens, whatever new tokens have")
    func shorterLifetime() throws {
        let path = folder.path + "/keys.json"
        let old = try service.keys.current.id
        let keys = try TokenKeys(SecretFile(path), lifetime: 4, now: Self.now + 10)
        try keys.rotate(now: Self.now + 20)
        #expect(try keys.all(now: Self.now + 20 + 3600).map(\.id).contains(old))
        #expect(try !keys.all(now: Self.now + 21 + 3600).map(\.id).contains(old))
        // The next one never signed anything longer.
        let next = try keys.current.id
        try keys.rotate(now: Self.now + 30)
        #expect(try !keys.all(now: Self.now + 35).map(\.id).contains(next))
        #expect(
            try TokenKeys(SecretFile(path), lifetime: 4, now: Self.now + 40).all(now: Self.now + 40).map(\.id).contains(
                old
            )
        )
    }

    @Test("The key document has what xssec reads, and secrets lie in files that only their owner may open")
    func files() throws {
        struct Document: Decodable { var keys: [[String: String]] }
        let document = try JSONLines.decode(Document.self, try service.keys.document(now: Self.now))
        let key = try #require(document.keys.first)
        #expect(key["kty"] == "RSA" && key["e"] == "AQAB" && key["alg"] == "RS256" && key["use"] == "sig")
        #expect(key["value"]?.hasPrefix("-----BEGIN PUBLIC KEY-----") == true)
        #expect(Base64.decodeURL(key["n"]!.utf8)?.count == 256)
        for name in ["/keys.json", "/clients.json"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + name)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
        #expect(try ServiceClients(SecretFile(folder.path + "/clients.json")).all == service.clients.all)
        chmod(folder.path + "/clients.json", 0o644)
        #expect(throws: FileError.self) { try ServiceClients(SecretFile(self.folder.path + "/clients.json")) }
        try Data("[]".utf8).write(to: folder.appending(path: "keys.json"))
        #expect(throws: FileError.self) {
            try TokenKeys(SecretFile(self.folder.path + "/keys.json"), lifetime: 1, now: Self.now)
        }
    }

    @Test("Base64 in URLs has one spelling for each bytes", arguments: 0...70)
    func base64(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
        let text = Base64.encodeURL(bytes)
        #expect(Base64.decodeURL(text.utf8) == bytes)
        #expect(Base64.decodeURL((text + "=").utf8) == nil && Base64.decodeURL((text + "\n").utf8) == nil)
        if count % 3 == 1 {
            // The last character has four bits too many; only one of sixteen is right.
            let spellings = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".count {
                Base64.decodeURL((text.dropLast() + String($0)).utf8) != nil
            }
            #expect(spellings == 4)
        }
    }

    @Test("A token's principal is the user it names, whoever issued it and however often it is renewed")
    func principal() throws {
        let one = try service.token(for: .xsuaa, user: "alice", tenant: service.tenants[0], now: Self.now).access_token
        let two = try service.token(for: .xsuaa, user: "alice", tenant: service.tenants[0], now: Self.now + 60)
            .access_token
        let other = try service.token(for: .xsuaa, user: "bob", tenant: service.tenants[0], now: Self.now).access_token
        #expect(one != two && TokenVerifier.principal(of: one.utf8) == TokenVerifier.principal(of: two.utf8))
        #expect(TokenVerifier.principal(of: one.utf8) != TokenVerifier.principal(of: other.utf8))
        let foreign = ".\(Base64.encodeURL(Array("{\"sub\":\"carol\",\"iss\":\"https://idp\",\"aud\":\"x\"}".utf8)))."
        #expect(TokenVerifier.principal(of: foreign.utf8) == "https://idp/carol")
        #expect(TokenVerifier.principal(of: "opaque".utf8) == "opaque")
    }
}
