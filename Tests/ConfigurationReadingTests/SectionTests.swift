import NIOCore
import Testing
import TextFormats
import YAMLDocument

@testable import ConfigurationReading

/// How keys are read: each test is a piece of a file, what is made of it, and what is said about it.
struct SectionTests {
    private enum Kind: String, CaseIterable { case http = "HTTP", https = "HTTPS", tcp = "TCP" }

    /// - Returns: what `read` gave, and the findings as `line:column: key: message`.
    private static func read<Value>(_ text: String, _ read: (inout Section) -> Value) throws -> (Value, [String]) {
        let findings = Findings(file: "f")
        var section = try #require(ConfigurationFile.section(Array(text.utf8), findings))
        let value = read(&section)
        section.finish()
        return (value, findings.sorted.map { "\($0.line):\($0.column): \($0.key): \($0.message)" })
    }

    @Test("A text is a text, nothing where there is nothing, and not a list")
    func strings() throws {
        let (values, findings) = try Self.read("a: x y\nb:\nc: [1]\nd: 5") { section in
            ["a", "b", "c", "d", "e"].map { section.string($0) }
        }
        #expect(values == ["x y", nil, nil, "5", nil])
        #expect(findings.count == 1 && findings[0].hasPrefix("3:4: c: must be a text, not "))
    }

    @Test("A key that must be there is missed by name, with what it is for")
    func required() throws {
        let (value, findings) = try Self.read("a: 1\nb:") { section in
            [section.required("b", "what b is for"), section.required("c", "what c is for"), section.required("a", "")]
        }
        #expect(value == [nil, nil, "1"])
        #expect(findings.contains { $0.hasSuffix("b: is missing: what b is for") })
        #expect(findings.contains { $0.hasSuffix("c: is missing: what c is for") })
    }

    @Test(
        "Flags are yes and no in the ways that people write them",
        arguments: [("true", true), ("Yes", true), ("ON", true), ("false", false), ("no", false), ("Off", false)]
    )
    func flags(_ text: String, _ expected: Bool) throws {
        let (value, findings) = try Self.read("a: \(text)") { $0.flag("a", !expected) }
        #expect(value == expected && findings.isEmpty)
    }

    @Test("A flag that is neither keeps what it would be without")
    func badFlag() throws {
        let (value, findings) = try Self.read("a: maybe") { $0.flag("a", true) }
        #expect(value && findings == ["1:4: a: must be true or false, not \"maybe\""])
    }

    @Test(
        "A number outside its range is named with the range",
        arguments: ["0", "101", "-1", "1.5", "ten", "1e2", "99999999999999999999"]
    )
    func badNumbers(_ text: String) throws {
        let (value, findings) = try Self.read("a: \(text)") { $0.integer("a", 7, in: 1...100) }
        #expect(value == 7 && findings == ["1:4: a: must be a number from 1 to 100, not \"\(text)\""])
    }

    @Test("Numbers within their range are taken", arguments: [1, 50, 100])
    func numbers(_ number: Int) throws {
        let (value, findings) = try Self.read("a: \(number)") { $0.integer("a", 7, in: 1...100) }
        #expect(value == number && findings.isEmpty)
    }

    @Test(
        "Times have a unit and bounds",
        arguments: [("500ms", 500), ("1s", 1000), ("2m", 120_000), ("12h", 43_200_000)]
    )
    func durations(_ text: String, _ milliseconds: Int64) throws {
        let (value, findings) = try Self.read("a: \(text)") {
            $0.duration("a", .seconds(9), atLeast: .milliseconds(100))
        }
        #expect(value == .milliseconds(milliseconds) && findings.isEmpty)
    }

    @Test("A time out of bounds, or without a unit, keeps the default", arguments: ["5", "99ms", "13h", "1d", "-1s"])
    func badDurations(_ text: String) throws {
        let (value, findings) = try Self.read("a: \(text)") {
            $0.duration("a", .seconds(9), atLeast: .milliseconds(100))
        }
        #expect(value == .seconds(9) && findings.count == 1)
        #expect(findings[0].contains("from 100ms to 12h, not \"\(text)\""))
    }

    @Test("A choice is one of its names, whatever its case, and a near miss is recognised")
    func choices() throws {
        let (found, none) = try Self.read("a: https") { $0.choice("a", Kind.self) }
        #expect(found == .https && none.isEmpty)
        let (missed, findings) = try Self.read("a: HTPS") { $0.choice("a", Kind.self) }
        #expect(missed == nil && findings == ["1:4: a: \"HTPS\" is not one of HTTP, HTTPS, TCP; did you mean HTTPS?"])
    }

    @Test("A choice that will come is refused as such")
    func unsupported() throws {
        let (value, findings) = try Self.read("a: rfc") { $0.choice("a", Kind.self, unsupported: ["RFC"]) }
        #expect(value == nil && findings == ["1:4: a: rfc is not supported yet; use one of HTTP, HTTPS, TCP"])
    }

    @Test("A list is a list, and nothing else is")
    func lists() throws {
        let (items, none) = try Self.read("a:\n  - 1\n  - 2") { $0.list("a").count }
        #expect(items == 2 && none.isEmpty)
        let (empty, findings) = try Self.read("a: 1") { $0.list("a").count }
        #expect(empty == 0 && findings[0].contains("must be a list, each item beginning with \"- \""))
    }

    @Test("A key that nobody asked for is named, with the nearest one that is known")
    func unknown() throws {
        let (_, findings) = try Self.read("descripton: x\nzzz: 1") { $0.string("description") }
        #expect(findings[0] == "1:1: descripton: is not a key that is known here; did you mean \"description\"?")
        #expect(findings[1] == "2:1: zzz: is not a key that is known here; known are description")
    }

    @Test("A key twice is named with the line where it stands already")
    func twice() throws {
        let (value, findings) = try Self.read("a: 1\nb: 2\na: 3") { section in
            (section.string("a"), section.string("b"))
        }
        #expect(value == ("1", "2"))
        #expect(findings == ["3:1: a: stands here a second time; it already stands in line 1"])
    }

    @Test("Something else than keys and values is said to be so")
    func notAMapping() throws {
        let (_, findings) = try Self.read("- a\n- b") { $0.string("a") }
        #expect(findings.count == 1 && findings[0].contains("must be a mapping of keys and values"))
    }

    @Test("A file of nothing says so")
    func empty() {
        for text in ["", "# a comment\n"] {
            let findings = Findings(file: "f")
            #expect(ConfigurationFile.section(Array(text.utf8), findings) == nil)
            #expect(findings.all.map(\.message) == ["the file is empty"])
        }
    }

    @Test("A file that is not YAML says where")
    func notYAML() {
        let findings = Findings(file: "f")
        #expect(ConfigurationFile.section(Array("a: [1\nb: 2".utf8), findings) == nil)
        #expect(findings.all.count == 1 && findings.all[0].line >= 1 && findings.all[0].severity == .error)
    }

    @Test(
        "Addresses are a host and a port",
        arguments: [
            ("host:80", "host:80"), ("'[::1]:443'", "[::1]:443"), ("10.0.0.1:65535", "10.0.0.1:65535"),
            ("host", "host:9"),
        ]
    )
    func addresses(_ text: String, _ expected: String) throws {
        let (value, findings) = try Self.read("a: \(text)") { $0.address("a", fallbackPort: 9) }
        #expect(value.map { "\($0)" } == expected && findings.isEmpty)
    }

    @Test(
        "An address that is none says what is wrong with it",
        arguments: [
            ("host", "names no port; write \"host:PORT\""), ("host:0", "0 is not a port; ports go from 1 to 65535"),
            ("host:65536", "65536 is not a port"), ("host:x", "must be host:port, not \"host:x\""),
            ("::1:80", "must be host:port"),
        ]
    )
    func badAddresses(_ text: String, _ expected: String) throws {
        let (value, findings) = try Self.read("a: \"\(text)\"") { $0.address("a") }
        #expect(value == nil && findings.count == 1 && findings[0].contains(expected), "\(findings)")
    }

    @Test("Port 0 is for those who listen")
    func zero() throws {
        let (value, findings) = try Self.read("a: host:0") { $0.address("a", allowsZero: true) }
        #expect(value?.port == 0 && findings.isEmpty)
    }

    @Test(
        "A range of ports is its first and how many",
        arguments: [("h:10-12", 10, 3), ("h:5", 5, 1), ("h:1-65535", 1, 65535)]
    )
    func ranges(_ text: String, _ first: Int, _ count: Int) throws {
        let (value, findings) = try Self.read("a: \(text)") { $0.portRange("a") }
        #expect(value?.host == "h" && value?.first == first && value?.count == count && findings.isEmpty)
    }

    @Test("A range backwards, or beyond the last port, is none", arguments: ["h:12-10", "h:1-65536", "h:0-5"])
    func badRanges(_ text: String) throws {
        let (value, findings) = try Self.read("a: \(text)") { $0.portRange("a") }
        #expect(value == nil && findings.count == 1 && findings[0].contains("is not a range of ports"))
    }

    @Test(
        "Lives of certificates have days to seconds, up to ten years",
        arguments: [("90d", 7_776_000), ("12h", 43200), ("10m", 600), ("30s", 30), ("3650d", 315_360_000)]
    )
    func lifetimes(_ text: String, _ seconds: Int) { #expect(LifetimeText.parse(text) == seconds) }

    @Test(
        "A life of nothing, beyond ten years or without a unit is none",
        arguments: ["0s", "3651d", "5", "d", "-1d", "1w", "99999999999999999999s"]
    )
    func badLifetimes(_ text: String) { #expect(LifetimeText.parse(text) == nil) }

    @Test("A credential stands for a file that systemd hands over; any other path is itself")
    func credentials() {
        #expect(Credential.path("/etc/x.pem") == "/etc/x.pem" && Credential.path("x.pem") == "x.pem")
        #expect(Credential.path("credential:connector_key").hasSuffix("/connector_key"))
        #expect(Credential.path("credential:key", of: .cloud) == "/run/credentials/connector-cloud.service/key")
        #expect(Credential.isElsewhere("/run/credentials/connector.service/x") && !Credential.isElsewhere("/etc/x"))
    }
}
