import CloudServices
import ConfigurationReading
import ConnectivityService
import ConnectorTestSupport
import Cryptography
import Foundation
import NIOCore
import Testing
import TextFormats

@testable import CloudProcess

/// How `cloud.conf` is read.
struct CloudConfigurationTests {
    private static let head = """
        subaccount: test
        tunnel: {certificate: /dev/null, private-key: /dev/null, trusted-ca: /dev/null}

        """
    private static let own = """
        subaccount: test
        enrolment: {authority: a, service-names: [localhost]}
        api: {directory: d}

        """

    private static func read(_ text: String) -> (CloudConfiguration?, [String]) {
        let (configuration, findings) = CloudConfigurationReader.read(Array(text.utf8), file: "c")
        return (configuration, findings.map(\.description))
    }

    private static func readOwn(_ text: String) -> CloudConfiguration? { read(own + text).0 }

    @Test("The file that comes along is valid, and says what the defaults are")
    func shipped() throws {
        let file = Repository.root.appending(path: "etc/cloud.conf")
        let (configuration, findings) = Self.read(try String(contentsOf: file, encoding: .utf8))
        let cloud = try #require(configuration, "\(findings)")
        #expect(cloud.usesOwnCertificate && !cloud.usesTokens && cloud.api != nil && cloud.cockpit != nil)
        #expect(
            "\(cloud.service.proxyAddress)" == "127.0.0.1:20003"
                && "\(cloud.service.tunnelAddress)" == "127.0.0.1:20443"
        )
        let defaults = ServiceConfiguration(tunnelTLS: TLSConfiguration(role: .server), subaccount: "")
        #expect(cloud.service.maxConnections == defaults.maxConnections && cloud.service.times == defaults.times)
        #expect(cloud.service.tenants == defaults.tenants && cloud.service.minimumBodyRate == defaults.minimumBodyRate)
    }

    @Test("The least that is needed is a subaccount and a certificate")
    func least() throws {
        let (configuration, findings) = Self.read(Self.head)
        #expect(findings.isEmpty)
        let cloud = try #require(configuration)
        #expect(
            cloud.service.subaccount == "test" && !cloud.usesOwnCertificate && cloud.api == nil && cloud.cockpit == nil
        )
        #expect(cloud.service.tunnelTLS.requiresClientCertificate && cloud.service.isStrict)
    }

    @Test(
        "What is missing is named, with what it is for",
        arguments: [
            ("", "the file is empty"),
            ("proxy: {listen: \"127.0.0.1:1\"}", "subaccount: is missing: whose connectors serve"),
            ("subaccount: a", "tunnel: is missing: connectors need a certificate to trust"),
            ("subaccount: a\ntunnel: {certificate: c}", "tunnel.private-key: is missing"),
            ("subaccount: a\nenrolment: {service-names: [a]}", "enrolment.authority: is missing"),
            ("subaccount: a\nenrolment: {authority: a}", "enrolment.service-names: is missing"),
            ("subaccount: a\nenrolment: {authority: a, service-names: [a]}\napi: {}", "api.directory: is missing"),
        ]
    )
    func missing(_ text: String, _ expected: String) {
        let (configuration, findings) = Self.read(text)
        #expect(configuration == nil && findings.contains { $0.contains(expected) }, "\(findings)")
    }

    @Test(
        "What cannot work is an error at its place",
        arguments: [
            ("proxy: {authorization: token}", "proxy.authorization: token needs the section \"api\""),
            ("proxy: {authorization: basic}", "is not one of none, token"),
            ("proxy: {listen: localhost}", "names no port"),
            ("proxy: {max-connections: 0}", "must be a number from 1 to 100000"),
            ("proxy: {max-headers: 1000}", "must be a number from 10 to 100"),
            ("proxy: {connection-binding: loose}", "is not one of strict, relaxed"),
            ("socks: {}", "needs the section \"api\": SOCKS5 clients authenticate"),
            ("cockpit: {}", "needs the section \"api\": the page shows its destinations"),
            ("limits: {tunnels-per-connector: 1}", "must be a number from 2 to 1000"),
            ("limits: {systems-per-conector: 5}", "did you mean \"systems-per-connector\"?"),
            ("limits: {min-body-rate: fast}", "must be a number from 0 to 1000000"),
            ("times: {drain: 1d}", "must be a time such as"), ("times: {keep-alive: 10ms}", "from 1s to 12h"),
            ("event-loops: 65", "must be a number from 1 to 64"),
            ("log: {level: loud}", "is not one of trace, debug, info"),
            ("audit: {level: all}", "audit.directory: is missing"), ("admin: {metrics: here}", "names no port"),
            ("proxi: {}", "did you mean \"proxy\"?"),
        ]
    )
    func errors(_ text: String, _ expected: String) {
        let (configuration, findings) = Self.read(Self.head + text)
        #expect(configuration == nil && findings.contains { $0.contains("c:") && $0.contains(expected) }, "\(findings)")
    }

    @Test(
        "What an operator may not have meant is a warning",
        arguments: [
            ("proxy: {listen: \"0.0.0.0:20003\"}", "everyone who reaches 0.0.0.0 can use the proxy"),
            ("admin: {metrics: \"0.0.0.0:9000\"}", "can read the metrics"),
        ]
    )
    func warnings(_ text: String, _ expected: String) {
        let (configuration, findings) = Self.read(Self.head + text)
        #expect(
            configuration != nil && findings.contains { $0.contains("warning") && $0.contains(expected) },
            "\(findings)"
        )
    }

    @Test("Limits and times are taken with their units")
    func limits() throws {
        let (configuration, findings) = Self.read(
            Self.head + """
                limits: {tunnels-per-connector: 3, systems-per-connector: 10, systems: 50, held-mib-per-subaccount: 2, memory-mib: 0}
                times: {request-head: 3s, exchange: 1m, drain: 0s}
                """
        )
        let service = try #require(configuration, "\(findings)").service
        #expect(service.tenants.tunnelsPerConnector == 3 && service.tenants.exposedSystems.perConnector == 10)
        #expect(service.tenants.exposedSystems.inAll == 50 && service.tenants.heldBytes == 2 << 20)
        #expect(service.tenants.processMemory == 0)
        #expect(service.times.requestHead == .seconds(3) && service.times.exchange == .minutes(1))
        #expect(service.times.drain == .seconds(0) && service.times.keepAlive == ProxyTimes().keepAlive)
    }

    @Test("An authority of its own takes the place of certificates, and connectors enrol beside tunnels")
    func authority() throws {
        let cloud = try #require(Self.readOwn("proxy: {authorization: token}"))
        #expect(cloud.usesOwnCertificate && cloud.usesTokens && cloud.enrolment?.serviceNames == ["localhost"])
        #expect(cloud.enrolment?.lifetime == 90 * 86400 && cloud.enrolment?.advertise.isEmpty == true)
    }

    @Test(
        "The address that connectors are told is put together as one",
        arguments: [("a.example:443", "a.example:443"), ("'[2001:db8::1]:443'", "[2001:db8::1]:443")]
    )
    func advertise(_ text: String, _ expected: String) throws {
        let text = "subaccount: a\nenrolment: {authority: a, service-names: [a], advertise: \(text)}"
        #expect(try #require(Self.read(text).0).enrolment?.advertise == expected)
    }

    @Test("The API is reached under its URL, or else under its address")
    func url() throws {
        #expect(try #require(Self.readOwn("")?.api).url(port: 5) == "http://localhost:5")
        let text =
            "subaccount: a\nenrolment: {authority: a, service-names: [a]}\napi: {directory: d, url: \"https://api.example\"}"
        #expect(try #require(Self.read(text).0?.api).url(port: 5) == "https://api.example")
        let six =
            "subaccount: a\nenrolment: {authority: a, service-names: [a]}\napi: {directory: d, listen: \"[2001:db8::1]:1\"}"
        #expect(try #require(Self.read(six).0?.api).url(port: 5) == "http://[2001:db8::1]:5")
    }

    @Test(
        "A URL of the API that programs could not use is refused",
        arguments: ["ftp://x", "https://x/", "https://x y", "https://", "x", "https://x?y"]
    )
    func badURL(_ url: String) {
        let text = "subaccount: a\nenrolment: {authority: a, service-names: [a]}\napi: {directory: d, url: \"\(url)\"}"
        #expect(Self.read(text).0 == nil)
    }

    @Test("Tenants have an ID and a subdomain of their own each")
    func tenants() {
        func findings(_ tenants: String) -> [String] {
            Self.read(
                "subaccount: a\nenrolment: {authority: a, service-names: [a]}\napi: {directory: d, tenants: [\(tenants)]}"
            ).1
        }
        #expect(findings("{subaccount: b, subdomain: b}, {subaccount: c, subdomain: c}").isEmpty)
        #expect(
            findings("{subaccount: b, subdomain: b}, {subaccount: b, subdomain: c}").contains {
                $0.contains("must be different")
            }
        )
        #expect(
            findings("{subaccount: b, subdomain: b}, {subaccount: c, subdomain: B}").contains {
                $0.contains("must be different")
            }
        )
        #expect(findings("{subaccount: a, subdomain: b}").contains { $0.contains("must be different") })
        #expect(findings("{subaccount: b, subdomain: b.c}").contains { $0.contains("one host label") })
    }

    @Test("A page beyond loopback needs a password, and a long one")
    func cockpit() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "password-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try "long enough\n".write(to: file, atomically: true, encoding: .utf8)
        #expect(Self.readOwn("cockpit: {}")?.cockpit?.password == nil)
        #expect(Self.readOwn("cockpit: {listen: \"0.0.0.0:1\"}") == nil)
        #expect(
            Self.readOwn("cockpit: {listen: \"0.0.0.0:1\", password-file: \(file.path)}")?.cockpit?.password
                == "long enough"
        )
        try "short".write(to: file, atomically: true, encoding: .utf8)
        #expect(Self.readOwn("cockpit: {password-file: \(file.path)}") == nil)
        #expect(Self.readOwn("cockpit: {password-file: /nonexistent}") == nil)
    }

    @Test("Names of the page are host names or addresses, without ports")
    func hostNames() {
        #expect(
            Self.readOwn("cockpit: {host-names: [a.example, \"[::1]\"]}")?.cockpit?.hostNames == ["a.example", "[::1]"]
        )
        #expect(Self.readOwn("cockpit: {host-names: [\"a:80\"]}") == nil)
    }
}
