import JSON
import Testing

@testable import Destinations

/// What somebody probably did not mean is said; it is stored all the same.
struct PropertyNamesTests {
    private static func warnings(_ change: (inout [String: String]) -> Void) throws -> [String] {
        var properties = [
            "Name": "ERP", "Type": "HTTP", "URL": "http://erp:8000", "ProxyType": "OnPremise",
            "Authentication": "NoAuthentication",
        ]
        change(&properties)
        let value = JSONValue.object(properties.mapValues { .string($0) })
        return try NamedConfiguration(.destinations, value).warnings
    }

    @Test("A destination as SAP documents it has no warning")
    func plain() throws {
        #expect(try Self.warnings { _ in }.isEmpty)
        let more = [
            "URL.headers.x-own": "1", "URL.queries.sap-client": "100", "sap-client": "100",
            "HTML5.DynamicDestination": "true",
            "tokenServiceURL.headers.x": "1", "tokenService.body.x": "1", "CloudConnectorLocationId": "l",
            "sap.applicationdevelopment.actions.enabled": "true",
        ]
        #expect(try Self.warnings { $0.merge(more) { $1 } }.isEmpty)
    }

    @Test(
        "A slip of the pen gets the nearest name",
        arguments: [
            ("Url", "URL"), ("ProxyTyp", "ProxyType"), ("Pasword", "Password"),
            ("CloudConnectorLocationID", "CloudConnectorLocationId"),
            ("tokenServiceUrl", "tokenServiceURL"), ("sap_client", "sap-client"), ("clientID", "clientId"),
            ("url.headers.x", "URL.headers.x"), ("Tokenservice.body.a", "tokenService.body.a"),
        ]
    )
    func slips(_ name: String, _ meant: String) throws {
        let warnings = try Self.warnings { $0[name] = "x" }
        #expect(
            warnings.contains { $0.contains("\"\(name)\"") && $0.contains("did you mean \"\(meant)\"") },
            "\(warnings)"
        )
    }

    @Test("A name of one's own is said to be one, and its characters cannot be mistaken for the log's")
    func own() throws {
        let warnings = try Self.warnings { $0["completelyDifferent\u{1b}[1m"] = "x" }
        #expect(warnings.count == 1 && warnings[0].contains("programs get it as it is"))
        #expect(!warnings[0].unicodeScalars.contains("\u{1b}"), "\(warnings)")
    }

    @Test(
        "A URL that leads nowhere is named",
        arguments: [
            ("internalhost:3333", "not an http or https URL"), ("ftp://x", "not an http or https URL"),
            ("https://erp:443", "it is http, whatever the internal host speaks"), ("", "not an http or https URL"),
        ]
    )
    func urls(_ url: String, _ text: String) throws {
        let warnings = try Self.warnings { $0["URL"] = url }
        #expect(warnings.contains { $0.contains(text) }, "\(warnings)")
    }

    @Test("What is missing is named; other types have rules of their own")
    func missing() throws {
        #expect(try Self.warnings { $0["URL"] = nil }.contains { $0.hasPrefix("URL is missing") })
        #expect(try Self.warnings { $0["ProxyType"] = nil }.contains { $0.hasPrefix("ProxyType is missing") })
        #expect(try Self.warnings { ($0["Type"], $0["URL"], $0["jco.client.ashost"]) = ("RFC", nil, "h") }.isEmpty)
    }
}

/// `config.json` of a service instance.
struct ServiceInstanceFileTests {
    private static func read(_ text: String) throws -> ServiceInstanceFile? {
        try ServiceInstanceFile(try JSONLines.decode(JSONValue.self, Array(text.utf8)))
    }

    @Test("Destinations, fragments and certificates of both levels are found, with what becomes of existing ones")
    func whole() throws {
        let file = try #require(
            try Self.read(
                """
                {"init_data": {
                  "subaccount": {"existing_destinations_policy": "update", "destinations": [
                    {"Name": "A", "Type": "HTTP", "URL": "http://a", "ProxyType": "Internet",
                     "Authentication": "NoAuthentication", "TrustAll": true, "port": 5}]},
                  "instance": {"destinations": [{"Name": "B", "Type": "HTTP"}], "existing_fragments_policy": "ignore",
                    "fragments": [{"FragmentName": "F", "URL": "http://f"}]}}}
                """
            )
        )
        #expect(file.entries.map(\.configuration.name) == ["A", "F", "B"])
        #expect(file.entries.map(\.policy) == [.update, .ignore, .fail])
        #expect(file.entries[0].configuration["TrustAll"] == "true" && file.entries[0].configuration["port"] == "5")
    }

    @Test("Another kind of file is none", arguments: ["{}", "{\"Name\": \"A\"}", "[]"])
    func other(_ text: String) throws { #expect(try Self.read(text) == nil) }

    @Test(
        "What is wrong is named by its place",
        arguments: [
            ("{\"init_data\": 5}", "init_data must be an object"),
            ("{\"init_data\": {\"sub\": {}}}", "init_data.sub is not known"),
            (
                "{\"init_data\": {\"instance\": {\"destinations\": {}}}}",
                "init_data.instance.destinations must be an array"
            ),
            (
                "{\"init_data\": {\"instance\": {\"destinations\": [{\"Name\": \"A\", \"Type\": \"HTTP\"}, {}]}}}",
                "init_data.instance.destinations[1]"
            ),
            (
                "{\"init_data\": {\"instance\": {\"existing_destinations_policy\": \"replace\", \"destinations\": []}}}",
                "must be update, fail or ignore"
            ),
        ]
    )
    func wrong(_ text: String, _ cause: String) {
        var message = ""
        do { _ = try Self.read(text) } catch { message = "\(error)" }
        #expect(message.contains(cause), "\(message)")
    }
}
