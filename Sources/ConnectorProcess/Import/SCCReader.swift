internal import Cryptography
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// Why a Cloud Connector's configuration could not be read.
package struct SCCReadError: Error, CustomStringConvertible {
    package var description: String
}

/// Reads a Cloud Connector's configuration over its API. Reads only: it sends nothing but GET.
struct SCCReader {
    private let url: WebURL
    private let authorization: String
    private let client: HTTPClient

    /// - Parameter trust: a file with the certificate of the Cloud Connector's page, or of the one who has issued it.
    init(_ text: String, user: String, password: String, trust: String?) throws {
        guard let url = WebURL(text) else {
            throw SCCReadError(description: "\(text) is not a URL such as https://scc.example.com:8443")
        }
        let isNear = HostPort(host: url.host, port: url.port).isLoopback
        guard url.isTLS || isNear else {
            throw SCCReadError(description: "a password is not sent over plain http: name the https address")
        }
        if url.isTLS, trust == nil {
            throw SCCReadError(
                description:
                    "name the certificate that \(url.authority) shows with --trusted-ca; the page of the Cloud Connector has a self-signed one at first, "
                    + "and a browser can save it"
            )
        }
        self.url = url
        authorization = "Basic " + Base64.encode("\(user):\(password)")
        client = try HTTPClient(trust: trust)
    }

    func read(subaccount wanted: String?) async throws -> SCCDocuments {
        var documents = SCCDocuments()
        documents.version = try await get("connector/version", below: "/api/v1/", SCCVersion.self).version
        documents.trustStore =
            try await optional("connector/onPremises/truststore", SCCTrustStore.self) ?? SCCTrustStore()
        let certificates = try await send(
            "/api/v1/configuration/connector/onPremises/truststore/certificates",
            "application/x-pem-file"
        )
        if certificates.status == .ok {
            documents.trustedCertificates = String(decoding: certificates.body, as: UTF8.self)
        }
        documents.proxy = try await optional("connector/proxy", SCCProxy.self) ?? SCCProxy()
        documents.subjectPatterns =
            try await optional("connector/onPremises/subjectPatternRules", [SCCSubjectPattern].self) ?? []
        let all = try await get("subaccounts", [SCCSubaccountEntity].self)
        let meant = all.filter { wanted == nil || $0.subaccount == wanted }
        if let wanted, meant.isEmpty {
            throw SCCReadError(
                description:
                    "there is no subaccount \(wanted); there are \(all.map(\.subaccount).joined(separator: ", "))"
            )
        }
        for entity in meant { documents.subaccounts.append(try await read(entity)) }
        return documents
    }

    private func read(_ entity: SCCSubaccountEntity) async throws -> SCCSubaccount {
        let base = "subaccounts/\(segment(entity.regionHost))/\(segment(entity.subaccount))"
        var result = SCCSubaccount(entity: try await get(base, SCCSubaccountEntity.self))
        for mapping in try await get("\(base)/systemMappings", [SCCMapping].self) {
            let name = "\(segment(mapping.virtualHost)):\(segment(mapping.virtualPort.text))"
            let resources = try await get("\(base)/systemMappings/\(name)/resources", [SCCResource].self)
            result.mappings.append((mapping, resources))
        }
        result.domains = try await optional("\(base)/domainMappings", [SCCDomain].self) ?? []
        return result
    }

    private func segment(_ text: String) -> String { PercentText.encode(text) }

    private func get<Value: Decodable>(
        _ path: String,
        below root: String = "/api/v1/configuration/",
        _ type: Value.Type
    ) async throws -> Value {
        let response = try await send(root + path, "application/json")
        switch response.status {
        case .ok: break
        case .unauthorized: throw SCCReadError(description: "\(url.authority) does not take this user and password")
        case .forbidden: throw SCCReadError(description: "\(url.authority) does not let this user read \(path)")
        default: throw SCCReadError(description: "\(url.authority) answered \(response.status.code) for \(path)")
        }
        do {
            return try JSONLines.decode(type, response.body)
        } catch {
            throw SCCReadError(
                description:
                    "what \(url.authority) answered for \(path) is not what a Cloud Connector answers: is this its address?"
            )
        }
    }

    /// What older versions do not have.
    private func optional<Value: Decodable>(_ path: String, _ type: Value.Type) async throws -> Value? {
        let response = try await send("/api/v1/configuration/" + path, "application/json")
        guard response.status == .ok else { return nil }
        return try? JSONLines.decode(type, response.body)
    }

    private func send(_ path: String, _ accept: String) async throws -> HTTPClient.Response {
        let base = url.path.split(separator: "?")[0]
        let target = (base.hasSuffix("/") ? base.dropLast() : base) + path
        let headers: HTTPHeaders = ["host": url.authority, "authorization": authorization, "accept": accept]
        return try await client.send(
            .init(method: .GET, target: String(target), headers: headers),
            to: .host(url.host, port: url.port, isTLS: url.isTLS)
        )
    }
}
