internal import ControlProtocol
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// SAP's configuration API (SAP Help, "Configuration REST APIs"), as far as it has a meaning here: subaccounts, system mappings and
/// their resources. Everything is read from and written to the files, which stay the truth.
enum ConfigurationAPI {
    static let root = "/api/v1/"

    static func answer(_ call: APICall) async -> HTTPResponse {
        do {
            let path = try segments(call.request.path)
            try APIPermissions.check(call, path)
            try call.checkQuery()
            if !isOfFile(path) { try call.refuseRehearsal() }
            return try await answer(call, path)
        } catch let shown as APICall.Shown {
            return .json(shown)
        } catch {
            return APIFailure(error).response
        }
    }

    /// Whether all that a change does is to the file, so that it can be shown.
    private static func isOfFile(_ path: [String]) -> Bool {
        switch path.dropFirst().first {
        case "connector": path.count == 2 || path.count == 3 && ["proxy", "logAndTrace"].contains(path[2])
        case "subaccounts": path.count > 4 && ["systemMappings", "domainMappings"].contains(path[4])
        default: false
        }
    }

    /// The path below the root, decoded piece by piece, so that what is encoded within one stays within it.
    private static func segments(_ path: String) throws(APIFailure) -> [String] {
        var result: [String] = []
        for piece in path.dropFirst(root.count).split(separator: "/", omittingEmptySubsequences: false) {
            guard let text = PercentText.decode(String(piece)), !text.isEmpty else {
                throw .notFound("there is no such path")
            }
            result.append(text)
        }
        return result
    }

    private static func answer(_ call: APICall, _ path: [String]) async throws -> HTTPResponse {
        switch path {
        case ["connector", "version"]:
            try call.allow("GET")
            var response = HTTPResponse.json(["version": Version.current])
            response.headers.add(name: "cache-control", value: "max-age=3600")
            return response
        case ["configuration", "availableCipherSuites"]:
            try call.allow("GET")
            return try ConnectorEndpoint.cipherSuites()
        case ["configuration", "backup"]: return try await BackupEndpoint(call: call).answer()
        case _ where path.starts(with: ["configuration", "connector"]):
            return try await ConnectorEndpoint(file: call.host.main, call: call).answer(Array(path.dropFirst(2)))
        case _ where path.starts(with: ["configuration", "subaccounts"]):
            return try await SubaccountsEndpoint(call: call).answer(Array(path.dropFirst(2)))
        default: throw APIFailure.unsupported(path)
        }
    }
}
