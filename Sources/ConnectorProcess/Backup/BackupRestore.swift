internal import AdminAccess
internal import CloudConnector
internal import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import TextFormats

/// Puts back what a backup has: all of it is looked at before anything is written, and what was there before can be put back.
final class BackupRestore {
    private struct Change {
        var path: String
        /// Nil for a file that goes.
        var bytes: [UInt8]?
        var mode: UInt32
        /// Nil where there was no file.
        var before: [UInt8]?
    }

    private var changes: [Change] = []
    private var done = 0

    /// - Parameter folder: of users and the page's certificate in this process.
    /// - Throws: where the connector could not start with it.
    init(_ backup: BackupArchive, main: String, folder: String) throws {
        let further = ConfigurationFolder.path(beside: main)
        let files = backup.configurations.map {
            (file: $0.name.isEmpty ? main : "\(further)/\($0.name)", bytes: $0.bytes)
        }
        let loaded = try ConnectorFiles.load(exactly: files)
        for (path, bytes, isSecret) in backup.files {
            var places = [path]
            if path.hasPrefix("admin:") {
                // For this process, and for the next, which may look elsewhere.
                places = Set([folder, loaded.administration.folder]).map { "\($0)/\(path.dropFirst(6))" }
            }
            for place in places { try add(place, bytes, isSecret ? 0o600 : 0o640) }
        }
        try check(loaded, backup)
        for (file, bytes) in files { try add(file, bytes, 0o640) }
        for gone in ConfigurationFolder.files(beside: main) where !files.contains(where: { $0.file == gone }) {
            try add(gone, nil, 0o640)
        }
    }

    private func add(_ path: String, _ bytes: [UInt8]?, _ mode: UInt32) throws {
        let before = PlainFile.isThere(path) ? try PlainFile.read(path, maxBytes: 128 << 20) : nil
        changes.append(Change(path: path, bytes: bytes, mode: mode, before: before))
    }

    /// What certificates and keys are, and whether they belong together.
    private func check(_ files: ConnectorFiles, _ backup: BackupArchive) throws {
        func text(_ path: String) -> PEMSource? { backup.files.first { $0.path == path }.map { .bytes($0.bytes) } }
        func pair(_ certificate: String, _ key: String) throws {
            guard let chain = text(certificate), let secret = text(key) else { return }
            var configuration = TLSConfiguration(role: .client)
            (configuration.certificateChain, configuration.privateKey) = (chain, secret)
            _ = try TLSContext(configuration)
        }
        for configuration in files.connectors {
            try pair(configuration.tunnel.certificate, configuration.tunnel.privateKey)
            var trusted = [configuration.tunnel.trustedCA]
            if case .anchors(let sources) = configuration.backendTLS.trust {
                trusted += sources.compactMap { if case .file(let path) = $0 { path } else { nil } }
            }
            for source in trusted.compactMap(text) {
                guard try !CertificateDetails.all(source).isEmpty else {
                    throw BackupArchive.BackupError(description: "a trusted file in the backup holds no certificate")
                }
            }
        }
        try pair("admin:page.pem", "admin:page.key")
        if let users = backup.files.first(where: { $0.path == "admin:users.json" }) {
            try AdminUsers.check(users.bytes)
        }
    }

    /// - Throws: where anything could not be written; what was is for `rollBack`.
    func write() throws {
        for change in changes {
            try Folder.make(Folder.of(change.path), mode: change.mode == 0o600 ? 0o700 : 0o750)
            done += 1
            try put(change.path, change.bytes, change.mode, before: change.before, isBack: false)
        }
    }

    /// What people edit goes the way of all changes, with its history.
    private func put(_ path: String, _ bytes: [UInt8]?, _ mode: UInt32, before: [UInt8]?, isBack: Bool) throws {
        guard bytes != before || isBack else { return }
        if path.hasSuffix(".conf"), PlainFile.isThere(path) {
            let store = try ConfigurationStore(path)
            if let bytes { try store.put(bytes) } else { try store.retire() }
        } else if let bytes {
            try AtomicFile.write(bytes, to: path, mode: mode)
        } else {
            try PlainFile.remove(path)
        }
    }

    /// As far as it goes: each file that was written gets back what it held.
    func rollBack() {
        for change in changes.prefix(done).reversed() {
            try? put(change.path, change.before, change.mode, before: change.bytes, isBack: true)
        }
    }
}
