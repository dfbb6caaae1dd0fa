import ConnectorTestSupport
import Foundation
import Glibc
import Testing

@testable import Destinations

struct DestinationFileTests {
    static let seed = """
        #
        Type=HTTP
        Name=ON_PREM_HELLO_WORLD
        URL=http\\://internalhost\\:3333
        ProxyType=OnPremise
        Authentication=NoAuthentication
        sap.processautomation.enabled=true
        sap.applicationdevelopment.actions.enabled=true

        """

    @Test("A properties file of the cockpit is read with Java's escapes")
    func properties() throws {
        let destination = try DestinationFile.read(Array(Self.seed.utf8), .properties, .destinations)
        #expect(destination.name == "ON_PREM_HELLO_WORLD")
        #expect(destination["URL"] == "http://internalhost:3333")
        #expect(destination["sap.processautomation.enabled"] == "true")
    }

    @Test(
        "Java's rules for keys, values and lines hold",
        arguments: [
            ("a=b", ["a": "b"]), ("a:b", ["a": "b"]), ("a b", ["a": "b"]), ("  a  =  b  ", ["a": "b  "]),
            ("a", ["a": ""]), ("a=", ["a": ""]), ("! x\n# y\n\n \t\na=b", ["a": "b"]), ("a=b\\\n   c", ["a": "bc"]),
            ("a=b\\\\\nc=d", ["a": "b\\", "c": "d"]), ("a\\ b=c", ["a b": "c"]), ("a\\=b=c", ["a=b": "c"]),
            ("a=\\u00e4\\t\\n\\q", ["a": "ä\t\nq"]), ("a=\\ud83d\\ude00", ["a": "😀"]), ("a=b=c:d", ["a": "b=c:d"]),
            ("a=1\r\nb=2\rc=3", ["a": "1", "b": "2", "c": "3"]), ("a==b", ["a": "=b"]), ("a=#b", ["a": "#b"]),
        ]
    )
    func lines(_ text: String, _ expected: [String: String]) throws {
        #expect(try PropertiesFormat.parse(text) == expected)
    }

    @Test("A bad escape and a key that stands twice are refused with their line")
    func badProperties() {
        #expect(throws: DestinationFileError(line: 2, "\\u needs four hexadecimal digits")) {
            try PropertiesFormat.parse("a=b\nb=\\u12")
        }
        #expect(throws: DestinationFileError(line: 3, "\"a\" stands here a second time")) {
            try PropertiesFormat.parse("a=1\n\na=2")
        }
    }

    @Test("What is written in any format is read again as it was", arguments: FileFormat.allCases)
    func roundTrip(_ format: FileFormat) throws {
        let values = [
            "plain", "", " leading", "trailing ", "a=b:c#d!e", "tab\tline\nreturn\r", "ä € 😀", "\\u0041", "\"quoted\"",
            "true",
            "~", "{a: b}", "# no comment", "\u{1}\u{7f}",
        ]
        for value in values {
            let properties = ["Name": "A", "Type": "HTTP", "key with space": value, "k=\\:": value]
            let bytes = DestinationFile.write(properties, format)
            #expect(try DestinationFile.read(bytes, format, .destinations).properties == properties)
        }
    }

    @Test(
        "A configuration that is none is refused with its reason",
        arguments: [
            (#"{"Type":"HTTP"}"#, "Missing or empty mandatory property: Name"),
            (#"{"Name":"A"}"#, "Missing mandatory property: Type"),
            (#"{"Name":"A","Type":"FTP"}"#, "Type must be one of HTTP, RFC, LDAP, TCP, MAIL"),
            (#"{"Name":"A","Type":"HTTP","TrustAll":true}"#, "The value of TrustAll must be a text, not true or false"),
            (#"{"Name":"A b","Type":"HTTP"}"#, "The name may have letters, digits, underscores and hyphens only"),
            (#"{"Name":"A","Type":"HTTP","Authentication":"Basic"}"#, "Authentication must be one of"),
            (#"{"Name":"A","Type":"HTTP","URL":"http://u:p@h/"}"#, "URL must not hold a user or password"),
            (#"{"Name":"A","Type":"HTTP","CloudConnectorLocationId":"a\r\nb"}"#, "CloudConnectorLocationId may have"),
            (#"{"Name":"A","Type":"HTTP","X":"\u0000"}"#, "Property X holds a NUL"),
            (#"[]"#, "A JSON object is needed, not an array"), ("{", "not JSON"),
            (#"{"Name":"x","URL":"a","URL":"b"}"#, #"ambiguous JSON: "URL" appears twice in one object"#),
        ]
    )
    func refused(_ text: String, _ expected: String) {
        let fault = #expect(throws: DestinationFileError.self) {
            try DestinationFile.read(Array(text.utf8), .json, .destinations)
        }
        #expect(fault?.message.hasPrefix(expected) == true, "\(fault?.message ?? "")")
    }

    @Test("YAML has scalars only, and says where it has not")
    func yaml() throws {
        let good = try DestinationFile.read(Array("Name: A\nType: HTTP\nTrustAll: true\n".utf8), .yaml, .destinations)
        #expect(good["TrustAll"] == "true")
        let fault = #expect(throws: DestinationFileError.self) {
            try DestinationFile.read(Array("Name: A\nType: [HTTP]\n".utf8), .yaml, .destinations)
        }
        #expect(fault?.line == 2)
    }
}

struct ConfigurationFolderTests {
    private let directory = TemporaryDirectory()

    private func write(_ name: String, _ text: String, mode: UInt32 = 0o600) throws {
        let path = directory.path + "/" + name
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        chmod(path, mode)
    }

    @Test("Files are read as they are edited; a bad one leaves the last good one in force")
    func edited() throws {
        var folder = ConfigurationFolder(path: directory.path, kind: .destinations)
        folder.refresh()
        #expect(folder.all.isEmpty)
        try write("A.json", #"{"Name":"A","Type":"HTTP","URL":"http://one"}"#)
        try write("B.yaml", "Name: B\nType: HTTP\n")
        try write("readme.txt", "not read")
        folder.refresh()
        #expect(folder.all.map(\.configuration.name) == ["A", "B"])
        try write("A.json", "{")
        folder.refresh()
        #expect(folder["A"]?.configuration["URL"] == "http://one")
        #expect(folder.findings.map(\.fault.message) == ["not JSON"])
        try write("A.json", #"{"Name":"A","Type":"HTTP","URL":"http://two"}"#)
        folder.refresh()
        #expect(folder["A"]?.configuration["URL"] == "http://two")
        #expect(folder.findings.isEmpty)
    }

    @Test("A certificate whose name no file can have is refused before anything is written")
    func impossibleNames() throws {
        var folder = ConfigurationFolder(path: directory.path, kind: .certificates)
        for name in ["a.new-b", String(repeating: "ä", count: 100), String(repeating: "\u{1F511}", count: 50)] {
            let certificate = try NamedConfiguration(.certificates, ["Name": name, "Content": "YQ=="])
            #expect(throws: DestinationError.self) { try folder.store(certificate) }
        }
        folder.refresh()
        #expect(folder.all.isEmpty && folder.findings.isEmpty)
        for name in ["ä ö.pem", ".hidden", "a~", "b.new"] {
            try folder.store(try NamedConfiguration(.certificates, ["Name": name, "Content": "YQ=="]))
            #expect(folder[name] != nil, "\(name)")
        }
    }

    @Test("Secrets that others may read do not count, and two files with one name neither")
    func faults() throws {
        try write("A.json", #"{"Name":"A","Type":"HTTP","Password":"x"}"#, mode: 0o644)
        try write("B.json", #"{"Name":"B","Type":"HTTP"}"#, mode: 0o644)
        try write("C.json", #"{"Name":"B","Type":"HTTP"}"#, mode: 0o644)
        var folder = ConfigurationFolder(path: directory.path, kind: .destinations)
        folder.refresh()
        #expect(folder.all.map(\.fileName) == ["B.json"])
        #expect(folder.findings.count == 2)
        #expect(folder.findings[0].description.contains("chmod 600"))
        #expect(folder.findings[1].description.contains("in B.json already"))
    }

    @Test("What is stored keeps the format of its file; secrets get mode 0600; labels and certificates survive")
    func store() throws {
        try write("A.properties", DestinationFileTests.seed.replacing("ON_PREM_HELLO_WORLD", with: "A"))
        var folder = ConfigurationFolder(path: directory.path, kind: .destinations)
        folder.refresh()
        try folder.store(NamedConfiguration(.destinations, ["Name": "A", "Type": "HTTP", "Password": "p:w"]))
        let text = try String(contentsOfFile: directory.path + "/A.properties", encoding: .utf8)
        #expect(text == "#\nType=HTTP\nName=A\nPassword=p\\:w\n")
        var status = stat()
        stat(directory.path + "/A.properties", &status)
        #expect(status.st_mode & 0o777 == 0o600)
        try folder.setLabels([Label(key: "env", values: ["prod"])], of: "A")
        var again = ConfigurationFolder(path: directory.path, kind: .destinations)
        again.refresh()
        #expect(again["A"]?.labels == [Label(key: "env", values: ["prod"])])
        #expect(try again.remove("A"))
        #expect(try !again.remove("A"))

        var certificates = ConfigurationFolder(path: directory.path + "/certificates", kind: .certificates)
        let properties = ["Name": "our team's app.pem", "Content": "QUJD", "Type": "PEM"]
        try certificates.store(NamedConfiguration(.certificates, properties))
        #expect(certificates["our team's app.pem"]?.configuration.properties == properties)
        #expect(
            try String(contentsOfFile: directory.path + "/certificates/our%20team%27s%20app.pem", encoding: .utf8)
                == "ABC"
        )
    }

    @Test("A new configuration never takes the file of another one, nor a name that is in force")
    func names() throws {
        try write("OTHER.json", #"{"Name":"DISTINCT","Type":"HTTP","URL":"http://precious"}"#)
        try write("BROKEN.json", "{")
        var folder = ConfigurationFolder(path: directory.path, kind: .destinations)
        folder.refresh()
        for name in ["OTHER", "BROKEN"] {
            try folder.store(NamedConfiguration(.destinations, ["Name": name, "Type": "HTTP"]))
        }
        #expect(folder["DISTINCT"]?.configuration["URL"] == "http://precious")
        #expect(folder["OTHER"]?.fileName == "OTHER-2.json" && folder["BROKEN"]?.fileName == "BROKEN-2.json")
        #expect(try String(contentsOfFile: directory.path + "/BROKEN.json", encoding: .utf8) == "{")
        try write("A-COPY.json", #"{"Name":"DISTINCT","Type":"HTTP","URL":"http://copy"}"#)
        folder.refresh()
        #expect(folder["DISTINCT"]?.configuration["URL"] == "http://precious")
        #expect(folder.findings.contains { $0.description.contains("A-COPY.json") })
    }

    @Test("Labels are not lost to a file that cannot be read, and not inherited by a newcomer")
    func labels() throws {
        var folder = ConfigurationFolder(path: directory.path, kind: .destinations)
        let label = [Label(key: "env", values: ["prod"])]
        for name in ["A", "B"] {
            try folder.store(NamedConfiguration(.destinations, ["Name": name, "Type": "HTTP"]))
            try folder.setLabels(label, of: name)
        }
        try write(".metadata.json", "garbage")
        folder.refresh()
        #expect(folder["A"]?.labels == label && folder.findings.count == 1)
        #expect(throws: DestinationError.self) { try folder.setLabels([], of: "B") }
        unlink(directory.path + "/.metadata.json")
        folder.refresh()
        try folder.setLabels(label, of: "A")
        unlink(directory.path + "/A.json")
        folder.refresh()
        try folder.store(NamedConfiguration(.destinations, ["Name": "A", "Type": "HTTP"]))
        #expect(folder["A"]?.labels == [])
    }

    @Test(
        "Secrets are known by how their names end",
        arguments: [
            ("Password", true), ("clientSecret", true), ("URL.headers.apiKey", true), ("URL.queries.api_key", true),
            ("apiToken", true),
            ("URL.headers.Authorization", true), ("tokenServiceURL", false), ("tokenServiceURLType", false),
            ("User", false),
            ("URL.headers.x-a", false), ("tokenServiceUser", false),
        ]
    )
    func secrets(_ key: String, _ isSecret: Bool) { #expect(NamedConfiguration.isSecret(key) == isSecret) }
}
