import AdminProtocol
import Destinations
import Foundation
import HostSystem
import NIOHTTP1
import Telemetry
import Testing
import Tokens

@testable import CloudServices
@testable import Networking

/// The destination service's REST API, asked without a socket.
@Suite final class DestinationAPITests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "destinations-\(UUID().uuidString)")
    private let tokens: TokenService
    private let api: DestinationAPI

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        tokens = TokenService(
            keys: try TokenKeys(SecretFile(folder.path + "/keys.json"), lifetime: 3600, now: WallClock.seconds()),
            clients: try ServiceClients(SecretFile(folder.path + "/clients.json")),
            tenants: [Tenant(subaccount: "s", subdomain: "provider"), Tenant(subaccount: "t", subdomain: "tenant")],
            url: "http://localhost",
            lifetime: 3600
        )
        let client = try HTTPClient()
        api = DestinationAPI(
            store: DestinationFiles(directory: folder.path + "/store"),
            tokens: tokens,
            retriever: TokenRetriever(client),
            checker: ConnectionChecker(client, tokens),
            audit: .off
        )
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func token(_ service: BoundService = .destination, tenant index: Int = 0) throws -> String {
        try tokens.token(for: service, user: nil, tenant: tokens.tenants[index], now: WallClock.seconds()).access_token
    }

    /// - Parameter path: below `/destination-configuration/`.
    private func ask(
        _ method: String,
        _ path: String,
        _ body: String = "",
        token: String? = nil,
        query: String = ""
    ) async throws -> (status: UInt, body: String) {
        var headers: HTTPHeaders = ["content-type": "application/json"]
        headers.add(name: "authorization", value: "Bearer \(try token ?? self.token())")
        let request = HTTPRequest(
            method: method,
            path: DestinationAPI.prefix + path,
            query: query,
            headers: headers,
            body: Array(body.utf8)
        )
        let response = await api.answer(request)
        return (response.status.code, String(decoding: response.body, as: UTF8.self))
    }

    private static let one = #"{"Name":"one","Type":"HTTP","URL":"http://a:1","ProxyType":"OnPremise"}"#

    @Test("What is made is found, changed, listed and gone")
    func life() async throws {
        #expect(try await ask("POST", "v1/subaccountDestinations", Self.one).status == 201)
        let found = try await ask("GET", "v1/subaccountDestinations/one")
        #expect(found.status == 200 && found.body.contains(#""URL":"http://a:1""#))
        #expect(try await ask("PUT", "v1/subaccountDestinations", Self.one.replacing("a:1", with: "b:2")).status == 200)
        let list = try await ask("GET", "v1/subaccountDestinations")
        #expect(list.status == 200 && list.body.contains("http://b:2"))
        #expect(try await ask("DELETE", "v1/subaccountDestinations/one").status == 200)
        #expect(try await ask("GET", "v1/subaccountDestinations/one").status == 404)
    }

    @Test("What is there already is a conflict, and what is not cannot be changed")
    func conflicts() async throws {
        _ = try await ask("POST", "v1/subaccountDestinations", Self.one)
        #expect(try await ask("POST", "v1/subaccountDestinations", Self.one).status == 409)
        let other = Self.one.replacing("\"one\"", with: "\"two\"")
        #expect(try await ask("PUT", "v1/subaccountDestinations", other).status == 404)
    }

    @Test("One tenant sees nothing of another, by name or in a list")
    func tenants() async throws {
        _ = try await ask("POST", "v1/subaccountDestinations", Self.one)
        let other = try token(tenant: 1)
        #expect(try await ask("GET", "v1/subaccountDestinations/one", token: other).status == 404)
        #expect(try await ask("GET", "v1/subaccountDestinations", token: other).body.contains("one") == false)
        #expect(try await ask("DELETE", "v1/subaccountDestinations/one", token: other).status != 500)
        #expect(try await ask("GET", "v1/subaccountDestinations/one").status == 200)
    }

    @Test("An instance has destinations of its own")
    func levels() async throws {
        _ = try await ask("POST", "v1/instanceDestinations", Self.one)
        #expect(try await ask("GET", "v1/instanceDestinations/one").status == 200)
        #expect(try await ask("GET", "v1/subaccountDestinations/one").status == 404)
        #expect(try await ask("GET", "v1/destinations/one").status == 200)
    }

    @Test(
        "A token of another service, a broken one and none are told apart",
        arguments: ["v1/subaccountDestinations", "v1/destinations/one"]
    )
    func authorization(_ path: String) async throws {
        #expect(try await ask("GET", path, token: token(.connectivity)).status == 403)
        #expect(try await ask("GET", path, token: "x.y.z").status == 401)
        let bare = await api.answer(HTTPRequest(method: "GET", path: DestinationAPI.prefix + path, body: []))
        #expect(bare.status == .unauthorized && bare.headers.first(name: "www-authenticate") == "Bearer")
    }

    @Test(
        "Paths that are not of the API are 404, and methods that are not of a path 405",
        arguments: [
            ("GET", "v1/nothing", 404), ("GET", "v3/destinations/one", 404), ("GET", "", 404),
            ("GET", "v1/subaccountDestinations/one/two/three", 404), ("PATCH", "v1/subaccountDestinations", 405),
            ("DELETE", "v1/destinations/one", 405), ("POST", "v1/saml2Metadata", 405),
        ] as [(String, String, UInt)]
    )
    func unknown(_ method: String, _ path: String, _ status: UInt) async throws {
        #expect(try await ask(method, path).status == status, "\(method) \(path)")
    }

    @Test(
        "A body that is not what it should be is a 400 that says why",
        arguments: [
            "", "{", #"{"Name":"a"}{"#, #"{"Name":"a","Name":"b"}"#, #"{"Name":""}"#, #"{"Type":"HTTP"}"#,
        ]
    )
    func brokenBodies(_ body: String) async throws {
        let answer = try await ask("POST", "v1/subaccountDestinations", body)
        #expect(answer.status == 400 && !answer.body.isEmpty, "\(answer)")
    }

    @Test(
        "Names that a file cannot have are kept all the same",
        arguments: ["a b", "a/b", "..", "ü", "a%2Fb", ".hidden"]
    )
    func names(_ name: String) async throws {
        let body = #"{"Name":"\#(name)","Type":"HTTP","URL":"http://a"}"#
        let made = try await ask("POST", "v1/subaccountDestinations", body)
        let path = "v1/subaccountDestinations/" + name.addingPercentEncoding(withAllowedCharacters: .alphanumerics)!
        let found = try await ask("GET", path)
        #expect(made.status == 201 ? found.status == 200 : made.status == 400, "\(made) \(found)")
        let outside = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(
            Set(outside).isSubset(of: ["clients.json", "keys.json", "store"]),
            "nothing is written elsewhere: \(outside)"
        )
    }

    @Test("A target beyond four thousand characters is refused, and so is one that is not well encoded")
    func targets() async throws {
        #expect(try await ask("GET", "v1/destinations/" + String(repeating: "a", count: 4100)).status == 414)
        #expect(try await ask("GET", "v1/destinations/%zz").status == 400)
        #expect(try await ask("GET", "v1/destinations/%ff").status == 400)
    }

    @Test("Fragments and certificates have collections of their own")
    func others() async throws {
        let fragment = #"{"FragmentName":"f","URL":"http://f"}"#
        #expect(try await ask("POST", "v1/subaccountDestinationFragments", fragment).status == 201)
        #expect(try await ask("GET", "v1/subaccountDestinationFragments/f").status == 200)
        #expect(try await ask("GET", "v1/subaccountDestinations/f").status == 404)
        let certificate = #"{"Name":"c.pem","Content":"QUJD"}"#
        #expect(try await ask("POST", "v1/subaccountCertificates", certificate).status == 201)
        #expect(try await ask("GET", "v1/subaccountCertificates/c.pem").body.contains("QUJD"))
    }
}
