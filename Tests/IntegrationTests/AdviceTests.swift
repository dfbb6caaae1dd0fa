import ConnectorTestSupport
import Foundation
import Testing

/// What the page says would allow a refused request: it loads as it stands, and the request passes.
@Suite(.serialized) struct AdviceTests {
    private struct State: Decodable {
        struct Refusal: Decodable {
            struct Advice: Decodable {
                var text: String
                var lines: String
            }
            struct Entry: Decodable { var target: String }
            var entry: Entry
            var advice: Advice?
        }
        var refusals: [Refusal]
    }

    private static let cloud = """
        api: {listen: "127.0.0.1:0", directory: api}
        cockpit: {listen: "127.0.0.1:0"}
        """

    private static func advice(_ rig: Rig, _ target: String) throws -> State.Refusal.Advice {
        let line = try rig.cloud.wait(for: "cockpit started")
        let url = try #require(line.split(separator: "\"").first { $0.hasPrefix("http://") })
        let output = try Rig.run(URL(filePath: "/usr/bin/curl"), ["-s", "\(url)api/state"], rig.folder).output
        let state = try JSONDecoder().decode(State.self, from: Data(output.utf8))
        return try #require(state.refusals.first { $0.entry.target == target }?.advice, "\(output)")
    }

    /// Puts lines where the advice says, and the real address where it cannot know it.
    private static func follow(_ rig: Rig, _ lines: String, port: Int) throws {
        try rig.rewrite { text in
            if lines.hasPrefix("systems:") {
                let item = lines.split(separator: "\n", omittingEmptySubsequences: false).dropFirst().joined(
                    separator: "\n"
                )
                let address = item.replacing(/internal-host: .*/, with: "internal-host: 127.0.0.1:\(port)")
                return text.trimmingCharacters(in: .newlines) + "\n" + address + "\n"
            }
            let indented = lines.split(separator: "\n").map { "      " + $0 }.joined(separator: "\n")
            return text.replacingOccurrences(of: "    resources:\n", with: "    resources:\n\(indented)\n")
        }
        let checked = try rig.control("check-config", "connector0.conf")
        #expect(checked.status == 0, "\(checked.output)")
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
    }

    @Test(
        "Each advice, fed back, makes the request pass",
        arguments: [
            "http://backend.test/other", "http://backend.test/a%20b", "http://quite-different.example:8080/x",
            "http://quite-different.example/", "http://backend.test/x:y",
            "http://backend.test/#".replacing("#", with: "~user"),
            "http://backend.test/'quoted'", "http://backend.test/a,b", "http://backend.test/true",
        ]
    )
    func fedBack(_ url: String) throws {
        let backend = TestServer.http { _, _ in TestServer.ok("fine") }
        defer { backend.stop() }
        let rig = try Rig(cloud: Self.cloud)
        defer { rig.stop() }
        let system = """
              - virtual-host: backend.test:80
                internal-host: 127.0.0.1:\(backend.port)
                protocol: HTTP
                resources:
                  - {path: /only, access: path-only}

            """
        try rig.startConnector(systems: system)
        #expect(try rig.curl(url).hasPrefix("HTTP/1.1 403"))
        let advice = try Self.advice(rig, url)
        #expect(!advice.lines.isEmpty, "\(advice)")
        try Self.follow(rig, advice.lines, port: backend.port)
        let answer = try rig.curl(url)
        #expect(answer.hasPrefix("HTTP/1.1 200"), "\(advice)\n\(answer)")
    }

    @Test("A misspelt host gets the name of its neighbour, not a way in")
    func neighbour() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("fine") }
        defer { backend.stop() }
        let rig = try Rig(cloud: Self.cloud)
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system("pohost.test:50000", port: backend.port))
        for url in ["http://pohots.test:50000/", "http://pohost.test:5000/", "http://pohst.test:50000/x"] {
            #expect(try rig.curl(url).hasPrefix("HTTP/1.1 403"))
            let advice = try Self.advice(rig, url)
            #expect(advice.lines.isEmpty && advice.text.contains("pohost.test:50000 is: was that meant?"), "\(advice)")
        }
    }
}
