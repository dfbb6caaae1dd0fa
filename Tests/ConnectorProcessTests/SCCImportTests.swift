import AccessPolicy
import CloudConnector
import ConfigurationReading
import JSON
import Testing

@testable import ConnectorProcess

/// What becomes of a Cloud Connector's configuration.
struct SCCImportTests {
    private static func decode<Value: Decodable>(_ type: Value.Type, _ json: String) throws -> Value {
        try JSONLines.decode(type, json.utf8)
    }

    private static func documents(_ subaccounts: String..., mappings: [(String, String)] = []) throws -> SCCDocuments {
        var documents = SCCDocuments()
        documents.version = "2.19.0.2"
        for text in subaccounts {
            var subaccount = SCCSubaccount(entity: try decode(SCCSubaccountEntity.self, text))
            for (mapping, resources) in mappings {
                subaccount.mappings.append(
                    (try decode(SCCMapping.self, mapping), try decode([SCCResource].self, resources))
                )
            }
            documents.subaccounts.append(subaccount)
        }
        return documents
    }

    private static let plant =
        #"{"regionHost":"cf.example.com","subaccount":"plant-4","locationID":"","description":"Plant \"4\""}"#

    private static func imported(_ documents: SCCDocuments) -> SCCImport {
        SCCImport(documents, source: "https://scc.example.com:8443", service: "service.example.com:443")
    }

    /// The findings of all files; none of them may be an error.
    private static func check(_ result: SCCImport) {
        for (path, text) in result.files where path.hasSuffix(".conf") {
            let (configuration, findings) = ConnectorConfigurationReader.read(Array(text.utf8), file: path)
            #expect(configuration != nil, "\(findings)\n\(text)")
        }
    }

    @Test("Mappings and resources come over with all that they say, whether as texts or as numbers and flags")
    func mappings() throws {
        let mapping = #"""
            {"virtualHost":"erp","virtualPort":"443","localHost":"10.1.2.3","localPort":8443,"protocol":"HTTPS","backendType":"abapSys",
            "hostInHeader":"INTERNAL","authenticationMode":"NONE","description":"it's: #1","totalResourcesCount":2,"_links":{}}
            """#
        let resources = #"""
            [{"id":"/","enabled":true,"exactMatchOnly":false,"websocketUpgradeAllowed":false,"description":"all"},
            {"id":"/ping","enabled":"false","exactMatchOnly":"true"}]
            """#
        let result = Self.imported(try Self.documents(Self.plant, mappings: [(mapping, resources)]))
        let text = try #require(result.files.first { $0.path == "connector.conf" }).text
        #expect(result.notes.isEmpty)
        #expect(text.contains("# Imported from https://scc.example.com:8443.\n"))
        let configuration = try #require(ConnectorConfigurationReader.read(Array(text.utf8), file: "f").0)
        #expect(configuration.subaccount == "plant-4" && configuration.description == "Plant \"4\"")
        #expect(configuration.tunnel.serviceHost == "service.example.com")
        let system = try #require(configuration.systems.first)
        #expect(system.virtualAddress == "erp:443" && system.internalAddress == "10.1.2.3:8443")
        #expect(system.protocol == .https && system.backEndType == .abapSys && system.hostInHeader == .internal)
        #expect(system.description == "it's: #1")
        #expect(system.resources.map(\.path) == ["/", "/ping"] && system.resources.map(\.isActive) == [true, false])
        #expect(system.resources.map(\.access) == [.pathAndSubPaths, .pathOnly])
    }

    @Test(
        "What would be exposed with less protection, or cannot be, is a comment with its reason",
        arguments: [
            (#""protocol":"HTTPS","authenticationMode":"X509_GENERAL""#, "principal propagation (X509_GENERAL)"),
            (#""protocol":"HTTP","authenticationMode":"KERBEROS""#, "principal propagation (KERBEROS)"),
            (#""protocol":"RFC""#, "RFC is not supported yet"), (#""protocol":"LDAPS""#, "LDAPS is not supported yet"),
        ]
    )
    func obstacles(_ fields: String, _ reason: String) throws {
        let mapping = #"{"virtualHost":"erp","virtualPort":"443","localHost":"h","localPort":"1",\#(fields)}"#
        let documents = try Self.documents(
            Self.plant,
            mappings: [(mapping, #"[{"id":"/a","enabled":true,"exactMatchOnly":true}]"#)]
        )
        let result = Self.imported(documents)
        Self.check(result)
        let text = result.files[0].text
        #expect(
            text.contains("systems: []   # without [] once there is one\n  # - virtual-host: erp:443\n")
                && text.contains("# - erp:443: \(reason)")
        )
        #expect(result.notes.count == 1 && result.notes[0].hasPrefix("plant-4: erp:443: \(reason)"))
    }

    @Test("A resource that can never match keeps its system from being exposed half")
    func badResource() throws {
        let mapping = #"{"virtualHost":"a","virtualPort":"80","localHost":"h","localPort":"1","protocol":"HTTP"}"#
        let result = Self.imported(
            try Self.documents(Self.plant, mappings: [(mapping, #"[{"id":"x","enabled":true,"exactMatchOnly":true}]"#)])
        )
        Self.check(result)
        #expect(result.notes.first?.contains("a resource path starts with") == true)
    }

    @Test("Further subaccounts get files of their own in connector.d, and no name leads out of it")
    func subaccounts() throws {
        let other = #"{"regionHost":"r","subaccount":"../../etc/x","locationID":"L 1"}"#
        let result = Self.imported(try Self.documents(Self.plant, other))
        Self.check(result)
        #expect(result.files.map(\.path) == ["connector.conf", "connector.d/______etc_x-L_1.conf"])
        #expect(result.files[1].text.contains("certificate: /var/lib/connector/tls/______etc_x-L_1/connector.pem"))
        #expect(result.files[1].text.contains("subaccount: \"../../etc/x\""))
    }

    @Test("Whatever a text holds, it stays a value or a comment")
    func hostileTexts() throws {
        let entity = #"{"regionHost":"r\nsystems: [x]","subaccount":"a\n# b","description":"\u2028\"'\\ : #"}"#
        let mapping =
            #"{"virtualHost":"a\n- b","virtualPort":"80","localHost":"h","localPort":"1","protocol":"RFC\nadmin: {}","description":"x\ny"}"#
        var documents = try Self.documents(entity, mappings: [(mapping, "[]")])
        documents.subjectPatterns = [try Self.decode(SCCSubjectPattern.self, #"{"condition":"a\nb is c"}"#)]
        let result = Self.imported(documents)
        let text = result.files[0].text
        let configuration = ConnectorConfigurationReader.read(Array(text.utf8), file: "f")
        // A control character in a subaccount is refused by its rule, and nothing else is there.
        #expect(configuration.1.filter { $0.severity == .error }.map(\.key) == ["subaccount"], "\(configuration.1)")
        #expect(!text.contains("\nadmin:") && !text.contains("\n- b"))
    }

    @Test("Proxy and trust come over; a password that was not told is named as a file")
    func common() throws {
        var documents = try Self.documents(Self.plant)
        documents.proxy = try Self.decode(SCCProxy.self, #"{"host":"proxy","port":"3128","user":"u","password":"***"}"#)
        documents.trustStore.trustAllBackends = true
        documents.trustedCertificates = "-----BEGIN CERTIFICATE-----\n"
        documents.subjectPatterns = [
            try Self.decode(SCCSubjectPattern.self, #"{"condition":"always true","subjectPattern":{"CN":"x"}}"#)
        ]
        let result = Self.imported(documents)
        #expect(result.files.map(\.path) == ["backend-trust.pem", "connector.conf"] && result.notes.isEmpty)
        let text = result.files[1].text
        #expect(
            text.contains(
                "  http-proxy:\n    address: proxy:3128\n    user: u\n    password-file: credential:connector_proxy-password\n"
            )
        )
        #expect(
            text.contains(
                "backend-trust:\n  certificates:\n    - /etc/connector/backend-trust.pem\n  trust-all: true\n"
            )
        )
    }
}
