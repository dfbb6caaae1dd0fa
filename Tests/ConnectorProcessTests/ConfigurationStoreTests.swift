import ConfigurationEditing
import ConfigurationReading
import ConnectorTestSupport
import Foundation
import HostSystem
import Testing

@testable import ConnectorProcess

/// A file that commands and people change in turn.
struct ConfigurationStoreTests {
    private let folder = TemporaryDirectory()
    private var path: String { folder.path + "/connector.conf" }

    private static let text = """
        subaccount: test   # ours
        tunnel: {service: "s:1", certificate: /dev/null, private-key: /dev/null, trusted-ca: /dev/null}

        """

    private func write(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: path)) }
    private func read() throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    private func describe(_ word: String, before: (() throws -> Void)? = nil) throws -> ConfigurationStore.Outcome {
        try ConfigurationStore(path).change { text in
            try text.apply(.set([.key("description")], .text(word)))
            try before?()
        }
    }

    @Test("Mode and owner stay, a link stays a link, and what the file said is kept")
    func kept() throws {
        try write(Self.text)
        let target = folder.path + "/real.conf"
        try FileManager.default.moveItem(atPath: path, toPath: target)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
        chmod(target, 0o640)
        if getuid() == 0 { chown(target, 12345, 54321) }
        let outcome = try describe("x")
        #expect(outcome.difference.filter { $0.hasPrefix("+") } == ["+description: x"])
        var status = stat()
        #expect(lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o640)
        if getuid() == 0 { #expect(status.st_uid == 12345 && status.st_gid == 54321) }
        #expect(try read() == Self.text + "description: x\n")
        let versions = try ConfigurationStore(path).versions
        #expect(versions.count == 1)
        #expect(try String(contentsOfFile: #require(versions.first), encoding: .utf8) == Self.text)
        #expect(stat(versions[0], &status) == 0 && status.st_mode & 0o7777 == 0o640)
        // Nothing half-finished lies about.
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [
                "connector.conf", "history", "real.conf",
            ]
        )
    }

    @Test("What somebody writes while a change is made is not lost: the change is made to that")
    func editedMeanwhile() throws {
        try write(Self.text)
        var edits = 0
        _ = try describe("x") {
            guard edits < 3 else { return }
            edits += 1
            try write(Self.text + "region-host: r\(edits)\n")
        }
        #expect(try read() == Self.text + "region-host: r3\ndescription: x\n")
    }

    @Test("Who writes without an end is left alone")
    func editedForEver() throws {
        try write(Self.text)
        var edits = 0
        #expect(throws: FileError.self) {
            _ = try describe("x") {
                edits += 1
                try write(Self.text + "region-host: r\(edits)\n")
            }
        }
        #expect(try read() == Self.text + "region-host: r\(edits)\n")
    }

    @Test("Ten processes that change one file lose nothing of each other")
    func together() async throws {
        try write(Self.text + "systems: []\n")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<10 {
                group.addTask {
                    let entries: [YAMLValue.Entry] = [
                        .init("virtual-host", .text("h\(number):80")), .init("internal-host", .text("i:80")),
                        .init("protocol", .text("HTTP")),
                    ]
                    _ = try ConfigurationStore(path).change(AdministrationCommand.addSystem(entries).apply)
                }
            }
            try await group.waitForAll()
        }
        let hosts = try ConfigurationStore(path).value["systems"]?.items.compactMap { $0["virtual-host"]?.scalar } ?? []
        #expect(Set(hosts).count == 10)
    }

    @Test("A result that check-config refuses is not written, and says where and why")
    func refused() throws {
        try write(Self.text)
        let change = AdministrationCommand.addSystem([
            .init("virtual-host", .text("h:80")), .init("protocol", .text("HTPS")),
        ])
        do {
            _ = try ConfigurationStore(path).change(change.apply)
            Issue.record("was written")
        } catch let error as ConfigurationError {
            #expect(error.findings.contains { $0.message.contains("did you mean HTTPS?") && $0.line == 5 })
        }
        #expect(try read() == Self.text)
        #expect(try ConfigurationStore(path).versions.isEmpty)
    }

    @Test("A rehearsal says what would change, and changes nothing")
    func rehearsal() throws {
        try write(Self.text)
        let outcome = try ConfigurationStore(path).change(isRehearsed: true) {
            try $0.apply(.set([.key("description")], .text("x")))
        }
        #expect(outcome.difference.last == "+description: x")
        #expect(try read() == Self.text)
    }

    @Test("The last ten versions are kept, can be compared, and one brought back")
    func history() throws {
        try write(Self.text)
        for number in 1...12 { _ = try describe("d\(number)") }
        let store = try ConfigurationStore(path)
        #expect(store.versions.count == FileHistory.limit)
        #expect(
            try store.difference(to: 1).filter { $0.hasPrefix("-") || $0.hasPrefix("+") } == [
                "-description: d11", "+description: d12",
            ]
        )
        _ = try store.restore(10)
        #expect(try read() == Self.text + "description: d2\n")
        // What was there before is the latest now.
        _ = try store.restore(1)
        #expect(try read() == Self.text + "description: d12\n")
        #expect(throws: FileError.self) { _ = try store.restore(11) }
        #expect(throws: FileError.self) { _ = try store.restore(0) }
    }

    @Test("What was not written leaves no version behind")
    func noVersions() throws {
        try write(Self.text)
        for number in 1...3 { _ = try describe("d\(number)") }
        let versions = try ConfigurationStore(path).versions
        var edits = 0
        _ = try describe("x") {
            guard edits < 5 else { return }
            edits += 1
            try write(Self.text + "region-host: r\(edits)\n")
        }
        #expect(try ConfigurationStore(path).versions.count == versions.count + 1)
        #expect(throws: FileError.self) {
            _ = try describe("y") {
                edits += 1
                try write(Self.text + "region-host: r\(edits)\n")
            }
        }
        #expect(try ConfigurationStore(path).versions.count == versions.count + 1)
    }

    @Test("A change has to fit to all of a connector's files")
    func furtherFiles() throws {
        try write(Self.text)
        let folder = folder.path + "/connector.d"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let other = folder + "/other.conf"
        try Data(Self.text.replacing("test", with: "other").utf8).write(to: URL(filePath: other))
        for wanted in ["other.conf", other] {
            #expect(try ConfigurationStore.further(wanted, of: path) == other)
        }
        #expect(throws: FileError.self) { _ = try ConfigurationStore.further("connector.conf", of: path) }
        let store = try ConfigurationStore(other, main: path)
        #expect(throws: ConfigurationError.self) {
            _ = try store.change { try $0.apply(.set([.key("subaccount")], .text("test"))) }
        }
        #expect(throws: ConfigurationError.self) {
            _ = try store.change { try $0.apply(.set([.key("admin"), .key("socket")], .text("x"))) }
        }
        _ = try store.change { try $0.apply(.set([.key("description")], .text("x"))) }
        // One that is broken keeps the others from being changed, as it would keep them from being read.
        try Data("a: 1".utf8).write(to: URL(filePath: other))
        #expect(throws: ConfigurationError.self) { _ = try describe("x") }
        #expect(try read() == Self.text)
    }

    @Test("A file without YAML in it, or none at all, is not touched")
    func broken() throws {
        #expect(throws: FileError.self) { _ = try ConfigurationStore(path) }
        try write("a: [")
        #expect(throws: ConfigurationError.self) { _ = try describe("x") }
        #expect(try read() == "a: [")
    }
}
