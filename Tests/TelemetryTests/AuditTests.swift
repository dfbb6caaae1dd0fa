import Foundation
import Logging
import Testing

@testable import Telemetry

struct AuditTests {
    /// A folder that is removed with this object.
    final class Folder {
        let path = NSTemporaryDirectory() + "audit-test-\(UUID().uuidString)"
        deinit { try? FileManager.default.removeItem(atPath: path) }

        var files: [String] { AuditFiles.list(path) }

        func lines(_ file: String) throws -> [String] {
            try String(contentsOfFile: "\(path)/\(file)", encoding: .utf8).split(separator: "\n").map(String.init)
        }

        func write(_ lines: [String], _ file: String) throws {
            try (lines.joined(separator: "\n") + "\n").write(
                toFile: "\(path)/\(file)",
                atomically: true,
                encoding: .utf8
            )
        }
    }

    static func log(_ folder: Folder, fileSize: Int = 16 << 20, level: AuditLog.Level = .security) throws -> AuditLog {
        var configuration = AuditLog.Configuration()
        configuration.directory = folder.path
        configuration.fileSize = fileSize
        configuration.level = level
        return try AuditLog(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Ten records in two files, each sealed.
    static func filled() throws -> Folder {
        let folder = Folder()
        for run in 0..<2 {
            let log = try log(folder)
            for index in 0..<5 {
                log.record(.accessDenied, "Denying access \(run).\(index)")
                if index % 2 == 0 { log.flush() }
            }
            log.flush()
        }
        return folder
    }

    @Test("A log takes another level while it runs: the chain goes on, and nothing is recorded while it is off")
    func levels() throws {
        let folder = Folder()
        let log = try Self.log(folder)
        #expect(log.isOn && !log.recordsAllowed)
        var other = log.configuration
        other.level = .all
        try log.apply(other, cause: "somebody")
        #expect(log.isOn && log.recordsAllowed)
        other.level = .off
        try log.apply(other, cause: "somebody")
        #expect(!log.isOn && !log.recordsAllowed)
        log.record(.accessDenied, "while it is off")
        other.level = .security
        other.directory = "/nowhere/at/all"
        try log.apply(other, cause: "somebody else")
        log.record(.accessDenied, "while it is on")
        log.flush()
        let lines = try folder.files.flatMap { try folder.lines($0) }
        for (index, text) in ["security to all", "all to off", "off to security", "while it is on"].enumerated() {
            #expect(lines.count { $0.contains(text) } == 1, "\(index): \(text)")
        }
        #expect(!lines.contains { $0.contains("while it is off") })
        #expect(log.configuration.directory == folder.path, "another folder is for the next start")
        #expect(try AuditVerifier(folder: folder.path).verify().findings.isEmpty)
    }

    @Test("A log that was off begins when it is switched on, and stays off where it cannot")
    func beginning() throws {
        let folder = Folder()
        let log = try Self.log(folder, level: .off)
        #expect(!log.isOn && folder.files.isEmpty)
        var on = log.configuration
        on.level = .security
        on.directory = "/proc/no/folder"
        #expect(throws: (any Error).self) { () throws in try log.apply(on, cause: "somebody") }
        #expect(!log.isOn)
        on.directory = folder.path
        try log.apply(on, cause: "somebody")
        log.flush()
        #expect(log.isOn && folder.files.count == 1)
    }

    @Test("An untouched chain over several files is whole")
    func whole() throws {
        let folder = try Self.filled()
        #expect(folder.files.count == 2)
        let result = try AuditVerifier(folder: folder.path).verify()
        #expect(result.findings.isEmpty && result.notes.isEmpty)
        #expect(result.records == 20)
    }

    @Test(
        "Editing, cutting and reordering are found wherever they happen",
        arguments: ["edit", "delete", "swap", "cut end", "cut last file", "cut first file", "forge seal"]
    )
    func tampering(_ kind: String) throws {
        let folder = try Self.filled()
        let files = folder.files
        var lines = try folder.lines(files[1])
        switch kind {
        case "edit": lines[2] = lines[2].replacingOccurrences(of: "1.0", with: "1.9")
        case "delete": lines.remove(at: 3)
        case "swap": lines.swapAt(2, 4)
        case "cut end": lines.removeLast(2)
        case "forge seal":
            lines[1] = lines[1].replacingOccurrences(of: "\"sig\":\"30", with: "\"sig\":\"31")
        case "cut last file": try FileManager.default.removeItem(atPath: "\(folder.path)/\(files[1])")
        default: try FileManager.default.removeItem(atPath: "\(folder.path)/\(files[0])")
        }
        if !kind.hasSuffix("file") { try folder.write(lines, files[1]) }
        #expect(try !AuditVerifier(folder: folder.path).verify().findings.isEmpty)
    }

    @Test("A chain that somebody made with another key is found out by the public key kept elsewhere")
    func otherKey() throws {
        let (folder, other) = (try Self.filled(), try Self.filled())
        let result = try AuditVerifier(folder: folder.path, publicKey: other.path + "/audit.pub").verify()
        #expect(result.findings.contains { $0.contains("not made with this key") })
    }

    @Test("A writer that was killed within a record leaves a chain that goes on and is whole")
    func killed() throws {
        let folder = try Self.filled()
        let file = try #require(folder.files.last)
        let handle = try #require(FileHandle(forWritingAtPath: "\(folder.path)/\(file)"))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("{\"seq\":21,\"ti".utf8))
        try handle.close()
        let log = try Self.log(folder)
        log.record(.serviceStarted, "again")
        log.flush()
        let result = try AuditVerifier(folder: folder.path).verify()
        #expect(result.findings.isEmpty)
        #expect(result.notes.count == 1)
    }

    @Test("Files begin anew at their size, and old ones are removed with a record that says so")
    func rotation() throws {
        let folder = Folder()
        let log = try Self.log(folder, fileSize: 400)
        for index in 0..<5 {
            log.record(.accessDenied, "Denying access \(index)")
            log.flush()
        }
        #expect(folder.files.count > 2)
        let old = folder.files[0]
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -10 * 86400)],
            ofItemAtPath: "\(folder.path)/\(old)"
        )
        var configuration = log.configuration
        configuration.maxAge = 5
        let next = try AuditLog(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        next.flush()
        #expect(!folder.files.contains(old))
        #expect(try AuditVerifier(folder: folder.path).verify().findings.isEmpty)
    }

    @Test("Bytes of a text cannot break out of their record")
    func injection() throws {
        let folder = Folder()
        let log = try Self.log(folder)
        log.record(.accessDenied, "a\"}\n{\"seq\":1,\u{2028}\u{0}")
        log.flush()
        let lines = try folder.lines(folder.files[0])
        #expect(lines.count == 4)
        #expect(try AuditVerifier(folder: folder.path).verify().findings.isEmpty)
    }

    @Test("Keys and files are for their owner only")
    func modes() throws {
        let folder = try Self.filled()
        func mode(_ name: String) throws -> Int {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder.path)/\(name)")
            return try #require(attributes[.posixPermissions] as? NSNumber).intValue
        }
        #expect(try mode("audit.key") == 0o600)
        #expect(try mode(folder.files[0]) & 0o007 == 0)
    }
}
