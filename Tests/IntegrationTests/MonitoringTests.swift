import ConnectorTestSupport
import Foundation
import Testing

/// Rules and dashboard in `examples/monitoring` ask for metrics and labels that there are.
@Suite(.serialized) struct MonitoringTests {
    private static func example(_ name: String) throws -> String {
        try String(contentsOf: Repository.root.appending(path: "examples/monitoring/\(name)"), encoding: .utf8)
    }

    /// Families by name, as `/metrics` has them, with the labels of their samples.
    private static func families(_ exposition: String) -> [String: Set<String>] {
        var families: [String: Set<String>] = [:]
        for line in exposition.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") {
                families[String(line.split(separator: " ")[2]), default: []] = []
                continue
            }
            guard !line.hasPrefix("#"), let name = line.prefixMatch(of: /[a-z_]+/) else { continue }
            families[String(name.output), default: []].formUnion(
                line.matches(of: /([a-z_]+)="/).map { String($0.output.1) }
            )
        }
        return families
    }

    @Test("Each metric that a rule or a panel names is served, with the labels that it is looked at by")
    func names() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("fine") }
        defer { backend.stop() }
        let closed = TestServer { socket, _ in socket.close() }
        closed.stop()
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port) + Rig.system("down.test:80", port: closed.port),
            extra: "audit: {directory: audit}"
        )
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
        #expect(try rig.curl("http://down.test/").hasPrefix("HTTP/1.1 502"))
        var known = Self.families(try OperationTests.curl(rig, "/metrics"))
        known.merge(Self.families(try OperationTests.curl(rig, "/metrics", socket: "cloud.sock"))) { $0.union($1) }
        let dashboard =
            try JSONSerialization.jsonObject(with: Data(Self.example("dashboard.json").utf8)) as? [String: Any]
        #expect((dashboard?["panels"] as? [Any])?.isEmpty == false)
        var count = 0
        for text in [try Self.example("alerts.yml"), try Self.example("dashboard.json")] {
            for match in text.matches(of: /connector_[a-z_]+/) {
                var name = String(match.output)
                if known[name] == nil {
                    for suffix in ["_bucket", "_sum", "_count"] where name.hasSuffix(suffix) {
                        name.removeLast(suffix.count)
                    }
                }
                #expect(known[name] != nil, "\(match.output) is not served")
                count += 1
            }
        }
        #expect(count > 15)
        let labels: [(String, [String])] = [
            ("connector_refusals_total", ["source", "phase", "error", "virtual_host"]),
            ("connector_requests_total", ["virtual_host", "status"]),
            ("connector_tunnels", ["subaccount", "location_id"]), ("connector_system_reachable", ["virtual_host"]),
            ("connector_service_listener_connections", ["listener"]),
            ("connector_service_listener_connections_max", ["listener"]),
        ]
        for (name, expected) in labels {
            #expect(known[name]?.isSuperset(of: expected) == true, "\(name): \(known[name] ?? [])")
        }
    }
}
