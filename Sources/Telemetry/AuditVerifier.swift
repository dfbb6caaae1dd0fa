internal import Cryptography
internal import Glibc
internal import HostSystem
internal import JSON
internal import TextFormats

/// The audit files of a folder.
enum AuditFiles {
    /// Names, oldest first.
    static func list(_ folder: String) -> [String] {
        let files = Folder.names(folder).filter { $0.hasPrefix("audit-") && $0.hasSuffix(".jsonl") }
        return files.sorted { number($0) < number($1) }
    }

    /// The sequence number in a name, which orders files even if the clock went back.
    private static func number(_ name: String) -> (Int, String) {
        (name.dropLast(".jsonl".count).split(separator: "-").last.flatMap { Int($0) } ?? 0, name)
    }

    static func lines(_ path: String) throws -> [[UInt8]] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError("read", path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe read(descriptor, &chunk, chunk.count)
            guard count >= 0 else { throw FileError("read", path) }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
    }

    /// Number and hash of the last complete line.
    static func end(_ path: String) throws -> (Int, String) {
        for line in try lines(path).dropLast().reversed() {
            if let record = try? JSONLines.decode(AuditRecord.self, line), (0..<1 << 62).contains(record.seq) {
                return (record.seq, AuditRecord.hash(line))
            }
        }
        throw FileError("\(path) holds no readable record; move it away to begin a new chain")
    }
}

/// Reads a whole chain and says where it is broken.
package struct AuditVerifier {
    /// How many records of which files are whole, and what is wrong with the first that is not.
    package struct Result: Sendable {
        package var files = 0
        package var records = 0
        /// What is wrong, in the order of the files; empty for a chain that is whole.
        package var findings: [String] = []
        /// What is worth knowing but no sign of tampering.
        package var notes: [String] = []
    }

    private let folder: String
    private let publicKey: String
    private var result = Result()
    private var expectedSeq: Int?
    private var expectedHash = AuditRecord.origin
    private var removedThrough: Set<String> = []
    private var firstPrevious = ""
    private var unsealed = 0
    private var hashes: [Int: String] = [:]

    /// - Parameter publicKey: a PEM file; nil for `audit.pub` in the folder. Whoever can write the folder can exchange
    ///   that one, so keep a copy elsewhere.
    package init(folder: String, publicKey: String? = nil) throws {
        self.folder = folder
        let path = publicKey ?? "\(folder)/audit.pub"
        let lines = try AuditFiles.lines(path)
        self.publicKey = lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
    }

    /// Follows the chain through all files, and checks each seal.
    package consuming func verify() throws -> Result {
        let files = AuditFiles.list(folder)
        guard !files.isEmpty else { throw FileError("there are no audit files in \(folder)") }
        result.files = files.count
        for file in files { try verify(file) }
        if !firstPrevious.isEmpty, !removedThrough.contains(firstPrevious) {
            result.findings.append("\(files[0]): the chain begins after \(firstPrevious), which is missing")
        }
        if unsealed > 0 { result.notes.append("the last \(unsealed) records carry no seal: the writer was killed") }
        verifyHead()
        return result
    }

    private mutating func verify(_ file: String) throws {
        var lines = try AuditFiles.lines("\(folder)/\(file)")
        if let rest = lines.popLast(), !rest.isEmpty {
            result.notes.append("\(file): ends within a record: the writer was killed")
        }
        if lines.isEmpty { result.findings.append("\(file): is empty") }
        for (index, line) in lines.enumerated() {
            let place = "\(file):\(index + 1)"
            guard let record = try? JSONLines.decode(AuditRecord.self, line) else {
                result.findings.append("\(place): is not a record")
                continue
            }
            check(record, line, place, isFirst: index == 0)
        }
    }

    private mutating func check(_ record: AuditRecord, _ line: [UInt8], _ place: String, isFirst: Bool) {
        result.records += 1
        if let expectedSeq {
            if record.seq != expectedSeq {
                result.findings.append("\(place): record \(record.seq) stands where \(expectedSeq) should")
            } else if record.prev != expectedHash {
                result.findings.append("\(place): does not continue the record before it, which was changed")
            }
        } else if record.seq != 1 || record.prev != AuditRecord.origin {
            firstPrevious = record.text.hasPrefix("after ") ? String(record.text.dropFirst(6)) : "another file"
        }
        if isFirst, record.type != AuditCategory.fileStarted.rawValue {
            result.findings.append("\(place): the beginning of the file is missing")
        }
        switch record.type {
        case AuditCategory.seal.rawValue:
            unsealed = 0
            let signature = Hexadecimal.bytes(record.sig ?? "") ?? []
            let signed = AuditRecord.sealed(record.seq, record.prev)
            if !SigningKey.isValid(signature, over: signed, publicKeyPEM: publicKey) {
                result.findings.append("\(place): the seal was not made with this key")
            }
        case AuditCategory.filesRemoved.rawValue:
            unsealed += 1
            removedThrough.formUnion(record.text.split(separator: " ").map(String.init))
        default: unsealed += 1
        }
        // Whatever number somebody has written there.
        expectedSeq = record.seq &+ 1
        expectedHash = AuditRecord.hash(line)
        hashes[record.seq] = expectedHash
    }

    private mutating func verifyHead() {
        guard let line = try? AuditFiles.lines("\(folder)/audit.head").first,
            let head = try? JSONLines.decode(AuditHead.self, line)
        else {
            result.findings.append("audit.head: is missing or not readable, so a cut at the end would not show")
            return
        }
        let signed = AuditRecord.sealed(head.seq, head.hash)
        guard SigningKey.isValid(Hexadecimal.bytes(head.sig) ?? [], over: signed, publicKeyPEM: publicKey) else {
            result.findings.append("audit.head: was not signed with this key")
            return
        }
        guard let hash = hashes[head.seq] else {
            result.findings.append("\(head.file): records are missing at the end: the chain had come to \(head.seq)")
            return
        }
        if hash != head.hash { result.findings.append("\(head.file): record \(head.seq) was changed") }
    }
}
