import CloudConnector
import ConfigurationReading
import ConnectorTestSupport
import DaemonSupport
import Foundation
import Telemetry
import Testing

@testable import ConnectorProcess

/// The main file and those in `connector.d` beside it.
struct ConnectorFilesTests {
    private let folder = TemporaryDirectory()

    private func write(_ name: String, subaccount: String, _ extra: String = "") throws {
        let file = URL(filePath: folder.path).appending(path: name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        let text = """
            subaccount: \(subaccount)
            tunnel: {service: "s:1", certificate: /dev/null, private-key: /dev/null, trusted-ca: /dev/null}
            \(extra)
            """
        try text.write(to: file, atomically: true, encoding: .utf8)
    }

    private func load() throws(ConfigurationError) -> ConnectorFiles {
        try ConnectorFiles.load(folder.path + "/main.conf")
    }

    private func findings() -> [String] {
        do throws(ConfigurationError) {
            _ = try load()
            return []
        } catch {
            return error.findings.filter { $0.severity == .error }.map {
                $0.description.replacing(folder.path + "/", with: "")
            }
        }
    }

    @Test("The main file comes first, then the others in the order of their names; other names do not count")
    func order() throws {
        try write("main.conf", subaccount: "main")
        try write("connector.d/b.conf", subaccount: "b")
        try write("connector.d/a.conf", subaccount: "a")
        try write("connector.d/c.txt", subaccount: "c")
        try write("connector.d/.hidden.conf", subaccount: "h")
        #expect(try load().connectors.map(\.subaccount) == ["main", "a", "b"])
    }

    @Test("Without the folder the main file is alone")
    func alone() throws {
        try write("main.conf", subaccount: "main")
        #expect(try load().connectors.count == 1)
    }

    @Test("Access log and tracing of the main file count for all connectors")
    func process() throws {
        try write("main.conf", subaccount: "main", "log: {access: true}\ntracing: {file: /tmp/spans}")
        try write("connector.d/a.conf", subaccount: "a")
        let files = try load()
        #expect(files.process.accessLog && files.process.traceFile == "/tmp/spans")
        #expect(files.connectors.allSatisfy { $0.accessLog && $0.isTracing })
    }

    @Test(
        "What is the whole process's can be said in the main file only",
        arguments: [
            "log: {level: debug}", "audit: {level: \"off\"}", "admin: {socket: x}", "tracing: {file: x}",
            "alerts: {cpu-load: 50}",
        ]
    )
    func processElsewhere(_ text: String) throws {
        try write("main.conf", subaccount: "main")
        try write("connector.d/a.conf", subaccount: "a", text)
        #expect(
            findings().contains {
                $0.hasPrefix("connector.d/a.conf:1:1: error: log, audit, admin and alerts are the whole process's")
            }
        )
    }

    @Test("Two files for one connector are refused, and the second one is named")
    func twins() throws {
        try write("main.conf", subaccount: "main")
        try write("connector.d/a.conf", subaccount: "a")
        try write("connector.d/b.conf", subaccount: "a")
        #expect(
            findings()
                == [
                    "connector.d/b.conf:1:1: error: subaccount: is for the same subaccount and location ID as \(folder.path)/connector.d/a.conf"
                ].map { $0.replacing(folder.path + "/", with: "") }
        )
        try write("connector.d/b.conf", subaccount: "a", "location-id: x")
        #expect(findings().isEmpty)
    }

    @Test("What is wrong in any file is said of all files at once")
    func errors() throws {
        try write("main.conf", subaccount: "main", "nonsense: 1")
        try write("connector.d/a.conf", subaccount: "a", "rubbish: 1")
        let all = findings()
        #expect(all.contains { $0.hasPrefix("main.conf:") && $0.contains("nonsense") })
        #expect(all.contains { $0.hasPrefix("connector.d/a.conf:") && $0.contains("rubbish") })
    }

    @Test("A main file that is not there says so")
    func missing() {
        let all = findings()
        #expect(all.count == 1 && all[0].hasSuffix("cannot be read: No such file or directory"))
    }
}
