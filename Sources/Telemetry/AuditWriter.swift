internal import ControlProtocol
internal import Glibc
internal import TunnelCore

/// Why an audit file cannot be written or read.
package struct AuditError: Error, CustomStringConvertible {
    package var description: String
    /// Whether there was no room, which passes.
    let isFull: Bool
    init(_ action: String, _ path: String) {
        isFull = errno == ENOSPC || errno == EDQUOT
        description = "cannot \(action) \(path): \(String(cString: strerror(errno)))"
    }
    init(_ text: String) { (description, isFull) = (text, false) }
}

/// Appends to the chain: the files `audit-*.jsonl` of one folder, the key `audit.key`, its public half `audit.pub` and
/// the head `audit.head`.
final class AuditWriter {
    private let configuration: AuditLog.Configuration
    private let key: SigningKey
    private var descriptor: Int32 = -1
    private var size = 0
    private var file = ""
    private var seq: Int
    private var hash: String

    init(_ configuration: AuditLog.Configuration) throws {
        self.configuration = configuration
        let folder = configuration.directory
        guard Folder.make(folder, mode: 0o750) == nil else { throw AuditError("make", folder) }
        key = try Self.loadKey(folder)
        (seq, hash) = (0, AuditRecord.origin)
        if let last = AuditFiles.list(folder).last {
            // What counts is what is on disk: after a crash the head may be older.
            let (lastSeq, lastHash) = try AuditFiles.end("\(folder)/\(last)")
            (seq, hash) = (lastSeq, lastHash)
            file = last
        }
        do {
            try startFile()
        } catch let error as AuditError where error.isFull {
            startFailure = error.description
        }
    }

    /// Why there is no file yet: a full disk keeps nobody from starting. The next `append` tries again.
    private(set) var startFailure: String?

    deinit { if descriptor >= 0 { close(descriptor) } }

    private static func loadKey(_ folder: String) throws -> SigningKey {
        let path = "\(folder)/audit.key"
        if access(path, F_OK) == 0 { return try SigningKey(.file(path)) }
        let key = try SigningKey()
        try AtomicFile.write(key.pem, to: path, mode: 0o600)
        try AtomicFile.write(key.publicKeyPEM, to: "\(folder)/audit.pub", mode: 0o644)
        return key
    }

    func append(_ records: [(AuditCategory, String, String)]) throws {
        if descriptor < 0 || size > configuration.fileSize { try startFile() }
        if !records.isEmpty { try write(records) }
    }

    private func startFile() throws {
        if descriptor >= 0 { close(descriptor) }
        let previous = file
        file = "audit-\(WallClock.fileStamp())-\(String(seq + 1_000_000_000).dropFirst()).jsonl"
        let path = "\(configuration.directory)/\(file)"
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            file = previous
            throw AuditError("open", path)
        }
        size = 0
        var records = [
            (AuditCategory.fileStarted, previous.isEmpty ? "first file" : "after \(previous)", WallClock.timestamp())
        ]
        let removed = removeOld()
        if !removed.isEmpty {
            records.append((.filesRemoved, removed.joined(separator: " "), WallClock.timestamp()))
        }
        do {
            try write(records)
        } catch {
            // An empty file would have no place in the chain.
            if size == 0 {
                close(descriptor)
                descriptor = -1
                unlink(path)
                file = previous
            }
            throw error
        }
    }

    /// - Returns: the names of the files that were past the age limit.
    private func removeOld() -> [String] {
        guard configuration.maxAge > 0 else { return [] }
        let limit = WallClock.seconds() - configuration.maxAge * 86400
        var removed: [String] = []
        // Oldest first, and only from the beginning: the rest stays one chain.
        for name in AuditFiles.list(configuration.directory) where name != file {
            var information = stat()
            let path = "\(configuration.directory)/\(name)"
            guard stat(path, &information) == 0, information.st_mtim.tv_sec < limit, unlink(path) == 0 else { break }
            removed.append(name)
        }
        return removed
    }

    /// Writes records and a seal, and syncs. Leaves the file as it was if it cannot.
    private func write(_ records: [(AuditCategory, String, String)]) throws {
        var (seq, hash) = (self.seq, self.hash)
        var octets: [UInt8] = []
        func add(_ record: AuditRecord) {
            let line = JSONLines.encode(record)
            octets += line
            hash = AuditRecord.hash(line.dropLast())
        }
        for (category, text, time) in records {
            seq += 1
            add(AuditRecord(seq: seq, time: time, type: category.rawValue, text: text, prev: hash))
        }
        seq += 1
        let signature = Hexadecimal.text(try key.sign(AuditRecord.sealed(seq, hash)))
        add(
            AuditRecord(
                seq: seq,
                time: WallClock.timestamp(),
                type: AuditCategory.seal.rawValue,
                text: "",
                prev: hash,
                sig: signature
            )
        )
        try writeAll(octets)
        (self.seq, self.hash) = (seq, hash)
        size += octets.count
        let head = AuditHead(
            seq: seq,
            hash: hash,
            file: file,
            sig: Hexadecimal.text(try key.sign(AuditRecord.sealed(seq, hash)))
        )
        try AtomicFile.write(JSONLines.encode(head), to: "\(configuration.directory)/audit.head", mode: 0o640)
    }

    private func writeAll(_ octets: [UInt8]) throws {
        var written = 0
        while written < octets.count {
            let count = octets.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + written, octets.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = AuditError("write", "\(configuration.directory)/\(file)")
                ftruncate(descriptor, off_t(size))
                throw error
            }
            written += count
        }
        guard fdatasync(descriptor) == 0 else { throw AuditError("sync", "\(configuration.directory)/\(file)") }
    }
}
