internal import Cryptography
internal import Glibc
internal import HostSystem
internal import JSON
internal import TextFormats

/// Appends to the chain: the files `audit-*.jsonl` of one folder, the key `audit.key`, its public half `audit.pub` and
/// the head `audit.head`.
final class AuditWriter {
    /// Its folder stays the same.
    var configuration: AuditLog.Configuration
    private let key: SigningKey
    private var descriptor: Int32 = -1
    private var size = 0
    private var file = ""
    private var seq: Int
    private var hash: String

    init(_ configuration: AuditLog.Configuration) throws {
        self.configuration = configuration
        let folder = configuration.directory
        try Folder.make(folder, mode: 0o750)
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
        } catch let error as FileError where error.isFull {
            startFailure = error.description
        }
    }

    /// Why there is no file yet: a full disk keeps nobody from starting. The next `append` tries again.
    private(set) var startFailure: String?

    deinit { if descriptor >= 0 { close(descriptor) } }

    private static func loadKey(_ folder: String) throws -> SigningKey {
        let path = "\(folder)/audit.key"
        if unsafe access(path, F_OK) == 0 { return try SigningKey(.file(path)) }
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
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            file = previous
            throw FileError("open", path)
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
                unsafe unlink(path)
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
            guard unsafe stat(path, &information) == 0, information.st_mtim.tv_sec < limit, unsafe unlink(path) == 0
            else { break }
            removed.append(name)
        }
        return removed
    }

    /// Writes records and a seal, and syncs. Leaves the file as it was if it cannot.
    private func write(_ records: [(AuditCategory, String, String)]) throws {
        var (seq, hash) = (self.seq, self.hash)
        var bytes: [UInt8] = []
        func add(_ record: AuditRecord) {
            let line = JSONLines.encode(record)
            bytes += line
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
        try writeAll(bytes)
        (self.seq, self.hash) = (seq, hash)
        size += bytes.count
        let head = AuditHead(
            seq: seq,
            hash: hash,
            file: file,
            sig: Hexadecimal.text(try key.sign(AuditRecord.sealed(seq, hash)))
        )
        try AtomicFile.write(JSONLines.encode(head), to: "\(configuration.directory)/audit.head", mode: 0o640)
    }

    private func writeAll(_ bytes: [UInt8]) throws {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress! + written, bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = FileError("write", "\(configuration.directory)/\(file)")
                ftruncate(descriptor, off_t(size))
                throw error
            }
            written += count
        }
        guard fdatasync(descriptor) == 0 else { throw FileError("sync", "\(configuration.directory)/\(file)") }
    }
}
