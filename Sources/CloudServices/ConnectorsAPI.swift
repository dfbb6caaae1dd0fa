internal import AdminProtocol
internal import ConnectivityService
internal import ControlProtocol
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import Tokens

/// The status of connectors as SAP's connectivity service tells it: an array of connected ones, in which two members are JSON
/// within texts and times are texts in milliseconds.
///
/// Source: SAP, "Calling the Connectivity Service REST API".
package struct ConnectorsAPI {
    /// `scc_info_path` of the binding.
    package static let path = "/connectivity/v1/connectors"

    let tokens: TokenService
    let registry: TunnelRegistry?

    private struct Item: Encodable { var attributes: Attributes }

    private struct Attributes: Encodable {
        var connected_by: String
        var connected_since: String
        var security_status: String
        var agent_version: String
        var agent_type = "master"
        var client_id: String
        var location_id: String?
        var exposed_systems: String
        var agent_recent_start_ms: String
        // Of a connector that is no Java program.
        var jvm_vendor_version = ""
        var java_version = ""
    }

    private struct System: Encodable {
        var `protocol`: String
        var host: String
        var description: String
        var type: String
        var status: String
    }

    func answer(_ request: HTTPRequest) -> HTTPResponse {
        guard ["GET", "HEAD"].contains(request.method) else { return DestinationAPI.notAllowed("GET, HEAD") }
        guard let value = request.headers.first(name: "authorization"), value.lowercased().hasPrefix("bearer ") else {
            return Self.unauthorized("Missing or malformed Authorization header. Expected: Bearer <JWT>")
        }
        do {
            let now = WallClock.seconds()
            let token = try tokens.verifier([.connectivity], now: now).verify(value.utf8.dropFirst(7), now: now)
            let connectors = (registry?.status() ?? []).filter { $0.subaccount == token.subaccount && $0.tunnels > 0 }
            return .json(connectors.map { Item(attributes: Self.attributes($0)) })
        } catch TokenError.wrongClient {
            return .text(.forbidden, "Forbidden: the token was not issued for the connectivity service")
        } catch {
            return Self.unauthorized("Unauthorized: \((error as? TokenError)?.rawValue ?? "\(error)")")
        }
    }

    private static func unauthorized(_ text: String) -> HTTPResponse {
        var response = HTTPResponse.text(.unauthorized, text)
        response.headers = ["www-authenticate": "Bearer"]
        return response
    }

    private static func attributes(_ connector: ServiceStatus.Connector) -> Attributes {
        let systems = connector.systems.map { system in
            System(
                protocol: system.protocol,
                host: system.host,
                description: system.description,
                type: system.type,
                status: system.hasResources ? "exposed" : "none"
            )
        }
        return Attributes(
            connected_by: connector.description,
            connected_since: milliseconds(connector.connectedSince),
            // What is known here: the tunnel's ciphers and trust are this product's own.
            security_status: text(["summary": "ok", "ciphers": "ok", "trust_store": "ok"]),
            agent_version: connector.version,
            client_id: connector.remote,
            location_id: connector.locationID.isEmpty ? nil : connector.locationID,
            exposed_systems: text(systems),
            agent_recent_start_ms: milliseconds(connector.startedAt)
        )
    }

    private static func milliseconds(_ seconds: Int?) -> String {
        seconds.map { String(WallClock.clamped($0) * 1000) } ?? ""
    }

    private static func text(_ value: some Encodable) -> String {
        String(decoding: JSONLines.encode(value).dropLast(), as: UTF8.self)
    }
}
