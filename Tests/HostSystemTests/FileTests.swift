import Foundation
import Testing

@testable import HostSystem

struct FileTests {
    /// A folder that goes with the test.
    private static func inFolder(_ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "files-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private static func mode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test("A file is the old one or the new one, with the mode that it is written with")
    func atomicFile() throws {
        try Self.inFolder { folder in
            let path = folder + "/file"
            try AtomicFile.write("old", to: path, mode: 0o600)
            #expect(try Self.mode(path) == 0o600)
            try AtomicFile.write("new", to: path, mode: 0o644)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "new")
            #expect(try Self.mode(path) == 0o644)
            #expect(Folder.names(folder) == ["file"], "nothing unfinished is left")
        }
        #expect(throws: FileError.self) { try AtomicFile.write("x", to: "/nonexistent/x", mode: 0o600) }
    }

    @Test("A write that fails leaves the old file and nothing beside it")
    func failedWrite() throws {
        try Self.inFolder { folder in
            let path = folder + "/taken"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try Data("x".utf8).write(to: URL(filePath: path + "/inside"))
            #expect(throws: FileError.self) { try AtomicFile.write("x", to: path, mode: 0o600) }
            #expect(Folder.names(folder) == ["taken"] && Folder.names(path) == ["inside"])
        }
    }

    @Test("A whole file is read, up to a limit, and what cannot be read says why")
    func plainFile() throws {
        try Self.inFolder { folder in
            let path = folder + "/file"
            let content = [UInt8](repeating: 7, count: 200_000)
            try Data(content).write(to: URL(filePath: path))
            #expect(try PlainFile.read(path, maxBytes: 200_000) == content)
            #expect {
                try PlainFile.read(path, maxBytes: 199_999)
            } throws: { "\($0)".contains("is larger than 199999 bytes") && ($0 as? FileError)?.number == 0 }
            #expect {
                try PlainFile.read(folder + "/none", maxBytes: 1)
            } throws: { ($0 as? FileError)?.number == ENOENT && "\($0)".contains("No such file or directory") }
            #expect(throws: FileError.self) { try PlainFile.read(folder, maxBytes: 1) }
        }
    }

    @Test("A secret that others may open is refused with what to do, and one that is not there is nothing")
    func privateFile() throws {
        try Self.inFolder { folder in
            let path = folder + "/secret"
            try AtomicFile.write("s", to: path, mode: 0o640)
            #expect { try PrivateFile.read(path) } throws: { "\($0)".contains("chmod 600 \(path)") }
            try AtomicFile.write("s", to: path, mode: 0o600)
            #expect(try PrivateFile.read(path) == Array("s".utf8))
            #expect(try PrivateFile.read(folder + "/none") == nil)
        }
    }

    @Test("A folder is made with those it lies in, and is left alone where it is")
    func folders() throws {
        try Self.inFolder { folder in
            try Folder.make(folder + "/a/b/c", mode: 0o700)
            #expect(try Self.mode(folder + "/a/b/c") == 0o700)
            try Folder.make(folder + "/a", mode: 0o755)
            #expect(try Self.mode(folder + "/a") == 0o700)
            try Data().write(to: URL(filePath: folder + "/file"))
            #expect { try Folder.make(folder + "/file/x", mode: 0o700) } throws: { "\($0)".contains("cannot make") }
        }
    }

    @Test("Names of a folder leave hidden ones out, and one that cannot be read has none")
    func names() throws {
        try Self.inFolder { folder in
            for name in ["a", "b", ".hidden"] { try Data().write(to: URL(filePath: folder + "/" + name)) }
            #expect(Folder.names(folder).sorted() == ["a", "b"])
            #expect(Folder.names(folder + "/none").isEmpty)
        }
    }

    @Test("A full disk is told from other errors")
    func full() {
        errno = ENOSPC
        #expect(FileError("write", "x").isFull)
        errno = EACCES
        let denied = FileError("write", "x")
        #expect(!denied.isFull && denied.reason == "Permission denied")
        #expect(!FileError("our own words").isFull)
    }

    @Test("A wanted number of connections is cut to what descriptors there are, and never to nothing")
    func descriptors() {
        #expect(DescriptorLimit.cap(1) == 1 && DescriptorLimit.cap(Int.max) >= 8)
        #expect(DescriptorLimit.cap(Int.max) < Int.max)
    }

    @Test("The process holds some memory, and may have more")
    func memory() {
        #expect(ProcessMemory.resident() > 1 << 20 && ProcessMemory.available() > ProcessMemory.resident())
    }
}
