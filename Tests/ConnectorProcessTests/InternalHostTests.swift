import AccessPolicy
import CloudConnector
import Testing

@testable import ConnectorProcess

/// `internal-host` as people write it.
struct InternalHostTests {
    private static func system(_ host: String, _ kind: String = "HTTP", more: String = "") -> (SystemMapping?, [String])
    {
        let text =
            "systems: [{virtual-host: \"v:1\", internal-host: \"\(host)\", protocol: \(kind), resources: [{path: /, access: path-only}]\(more)}]\n"
        let (configuration, findings) = ConnectorConfigurationTests.read(ConnectorConfigurationTests.head + text)
        return (configuration?.systems.first, findings)
    }

    @Test(
        "Without a port it is the usual one of the protocol",
        arguments: [
            ("erp", "HTTP", "erp", 80), ("erp", "HTTPS", "erp", 443), ("erp:8000", "HTTPS", "erp", 8000),
            ("10.1.2.3", "HTTP", "10.1.2.3", 80),
            ("[::1]", "HTTP", "::1", 80), ("[fd00::5]:8000", "HTTP", "fd00::5", 8000),
            ("[fd00::5]", "HTTPS", "fd00::5", 443),
        ] as [(String, String, String, UInt16)]
    )
    func ports(_ text: String, _ kind: String, _ host: String, _ port: UInt16) throws {
        let (system, findings) = Self.system(text, kind)
        #expect(system?.internalHost == host && system?.internalPort == port, "\(findings)")
    }

    @Test("TCP has no usual port, and says so", arguments: ["TCP", "TCPS"])
    func noUsualPort(_ kind: String) {
        let (system, findings) = Self.system("db", kind)
        #expect(system == nil && findings.contains { $0.contains("systems[0].internal-host") }, "\(findings)")
    }

    @Test(
        "What could be read in two ways is refused, with what was probably meant",
        arguments: [
            ("::1", "brackets"), ("fd00::5:8000", "brackets"), ("http://erp:8000", "internal-host"),
            ("erp:0", "internal-host"),
            ("erp:99999", "internal-host"), ("erp:", "internal-host"), ("er p:80", "internal-host"),
            ("", "internal-host"),
        ]
    )
    func refused(_ text: String, _ cause: String) {
        let (system, findings) = Self.system(text)
        #expect(system == nil && findings.contains { $0.contains(cause) }, "\(findings)")
    }

    @Test("Addresses are written with brackets wherever a port follows")
    func written() throws {
        let system = try #require(Self.system("[fd00::5]:8000").0)
        #expect(system.internalAddress == "[fd00::5]:8000")
        #expect(String(decoding: system.internalAuthority, as: UTF8.self) == "[fd00::5]:8000")
        let plain = try #require(Self.system("[fd00::5]", "HTTPS").0)
        #expect(String(decoding: plain.internalAuthority, as: UTF8.self) == "[fd00::5]")
    }

    @Test(
        "What a mapping may say of its requests",
        arguments: [
            (", response-timeout: 10m", true), (", response-timeout: 0s", false), (", response-timeout: soon", false),
            (", forwarded-headers: pass", true), (", forwarded-headers: yes", false),
            (", forwarded-header: pass", false),
        ]
    )
    func options(_ more: String, _ isRight: Bool) {
        let (system, findings) = Self.system("erp:80", more: more)
        #expect((system != nil) == isRight, "\(findings)")
    }
}
