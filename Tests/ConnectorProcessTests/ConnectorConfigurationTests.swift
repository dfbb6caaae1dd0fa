internal import AccessPolicy
import AvailabilityCheck
import CloudConnector
import CloudProcess
internal import ConfigurationReading
internal import ConnectivityService
import ConnectorTestSupport
internal import Cryptography
import Foundation
import NIOCore
import Testing
import TextFormats

@testable import ConnectorProcess

struct ConnectorConfigurationTests {
    static let head = """
        subaccount: s
        tunnel: {service: "h:1", certificate: /dev/null, private-key: /dev/null, trusted-ca: /dev/null}

        """

    static func read(_ text: String) -> (ConnectorConfiguration?, [String]) {
        let (configuration, findings) = ConnectorConfigurationReader.read(Array(text.utf8), file: "f")
        return (configuration, findings.map(\.description))
    }

    /// Findings for systems, with the head that every file needs in front: lines count from 3.
    static func findings(_ systems: String) -> [String] { read(head + systems).1 }

    @Test("Every key of docs/configuration.md stands in one of the files of etc")
    func documented() throws {
        func text(_ name: String) throws -> String {
            try String(contentsOf: Repository.root.appending(path: name), encoding: .utf8)
        }
        let files = try text("etc/connector.conf") + text("etc/cloud.conf")
        var keys: [String] = []
        for line in try text("docs/configuration.md").split(separator: "\n") where line.hasPrefix("| `") {
            let cell = line.dropFirst(2).prefix { $0 != "|" }
            keys += cell.split(separator: "`").enumerated().filter { $0.offset % 2 == 0 }.map { String($0.element) }
        }
        #expect(keys.count > 100)
        for key in keys {
            for part in key.split(separator: ".").map({ $0.prefix { $0 != "[" && $0 != " " && $0 != ":" } })
            where !part.isEmpty {
                let word = try Regex("(^|[\\s{,#-])\(part)\\s*:").anchorsMatchLineEndings()
                #expect(files.contains(word), "\(key)")
            }
        }
    }

    @Test("The reference configuration loads, and every value it shows as a default is one")
    func reference() throws {
        let file = Repository.root.appending(path: "etc/connector.conf").path
        let loaded = try ConnectorConfigurationReader.load(file)
        let (configuration, warnings) = (loaded.configuration, loaded.warnings)
        #expect(warnings.allSatisfy { $0.message.contains("cannot be read here") })
        #expect(configuration.systems.map(\.virtualAddress) == ["internalhost:3333"])
        #expect(configuration.systems[0].resources.map(\.path) == ["/hello", "/api/"])
        // The same with all that is commented out as a default switched on.
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let keys = [
            "event-loops", "minimum-tls", "ping-interval", "max-streams", "stream-window-kib", "max-stream-window-kib",
            "window-budget-kib", "times", "connect", "response-head", "idle", "pool-idle", "segment-match",
        ]
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            guard let mark = line.range(of: "# "), line[..<mark.lowerBound].allSatisfy({ $0 == " " }) else {
                return String(line)
            }
            let rest = line[mark.upperBound...]
            let key = rest.drop { $0 == " " }.prefix { $0 != ":" }
            // Of backend-trust only the trust itself is a default, and it has no short form.
            if rest.hasPrefix("  minimum-tls") { return String(line) }
            return keys.contains(String(key)) && rest.contains(":")
                ? String(line[..<mark.lowerBound] + rest) : String(line)
        }
        let (explicit, findings) = ConnectorConfigurationReader.read(
            Array(lines.joined(separator: "\n").utf8),
            file: "explicit"
        )
        #expect(findings.allSatisfy { $0.severity == .warning })
        #expect(explicit?.tunnel == configuration.tunnel)
        #expect(explicit?.forwarding == configuration.forwarding)
        #expect(explicit?.eventLoops == configuration.eventLoops)
        #expect(lines.filter { $0.hasPrefix("  max-streams") || $0.hasPrefix("times:") }.count == 2)
    }

    @Test("The file of the design loads as it stands")
    func design() throws {
        let file = Repository.root.appending(path: "Tests/ConfigFiles/valid/design.conf").path
        let configuration = try ConnectorConfigurationReader.load(file).configuration
        #expect(configuration.subaccount == "3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10")
        #expect(configuration.tunnel.connections == 2)
        #expect(configuration.check.interval == .seconds(30))
        #expect(configuration.systems[0].backEndType == .nonSAPsys)
    }

    @Test("The reference configuration of the cloud side loads")
    func cloudReference() throws {
        let file = Repository.root.appending(path: "etc/cloud.conf").path
        let (configuration, _) = try CloudConfigurationReader.load(file)
        #expect(configuration.service.proxyAddress.description == "127.0.0.1:20003")
        #expect(configuration.service.tunnelTLS.requiresClientCertificate)
    }

    @Test("All findings come at once, each with file, line, column and key")
    func allAtOnce() {
        let text = """
            subacount: s
            tunnel:
              service: h
              certifikate: a
              private-key: /dev/null
              trusted-ca: /dev/null
              connections: 99
            systems:
              - virtual-host: a:70000
                internal-host: b
                protocol: HTPP
                resources:
                  - {path: hello, access: path-olny}
            """
        #expect(
            Self.read(text).1 == [
                "f:1:1: error: subaccount: is missing: the name or ID of the subaccount this connector serves",
                "f:1:1: error: subacount: is not a key that is known here; did you mean \"subaccount\"?",
                "f:3:3: error: tunnel.certificate: is missing: a PEM file",
                "f:4:3: error: tunnel.certifikate: is not a key that is known here; did you mean \"certificate\"?",
                "f:7:16: error: tunnel.connections: must be a number from 1 to 64, not \"99\"",
                "f:9:19: error: systems[0].virtual-host: 70000 is not a port; ports go from 1 to 65535",
                "f:10:20: error: systems[0].internal-host: names no port; write \"b:PORT\"",
                "f:11:15: error: systems[0].protocol: \"HTPP\" is not one of HTTP, HTTPS, TCP, TCPS; did you mean HTTP?",
                "f:13:16: error: systems[0].resources[0].path: \"hello\" can never match: a resource path starts with \"/\"",
                "f:13:31: error: systems[0].resources[0].access: \"path-olny\" is not one of path-only, path-and-sub-paths; did you mean path-only?",
            ]
        )
    }

    @Test("A key that stands twice is an error at the second place")
    func duplicateKey() {
        #expect(
            Self.read(Self.head + "description: a\ndescription: b\n").1.contains(
                "f:4:1: error: description: stands here a second time; it already stands in line 3"
            )
        )
    }

    @Test("A virtual host and port can stand for one system only, in whatever case")
    func duplicateSystem() {
        let system = "internal-host: b:1, protocol: HTTP, resources: [{path: /x, access: path-only}]}"
        #expect(
            Self.findings("systems:\n  - {virtual-host: a:1, \(system)\n  - {virtual-host: A:1, \(system)\n") == [
                "f:5:20: error: systems[1].virtual-host: a:1 is already mapped in line 4; a virtual host and port stand for one system"
            ]
        )
    }

    @Test(
        "What an administrator may not have meant is a warning",
        arguments: [
            (
                "virtual-host: a_b:1", "{path: /x, access: path-only}",
                "an underscore in a virtual host makes requests fail"
            ),
            ("virtual-host: a:1", "{path: /, access: path-and-sub-paths}", "exposes the whole system"),
            ("virtual-host: a:1", "{path: /x, access: path-and-sub-paths}", "the prefix ends inside a segment"),
            ("virtual-host: a:1", "{path: /x, access: path-only, active: false}", "all are suspended"),
            ("virtual-host: a:1", "", "there are none, so every request"),
            (
                "virtual-host: a:1", "{path: /x/, access: path-and-sub-paths}, {path: /x/y, access: path-only}",
                "makes no difference: /x/ in line 4"
            ),
            ("virtual-host: a:1", "{path: /x, access: path-only, segment-match: true}", "has no effect"),
        ]
    )
    func warnings(_ host: String, _ resources: String, _ expected: String) {
        let text = "systems:\n  - {\(host), internal-host: b:1, protocol: HTTP, resources: [\(resources)]}\n"
        let (configuration, findings) = Self.read(Self.head + text)
        #expect(configuration != nil)
        #expect(findings.count == 1 && findings[0].contains("warning") && findings[0].contains(expected), "\(findings)")
    }

    @Test(
        "What cannot work is an error",
        arguments: [
            ("protocol: RFC", "RFC is not supported yet"), ("protocol: LDAPS", "LDAPS is not supported yet"),
            ("protocol: HTTP, back-end-type: sap", "is not one of abapSys"),
            ("protocol: HTTP, host-in-header: inner", "is not one of virtual, internal"),
            ("protocol: HTTP, resources: {path: /x}", "must be a list"),
            ("protocol: HTTP, resources: [{path: /a/../b, access: path-only}]", "dot segment"),
            ("protocol: HTTP, resources: [{path: /a}]", "access: is missing"),
            ("protocol: HTTP, resources: [{path: /a, access: path-only, active: maybe}]", "must be true or false"),
            (
                "protocol: HTTP, resources: [{path: /a, access: path-only}, {path: /a, access: path-only}]",
                "already stands in line 4"
            ),
            ("protocol: TCP, resources: [{path: /a, access: path-only}]", "TCP has no paths"),
        ]
    )
    func errors(_ rest: String, _ expected: String) {
        let (configuration, findings) = Self.read(
            Self.head + "systems:\n  - {virtual-host: a:1, internal-host: b:1, \(rest)}\n"
        )
        #expect(configuration == nil)
        #expect(findings.contains { $0.contains("error") && $0.contains(expected) }, "\(findings)")
    }

    @Test(
        "Text that is no configuration is refused with its place",
        arguments: [
            ("", "f:1:1: error: the file is empty"), ("a: [1\nb: 2\n", "f:2:"), ("a: b: c\n", "f:1:5"),
            ("- a\n", "must be a mapping"),
            ("a: *b\n", "aliases are not supported"), ("a: 1\n---\nb: 2\n", "second document"), ("\u{0}", "f:1:"),
            (String(repeating: "[", count: 1000), "nested too deeply"),
        ]
    )
    func notYAML(_ text: String, _ expected: String) {
        let (configuration, findings) = Self.read(text)
        #expect(configuration == nil && findings.contains { $0.contains(expected) }, "\(findings)")
    }

    @Test("Times are read with their unit")
    func times() {
        #expect(DurationText.nanoseconds("500ms") == 500_000_000)
        #expect(DurationText.nanoseconds("5m") == 300_000_000_000)
        for text in ["5", "5 s", "-1s", "s", "1d", "99999999999999999999s"] {
            #expect(DurationText.nanoseconds(text) == nil)
        }
    }

    @Test("Changed configurations never crash the reader")
    func mutations() throws {
        let original = Array(try Data(contentsOf: Repository.root.appending(path: "etc/connector.conf")))
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<300 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...5, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = .random(in: 0...255, using: &generator)
                case 1: bytes.removeSubrange(index..<min(bytes.count, index + 20))
                default: bytes.insert(contentsOf: Array(": - {[\n".utf8), at: index)
                }
                if bytes.isEmpty { break }
            }
            let (configuration, findings) = ConnectorConfigurationReader.read(bytes, file: "f")
            #expect(configuration != nil || !findings.isEmpty)
        }
    }
}
