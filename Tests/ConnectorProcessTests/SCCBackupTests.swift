import AccessPolicy
import CloudConnector
import Testing
import TextFormats

@testable import ConnectorProcess

/// What becomes of a backup of SAP's Cloud Connector.
struct SCCBackupTests {
    private static let folder = "scc_config/cf.eu10.hana.ondemand.com/29aae562-bffb-4e82-9ee5-6e0d4f5f7070"

    private static func mapping(_ host: String, _ mode: String, protocol proto: String = "HTTPS") -> String {
        """
        <systemMapping><virtualHost>\(host)</virtualHost><virtualPort>443</virtualPort><internalHost>erp.corp</internalHost>
        <internalPort>44300</internalPort><communicationProtocol>\(proto)</communicationProtocol><backendType>abapSys</backendType>
        <authenticationMode>\(mode)</authenticationMode><internalHostInHeader>INTERNAL</internalHostInHeader><sid>E1</sid>
        <description>It &amp; is</description></systemMapping>
        """
    }

    private static let resources = """
        <resources><resource><resourceName>/sap/</resourceName><enabled>true</enabled><wildcard>true</wildcard>
        <websocketUpgradeAllowed>true</websocketUpgradeAllowed><description>all</description></resource>
        <resource><resourceName>/ping</resourceName><enabled>false</enabled><wildcard>false</wildcard></resource></resources>
        """

    private static func backup(_ entries: (String, String)...) -> [UInt8] {
        ZipArchive(entries.map { .init($0.0, Array($0.1.utf8)) }).bytes
    }

    private static func imported(_ bytes: [UInt8], subaccount: String? = nil) throws -> SCCImport {
        SCCImport(try SCCBackup(bytes).read(subaccount: subaccount), source: "b.zip", service: "service:443")
    }

    @Test("Mappings and resources come over as they are, and the file says where from")
    func mappings() throws {
        let result = try Self.imported(
            Self.backup(
                ("manifest.json", #"{"version":"2.19.0.2","filesCRC":{"esalt.bin":1}}"#),
                ("config/users.xml", "not XML"),
                ("\(Self.folder)/backends.xml", "<backends>\(Self.mapping("erp", "NONE"))</backends>"),
                ("\(Self.folder)/erp_443.xml", Self.resources),
                ("\(Self.folder)/scc.p12", "binary")
            )
        )
        let text = try #require(result.files.first { $0.path == "connector.conf" }).text
        let read = ConnectorConfigurationReader.read(Array(text.utf8), file: "f")
        let configuration = try #require(read.0, "\(read.1)\n\(text)")
        #expect(configuration.subaccount == "29aae562-bffb-4e82-9ee5-6e0d4f5f7070")
        #expect(configuration.regionHost == "cf.eu10.hana.ondemand.com")
        let system = try #require(configuration.systems.first)
        #expect(system.virtualAddress == "erp:443" && system.internalHost == "erp.corp" && system.protocol == .https)
        #expect(system.description == "It & is" && system.authentication.mode == .none)
        #expect(system.resources.map(\.path) == ["/sap/", "/ping"])
        #expect(system.resources.map(\.isActive) == [true, false])
        #expect(result.notes.contains { $0.hasPrefix("not read: ") } && text.contains("# Not read: certificates"))
    }

    @Test(
        "Modes have other names in backups; who would arrive as a user is not exposed without",
        arguments: [
            ("NONE_CERTIFICATE_LOCAL", "authentication-mode: NONE_RESTRICTED", true),
            ("X509_CERTIFICATE", "(X509_GENERAL)", false), ("X509_CERTIFICATE_LOCAL", "(X509_RESTRICTED)", false),
            ("KERBEROS", "(KERBEROS)", false), ("SOMETHING", "(SOMETHING) is not supported", false),
        ]
    )
    func modes(_ mode: String, _ expected: String, _ isExposed: Bool) throws {
        let result = try Self.imported(
            Self.backup(("\(Self.folder)/backends.xml", "<b>\(Self.mapping("erp", mode))</b>"))
        )
        let text = try #require(result.files.first { $0.path == "connector.conf" }).text
        #expect(text.contains(expected), "\(text)")
        #expect(text.contains("\n  - virtual-host") == isExposed, "\(text)")
    }

    @Test("A host or port that is none, and a mapping that stands twice, are named and not exposed, and the file loads")
    func oddAddresses() throws {
        let good = Self.mapping("erp", "NONE")
        let odd = [
            good, good, Self.mapping("a b", "NONE"),
            good.replacing("erp<", with: "x<").replacing(">443<", with: ">99999<"),
            good.replacing("erp<", with: "y<").replacing("erp.corp", with: "[z"),
        ]
        let result = try Self.imported(Self.backup(("\(Self.folder)/backends.xml", "<b>\(odd.joined())</b>")))
        let text = try #require(result.files.first { $0.path == "connector.conf" }).text
        let read = ConnectorConfigurationReader.read(Array(text.utf8), file: "f")
        #expect(try #require(read.0, "\(read.1)").systems.map(\.virtualAddress) == ["erp:443"])
        for cause in [
            "is mapped above already", "a b is not a host name", "99999 is not a port", "[z is not a host name",
        ] {
            #expect(result.notes.contains { $0.contains(cause) }, "\(cause): \(result.notes)")
        }
    }

    @Test("Subject patterns are named for whoever sets up principal propagation, but the usual one")
    func patterns() throws {
        func pattern(_ key: String, _ value: String, _ condition: String) -> String {
            "<subjectPattern><dnEntries><entry><key>\(key)</key><value>\(value)</value></entry></dnEntries>"
                + "<condition>\(condition)</condition></subjectPattern>"
        }
        let patterns = pattern("E", "${mail}", "${type} is intern") + pattern("CN", "${name}", "")
        let result = try Self.imported(
            Self.backup(
                ("scc_config/scc_config.ini", "<c><subjectPatterns>\(patterns)</subjectPatterns></c>"),
                ("\(Self.folder)/backends.xml", "<b/>")
            )
        )
        let named = result.notes.filter { $0.hasPrefix("subject pattern") }
        #expect(
            named.count == 1 && named[0].contains("${type} is intern") && named[0].contains("EMAIL=${mail}"),
            "\(named)"
        )
    }

    @Test("What is no backup, or is broken, is refused with its place, and nothing is taken over by halves")
    func refused() throws {
        func cause(_ bytes: [UInt8], _ subaccount: String? = nil) -> String {
            do {
                _ = try SCCBackup(bytes).read(subaccount: subaccount)
                return ""
            } catch {
                return "\(error)"
            }
        }
        let plain = ("\(Self.folder)/backends.xml", "<b>\(Self.mapping("erp", "NONE"))</b>")
        #expect(cause(Array("no zip".utf8)).contains("not a ZIP archive"))
        #expect(cause(Self.backup(("backup.json", "{}"))).contains("is no backup of a Cloud Connector"))
        #expect(cause(Self.backup(plain), "other").contains("there is no subaccount other; there are 29aae562"))
        #expect(cause(Self.backup(("\(Self.folder)/backends.xml", "<b>"))).contains("backends.xml: line 1"))
        let nameless = plain.1.replacing("<virtualHost>erp</virtualHost>", with: "")
        #expect(cause(Self.backup((plain.0, nameless))).contains("a mapping has no virtualHost"))
        let broken = Self.backup(plain, ("\(Self.folder)/erp_443.xml", "<r><resource/></r>"))
        #expect(cause(broken).contains("erp_443.xml: a resource has no resourceName"))
    }
}
