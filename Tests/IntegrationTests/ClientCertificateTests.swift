import ConnectorTestSupport
import Foundation
import Testing

/// A system with a client certificate of its own, beside others on the same internal host.
@Suite(.serialized) struct ClientCertificateTests {
    @Test("An internal host that asks for a certificate gets that of the system, and of no other system on that host")
    func ownCertificate() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let folder = rig.folder
        let server = try await TLSTestServer.start(
            certificate: folder.appending(path: "service.pem").path,
            key: folder.appending(path: "service.key").path,
            clients: folder.appending(path: "ca.pem").path
        ) { _ in TestServer.ok("inside") }
        func system(_ name: String, _ extra: String) -> String {
            """
              - virtual-host: "\(name):80"
                internal-host: "localhost:\(server.port)"
                protocol: HTTPS
                resources: [{path: /, access: path-and-sub-paths}]
            \(extra)
            """
        }
        let own = "    client-certificate: {certificate: connector.pem, private-key: connector.key}\n"
        try rig.startConnector(
            systems: system("own.test", own) + system("other.test", "\n"),
            extra: "backend-trust: {certificates: [ca.pem]}"
        )
        #expect(try rig.curl("http://own.test/").hasSuffix("inside"))
        let refused = try rig.curl("http://other.test/")
        #expect(refused.hasPrefix("HTTP/1.1 502 "), "\(refused)")
        // A connection in the pool of one is none of the other.
        #expect(try rig.curl("http://own.test/").hasSuffix("inside"))
        #expect(try rig.curl("http://other.test/").hasPrefix("HTTP/1.1 502 "))
        let check = try rig.control("check", "--socket", "connector.sock")
        let lines = check.output.split(separator: "\n")
        #expect(
            lines.contains { $0.contains("own.test") && $0.contains(" reachable") && !$0.contains("not reachable") }
        )
        #expect(lines.contains { $0.contains("other.test") && $0.contains("not reachable") }, "\(check.output)")
        // Step by step, with the chain up to what is trusted here, and what the internal host asked for.
        let steps = try rig.control("check", "own.test", "other.test:80", "--steps", "--socket", "connector.sock")
        #expect(steps.status == 2, "one of the two cannot be reached")
        let shown = steps.output.split(separator: "\n")
        #expect(shown.first == "own.test:80" && shown.contains { $0.contains("name") && $0.contains("127.0.0.1") })
        let chain = try #require(shown.first { $0.contains("TLSv1.3; certificate of") }, "\(steps.output)")
        #expect(
            try chain.contains(Regex(#"ok +[0-9.]+ ms .* \(\d+ days left\), by CN=.* \(\d+ days left\); asked for"#)),
            "\(chain)"
        )
        #expect(
            shown.contains { $0.contains("HTTP") && $0.contains("FAILED") && $0.contains("certificate") },
            "\(steps.output)"
        )
        let unknown = try rig.control("check", "owm.test", "--steps", "--socket", "connector.sock")
        #expect(unknown.status == 1 && unknown.output.contains("owm.test is not exposed"), "\(unknown)")
        // A reload takes it away, and the connection that was made with it as well.
        try rig.rewrite { $0.replacingOccurrences(of: own, with: "\n") }
        #expect(try rig.control("reload", "--socket", "connector.sock").status == 0)
        #expect(try rig.curl("http://own.test/").hasPrefix("HTTP/1.1 502 "))
        try await server.stop()
    }

    @Test("What cannot be meant is said at its place")
    func findings() throws {
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: 1))
        let own = ", client-certificate: {certificate: connector.pem, private-key: nowhere.key}}\n"
        try rig.rewrite { $0.replacingOccurrences(of: "]}\n", with: "]\(own)") }
        let found = try rig.control("check-config", "connector0.conf").output
        #expect(found.contains("systems[0].client-certificate: is for HTTPS and TCPS systems"), "\(found)")
        #expect(found.contains("systems[0].client-certificate.private-key"), "\(found)")
    }
}
