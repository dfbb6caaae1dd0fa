internal import ControlProtocol
internal import Glibc
internal import Telemetry

/// The configurations of one kind, one level and one tenant: files in a folder, which people may edit while the service runs.
///
/// Certificates are files as they are; everything else is JSON, YAML or `.properties`. Labels stand in `.metadata.json`,
/// since the cockpit's formats have no place for them.
package struct ConfigurationFolder: Sendable {
    /// Files that are read; more are reported and left alone.
    package static let maxEntries = 5000
    private static let metadataName = ".metadata.json"

    package struct Entry: Sendable {
        package var configuration: NamedConfiguration
        package var labels: [Label]
        package var fileName: String
        /// Seconds since 1970.
        package var modified: Int
        fileprivate var stamp: Stamp
    }

    /// Something wrong with a file. The last good content counts meanwhile.
    package struct Finding: Sendable, Equatable, CustomStringConvertible {
        package var file: String
        package var fault: FileFault
        package var description: String {
            "\(file):\(fault.line.map { "\($0):" } ?? "") \(fault.message)"
        }
    }

    /// Tells whether a file changed.
    fileprivate struct Stamp: Equatable {
        var seconds: Int
        var nanoseconds: Int
        var size: Int
        var node: UInt64
        var mode: UInt32
    }

    private struct Metadata: Codable {
        var labels: [Label]?
        var type: String?
    }

    package let path: String
    package let kind: ConfigurationKind
    package private(set) var findings: [Finding] = []
    private var entries: [String: Entry] = [:]
    private var badFiles: [String: (stamp: Stamp, fault: FileFault)] = [:]
    private var metadata: [String: Metadata] = [:]

    package init(path: String, kind: ConfigurationKind) {
        self.path = path
        self.kind = kind
    }

    /// In the order of their names.
    package var all: [Entry] { entries.values.sorted { $0.configuration.name < $1.configuration.name } }

    package subscript(_ name: String) -> Entry? { entries[name] }

    // MARK: Reading

    /// Reads what changed since the last time.
    package mutating func refresh() {
        let names = Self.fileNames(path)
        let known = Dictionary(entries.values.map { ($0.fileName, $0) }) { first, _ in first }
        var (fresh, bad, new): ([String: Entry], [String: (stamp: Stamp, fault: FileFault)], [Finding]) = ([:], [:], [])
        metadata = readMetadata()
        for (index, name) in names.enumerated() {
            guard index < Self.maxEntries else {
                new.append(Finding(file: path, fault: FileFault("more than \(Self.maxEntries) files")))
                break
            }
            let file = path + "/" + name
            guard let stamp = Self.stamp(file), kind == .certificates || FileFormat(fileName: name) != nil else {
                continue
            }
            var entry = known[name]
            if let refused = badFiles[name], refused.stamp == stamp {
                bad[name] = refused
                new.append(Finding(file: file, fault: refused.fault))
            } else if entry?.stamp != stamp {
                do {
                    let configuration = try read(file, name, stamp)
                    entry = Entry(
                        configuration: configuration,
                        labels: [],
                        fileName: name,
                        modified: stamp.seconds,
                        stamp: stamp
                    )
                } catch let fault {
                    bad[name] = (stamp, fault)
                    new.append(Finding(file: file, fault: fault))
                }
            }
            guard var entry else { continue }
            entry.labels = metadata[entry.configuration.name]?.labels ?? []
            if let first = fresh[entry.configuration.name] {
                let text = "\"\(entry.configuration.name)\" is in \(first.fileName) already; this file does not count"
                new.append(Finding(file: file, fault: FileFault(text)))
            } else {
                fresh[entry.configuration.name] = entry
            }
        }
        (entries, badFiles, findings) = (fresh, bad, new)
    }

    private func read(_ file: String, _ name: String, _ stamp: Stamp) throws(FileFault) -> NamedConfiguration {
        guard stamp.size <= DestinationFile.maxOctets else { throw FileFault("larger than 1 MiB") }
        let octets: [UInt8]
        do {
            octets = try PlainFile.read(file, maxOctets: DestinationFile.maxOctets)
        } catch {
            throw FileFault(error.description)
        }
        let configuration: NamedConfiguration
        if let format = FileFormat(fileName: name), kind != .certificates {
            configuration = try DestinationFile.read(octets, format, kind)
        } else {
            let certificate = Self.decodedName(name)
            var properties = ["Name": certificate, "Content": Base64.encode(octets)]
            properties["Type"] = metadata[certificate]?.type
            do {
                configuration = try NamedConfiguration(.certificates, properties)
            } catch let fault {
                throw FileFault(fault.description)
            }
        }
        if configuration.hasSecrets, stamp.mode & 0o077 != 0 {
            throw FileFault("holds secrets and others may open it: chmod 600 \(file)")
        }
        return configuration
    }

    private static func fileNames(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix("."), !name.hasSuffix("~"), !name.contains(".new-") { names.append(name) }
        }
        return names.sorted()
    }

    private static func stamp(_ file: String) -> Stamp? {
        var status = stat()
        guard stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Stamp(
            seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec,
            size: Int(status.st_size),
            node: UInt64(status.st_ino),
            mode: status.st_mode
        )
    }

    private func readMetadata() -> [String: Metadata] {
        guard let octets = try? PlainFile.read(path + "/" + Self.metadataName, maxOctets: DestinationFile.maxOctets)
        else {
            return [:]
        }
        return (try? JSONLines.decode([String: Metadata].self, octets)) ?? [:]
    }

    // MARK: Writing

    /// Creates or replaces one, in the format that its file has.
    package mutating func store(_ configuration: NamedConfiguration) throws {
        guard entries[configuration.name] != nil || entries.count < Self.maxEntries else {
            throw ConfigurationFault("There are \(Self.maxEntries) already, which is the limit")
        }
        try makeFolders()
        let (octets, name): ([UInt8], String)
        if kind == .certificates {
            octets = Base64.decode(configuration["Content"] ?? "") ?? []
            name = Self.encodedName(configuration.name)
            metadata[configuration.name, default: Metadata()].type = configuration["Type"]
            try writeMetadata()
        } else {
            name = entries[configuration.name]?.fileName ?? configuration.name + ".json"
            octets = DestinationFile.write(configuration.properties, FileFormat(fileName: name) ?? .json)
        }
        try AtomicFile.write(octets, to: path + "/" + name, mode: configuration.hasSecrets ? 0o600 : 0o640)
        refresh()
    }

    /// - Returns: whether there was one.
    package mutating func remove(_ name: String) throws -> Bool {
        guard let entry = entries[name] else { return false }
        guard unlink(path + "/" + entry.fileName) == 0 else {
            throw ConfigurationFault("cannot remove \(entry.fileName): \(String(cString: strerror(errno)))")
        }
        if metadata.removeValue(forKey: name) != nil { try writeMetadata() }
        refresh()
        return true
    }

    package mutating func setLabels(_ labels: [Label], of name: String) throws {
        metadata[name, default: Metadata()].labels = labels.isEmpty ? nil : labels
        try writeMetadata()
        refresh()
    }

    private func writeMetadata() throws {
        try makeFolders()
        let kept = metadata.filter { $0.value.labels != nil || $0.value.type != nil }
        try AtomicFile.write(JSONLines.encode(kept), to: path + "/" + Self.metadataName, mode: 0o640)
    }

    private func makeFolders() throws {
        var missing: [String] = []
        var folder = path
        while !folder.isEmpty, access(folder, F_OK) != 0 {
            missing.append(folder)
            folder = folder.lastIndex(of: "/").map { String(folder[..<$0]) } ?? ""
        }
        for folder in missing.reversed() {
            guard mkdir(folder, 0o750) == 0 || errno == EEXIST else {
                throw ConfigurationFault("cannot make \(folder): \(String(cString: strerror(errno)))")
            }
        }
    }

    // MARK: Names of certificates

    /// Spaces, points at the beginning and everything beyond ASCII as %XX.
    static func encodedName(_ name: String) -> String {
        name.utf8.enumerated().map { index, octet in
            let isPlain = NamedConfiguration.isNameOctet(octet) || (octet == UInt8(ascii: ".") && index > 0)
            return isPlain ? String(UnicodeScalar(octet)) : "%" + (octet < 16 ? "0" : "") + String(octet, radix: 16)
        }.joined()
    }

    static func decodedName(_ name: String) -> String { PercentText.decode(name) ?? name }
}
