internal import ConfigurationEditing
internal import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import JSON
internal import TextFormats
internal import YAMLDocument

/// All that a connector is made of, in a ZIP archive: its files as they are, and secrets under a password.
struct BackupArchive {
    /// What is in it, and where it belongs.
    struct Manifest: Codable {
        struct Item: Codable {
            /// In the archive.
            var name: String
            /// On the machine; of configuration files, the name in `connector.d`, empty for the main one.
            var path: String
            var kind: Kind
        }

        enum Kind: String, Codable { case configuration, file, secret }

        var product: String
        var version: String
        var created: String
        var items: [Item]
        /// What is not in here: credentials that the service gets from systemd, and what could not be read.
        var omitted: [String]
        /// SHA-256 of each entry of the archive by its name, hexadecimal.
        var digests: [String: String] = [:]
    }

    struct BackupError: Error, CustomStringConvertible { var description: String }

    private static let manifestName = "backup.json"
    /// SHA-256 of the manifest under the password, so that nothing in the archive can be another's.
    private static let sealName = "backup.seal"
    static let product = "open-cloud-connector"
    /// Of an archive: what a request may have, less what is around it.
    static let maxBytes = Administration.bodyLimit - 4096

    // MARK: Making

    /// - Parameter folder: of users, of the page's certificate, and of what came through the API.
    static func make(main: String, folder: String, password: String, version: String) throws -> [UInt8] {
        var archive = ZipArchive()
        var manifest = Manifest(
            product: product,
            version: version,
            created: WallClock.timestamp(),
            items: [],
            omitted: []
        )
        let key = try SecretBox.Key(password: password)
        var seen: Set<String> = []
        func add(_ kind: Manifest.Kind, _ place: String, _ bytes: [UInt8]) throws {
            guard seen.insert("\(kind) \(place)").inserted else { return }
            let number = manifest.items.count + 1
            let name =
                kind == .configuration ? (place.isEmpty ? "connector.conf" : "connector.d/\(place)") : "files/\(number)"
            let content = kind == .secret ? try SecretBox.seal(bytes, key) : bytes
            archive.entries.append(.init(name, content))
            manifest.digests[name] = Hexadecimal.text(SHA256.digest(content))
            manifest.items.append(.init(name: name, path: place, kind: kind))
        }
        for file in [main] + ConfigurationFolder.files(beside: main) {
            let bytes = try PlainFile.read(file, maxBytes: YAMLReader.sizeLimit)
            try add(.configuration, file == main ? "" : String(file.split(separator: "/").last ?? ""), bytes)
            for (path, isSecret) in named(try YAMLText(bytes).value) {
                if path.hasPrefix("credential:") {
                    manifest.omitted.append(path)
                } else if let content = try? PlainFile.read(path, maxBytes: PrivateFile.maxBytes) {
                    try add(isSecret ? .secret : .file, path, content)
                } else {
                    manifest.omitted.append(path)
                }
            }
        }
        for (name, kind) in [("users.json", Manifest.Kind.secret), ("page.pem", .file), ("page.key", .secret)] {
            guard let content = try? PlainFile.read("\(folder)/\(name)", maxBytes: PrivateFile.maxBytes) else {
                continue
            }
            try add(kind, "admin:\(name)", content)
        }
        let text = JSONLines.encode(manifest)
        archive.entries.insert(.init(manifestName, text), at: 0)
        archive.entries.insert(.init(sealName, try SecretBox.seal(SHA256.digest(text), key)), at: 1)
        let bytes = archive.bytes
        // What is made can be taken back.
        guard archive.entries.count <= ZipArchive.maxEntries, bytes.count <= maxBytes else {
            throw BackupError(
                description:
                    "the backup would have \(archive.entries.count) entries and \(bytes.count) bytes, and a restore takes \(ZipArchive.maxEntries) and \(maxBytes)"
            )
        }
        return bytes
    }

    /// The files that a configuration names, and which of them are secrets: by the words that every section has for them.
    static func named(_ value: YAMLValue) -> [(path: String, isSecret: Bool)] {
        guard case .mapping(let entries) = value else { return value.items.flatMap(named) }
        return entries.flatMap { entry -> [(path: String, isSecret: Bool)] in
            let path = entry.value.scalar ?? ""
            switch entry.key {
            case _ where path.isEmpty && entry.key != "certificates": return named(entry.value)
            case "certificate", "trusted-ca": return [(path, false)]
            case "private-key", "password-file", "keytab": return [(path, true)]
            // Of an issuer; others have a URL.
            case "keys" where !path.contains("://"): return [(path, false)]
            case "certificates": return entry.value.items.compactMap(\.scalar).map { ($0, false) }
            default: return []
            }
        }
    }

    // MARK: Reading

    /// Configuration files by their names in `connector.d`; empty for the main one.
    private(set) var configurations: [(name: String, bytes: [UInt8])] = []
    /// Other files by their paths.
    private(set) var files: [(path: String, bytes: [UInt8], isSecret: Bool)] = []
    private(set) var omitted: [String] = []

    /// - Throws: where anything in it cannot be read, so that nothing is restored by halves.
    init(reading bytes: [UInt8], password: String) throws {
        let archive = try ZipArchive(reading: bytes)
        guard let text = archive[Self.manifestName], let manifest = try? JSONLines.decode(Manifest.self, text),
            manifest.product == Self.product
        else { throw BackupError(description: "this is not a backup of this connector") }
        var keys: [[UInt8]: SecretBox.Key] = [:]
        guard let seal = archive[Self.sealName], let sealed = try SecretBox.open(seal, password: password, known: &keys)
        else {
            throw BackupError(description: "the password does not open the backup")
        }
        guard sealed == SHA256.digest(text) else {
            throw BackupError(description: "the backup was changed: \(Self.manifestName)")
        }
        // From here on it is as it was made.
        for entry in archive.entries where entry.name != Self.manifestName && entry.name != Self.sealName {
            guard manifest.digests[entry.name] == Hexadecimal.text(SHA256.digest(entry.content)) else {
                throw BackupError(description: "the backup was changed: \(LogText.escaped(entry.name.utf8))")
            }
        }
        for item in manifest.items {
            guard let content = archive[item.name] else {
                throw BackupError(description: "\(item.name) is missing in the backup")
            }
            switch item.kind {
            case .configuration:
                guard item.path.isEmpty || Self.isFileName(item.path) else {
                    throw BackupError(
                        description: "\(LogText.escaped(item.path.utf8)) is not the name of a configuration file"
                    )
                }
                configurations.append((item.path, content))
            case .file: files.append((item.path, content, false))
            case .secret:
                guard let opened = try SecretBox.open(content, password: password, known: &keys) else {
                    throw BackupError(description: "the password does not open the backup")
                }
                files.append((item.path, opened, true))
            }
        }
        let names = configurations.map(\.name) + files.map(\.path)
        guard Set(names).count == names.count else { throw BackupError(description: "the backup has something twice") }
        guard configurations.first?.name == "" else {
            throw BackupError(description: "the backup has no connector.conf")
        }
        omitted = manifest.omitted
        try checkPlaces()
    }

    private static func isFileName(_ name: String) -> Bool {
        name.hasSuffix(".conf") && !name.contains("/") && !name.hasPrefix(".")
    }

    /// A backup may put back what its own configuration names, and nothing else.
    private func checkPlaces() throws {
        var allowed = Set(["users.json", "page.pem", "page.key"].map { "admin:\($0)" })
        for (_, bytes) in configurations { allowed.formUnion(Self.named(try YAMLText(bytes).value).map(\.path)) }
        guard let stray = files.first(where: { !allowed.contains($0.path) }) else { return }
        throw BackupError(
            description:
                "the backup has a file for \(LogText.escaped(stray.path.utf8)), which its configuration does not name"
        )
    }
}
