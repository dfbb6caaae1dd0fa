import ConnectorTestSupport
import Foundation
import Testing

/// What is in the two programs. Swift's symbols name the module they are from, its length first.
struct ProductTests {
    /// Rooms of the cloud side: proxy entry, cockpit and APIs, tokens, destinations, and the description of APIs.
    static let cloudSide = [
        "ConnectivityService", "CloudServices", "CloudProcess", "Tokens", "Destinations", "OpenAPI",
    ]

    private static func symbols(of module: String) -> Data { Data("$s\(module.utf8.count)\(module)".utf8) }

    @Test("The program for the closed network does not contain the cloud side", arguments: cloudSide)
    func connectorAlone(_ module: String) throws {
        let alone = try Data(contentsOf: Repository.program("connectord-connector"), options: .alwaysMapped)
        let all = try Data(contentsOf: Repository.connectord, options: .alwaysMapped)
        let name = Self.symbols(of: module)
        #expect(alone.range(of: name) == nil, "connectord-connector has symbols of \(module)")
        #expect(all.range(of: name) != nil, "a test that looks for names that nobody has proves nothing")
    }

    @Test("It has the connector's rooms, and its commands")
    func connectorsRooms() throws {
        let program = Repository.program("connectord-connector")
        let alone = try Data(contentsOf: program, options: .alwaysMapped)
        for module in ["CloudConnector", "ConnectorProcess", "TunnelCore", "AccessPolicy"] {
            #expect(alone.range(of: Self.symbols(of: module)) != nil, "\(module)")
        }
        let help = try Rig.run(program, ["--help"], FileManager.default.temporaryDirectory).output
        for command in [
            "run", "check-config", "explain", "check", "status", "doctor", "enrol", "reload", "rotate", "log-level",
            "audit",
        ] {
            #expect(help.contains("  \(command) "), "\(command)")
        }
        for command in ["cloud", "demo", "token", "destination", "env"] { #expect(!help.contains("  \(command) ")) }
    }
}
