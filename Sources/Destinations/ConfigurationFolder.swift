internal import Glibc
internal import HostSystem
internal import JSON
internal import TextFormats

/// The configurations of one kind, one level and one tenant: files in a folder, which people may edit while the service runs.
///
/// Certificates are files as they are; everything else is JSON, YAML or `.properties`. Labels stand in `.metadata.json`,
/// since the cockpit's formats have no place for them.
package struct ConfigurationFolder: Sendable {
    /// Files that are read; more are reported and left alone.
    package static let maxEntries = 5000
    private static let metadataName = ".metadata.json"

    /// A configuration with the file that it is in.
    package struct Entry: Sendable {
        package var configuration: NamedConfiguration
        package var labels: [Label]
        package var fileName: String
        fileprivate var stamp: Stamp

        var stored: StoredConfiguration {
            StoredConfiguration(configuration: configuration, labels: labels, modified: stamp.seconds)
        }
    }

    /// Something wrong with a file. The last good content counts meanwhile.
    package struct Finding: Sendable, Equatable, CustomStringConvertible {
        package var file: String
        package var fault: DestinationFileError
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
    private var badFiles: [String: (stamp: Stamp, fault: DestinationFileError)] = [:]
    private var metadata: [String: Metadata] = [:]
    private var isMetadataGood = true

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
        let known = Dictionary(entries.values.map { ($0.fileName, $0) }) { first, _ in first }
        // Of two files with one name, the one that is in force stays in force.
        let all = Self.fileNames(path)
        let names = all.filter { known[$0] != nil } + all.filter { known[$0] == nil }
        var (fresh, bad, new): ([String: Entry], [String: (stamp: Stamp, fault: DestinationFileError)], [Finding]) = (
            [:], [:], []
        )
        do {
            metadata = try readMetadata()
            isMetadataGood = true
        } catch {
            isMetadataGood = false
            new.append(Finding(file: path + "/" + Self.metadataName, fault: error))
        }
        for (index, name) in names.enumerated() {
            guard index < Self.maxEntries else {
                new.append(Finding(file: path, fault: DestinationFileError("more than \(Self.maxEntries) files")))
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
                new.append(Finding(file: file, fault: DestinationFileError(text)))
            } else {
                fresh[entry.configuration.name] = entry
            }
        }
        (entries, badFiles, findings) = (fresh, bad, new)
    }

    private func read(_ file: String, _ name: String, _ stamp: Stamp) throws(DestinationFileError) -> NamedConfiguration
    {
        guard stamp.size <= DestinationFile.maxBytes else { throw DestinationFileError("larger than 1 MiB") }
        let bytes: [UInt8]
        do {
            bytes = try PlainFile.read(file, maxBytes: DestinationFile.maxBytes)
        } catch {
            throw DestinationFileError(error.description)
        }
        let configuration: NamedConfiguration
        if let format = FileFormat(fileName: name), kind != .certificates {
            configuration = try DestinationFile.read(bytes, format, kind)
        } else {
            let certificate = Self.decodedName(name)
            var properties = ["Name": certificate, "Content": Base64.encode(bytes)]
            properties["Type"] = metadata[certificate]?.type
            do {
                configuration = try NamedConfiguration(.certificates, properties)
            } catch let fault {
                throw DestinationFileError(fault.description)
            }
        }
        if configuration.hasSecrets, stamp.mode & 0o077 != 0 {
            throw DestinationFileError("holds secrets and others may open it: chmod 600 \(file)")
        }
        return configuration
    }

    private static func fileNames(_ path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if !name.hasPrefix("."), !name.hasSuffix("~"), !name.contains(AtomicFile.unfinishedMark) {
                names.append(name)
            }
        }
        return names.sorted()
    }

    private static func stamp(_ file: String) -> Stamp? {
        var status = stat()
        guard unsafe stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Stamp(
            seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec,
            size: Int(status.st_size),
            node: UInt64(status.st_ino),
            mode: status.st_mode
        )
    }

    /// - Throws: where the file is there and cannot be read; what was read before counts on.
    private func readMetadata() throws(DestinationFileError) -> [String: Metadata] {
        let file = path + "/" + Self.metadataName
        guard unsafe access(file, F_OK) == 0 else { return [:] }
        guard let bytes = try? PlainFile.read(file, maxBytes: DestinationFile.maxBytes),
            let metadata = try? JSONLines.decode([String: Metadata].self, bytes)
        else {
            throw DestinationFileError("cannot be read as JSON, so labels and types of certificates are not changed")
        }
        return metadata
    }

    // MARK: Writing

    /// Creates or replaces one, in the format that its file has.
    package mutating func store(_ configuration: NamedConfiguration) throws {
        guard entries[configuration.name] != nil || entries.count < Self.maxEntries else {
            throw DestinationError("There are \(Self.maxEntries) already, which is the limit")
        }
        try makeFolders()
        let known = entries[configuration.name]
        // Of one that was removed by hand, nothing is inherited.
        let isForgotten = known == nil && metadata.removeValue(forKey: configuration.name) != nil
        let (bytes, name): ([UInt8], String)
        if kind == .certificates {
            if known == nil, let fault = Self.fileNameFault(configuration.name) { throw DestinationError(fault) }
            bytes = Base64.decode(configuration["Content"] ?? "") ?? []
            name = known?.fileName ?? Self.encodedName(configuration.name)
            metadata[configuration.name, default: Metadata()].type = configuration["Type"]
            try writeMetadata()
        } else {
            if isForgotten { try writeMetadata() }
            name = known?.fileName ?? freeName(configuration.name)
            bytes = DestinationFile.write(configuration.properties, FileFormat(fileName: name) ?? .json)
        }
        try AtomicFile.write(bytes, to: path + "/" + name, mode: configuration.hasSecrets ? 0o600 : 0o640)
        refresh()
    }

    /// A file name that is not taken: a file counts by what is in it, so one of this name may be another's.
    private func freeName(_ name: String) -> String {
        var candidate = name + ".json"
        var number = 2
        while unsafe access(path + "/" + candidate, F_OK) == 0 {
            candidate = "\(name)-\(number).json"
            number += 1
        }
        return candidate
    }

    /// - Returns: whether there was one.
    package mutating func remove(_ name: String) throws -> Bool {
        guard let entry = entries[name] else { return false }
        guard unsafe unlink(path + "/" + entry.fileName) == 0 else {
            throw DestinationError(unsafe "cannot remove \(entry.fileName): \(String(cString: strerror(errno)))")
        }
        if metadata.removeValue(forKey: name) != nil { try writeMetadata() }
        refresh()
        return true
    }

    /// Replaces the labels of a configuration; they stand in a file beside.
    package mutating func setLabels(_ labels: [Label], of name: String) throws {
        metadata[name, default: Metadata()].labels = labels.isEmpty ? nil : labels
        try writeMetadata()
        refresh()
    }

    private func writeMetadata() throws {
        guard isMetadataGood else {
            throw DestinationError("\(path)/\(Self.metadataName) cannot be read; repair or remove it first")
        }
        try makeFolders()
        let kept = metadata.filter { $0.value.labels != nil || $0.value.type != nil }
        try AtomicFile.write(JSONLines.encode(kept), to: path + "/" + Self.metadataName, mode: 0o640)
    }

    private func makeFolders() throws {
        do throws(FileError) { try Folder.make(path, mode: 0o750) } catch {
            throw DestinationError(error.description)
        }
    }

    // MARK: Names of certificates

    /// Spaces, points at the beginning and everything beyond ASCII as %XX.
    static func encodedName(_ name: String) -> String {
        PercentText.encode(name, isUppercase: false) { byte, index in
            NamedConfiguration.isNameByte(byte) || (byte == UInt8(ascii: ".") && index > 0)
        }
    }

    /// Why no file can have the name of this certificate; nil for a name that is possible.
    static func fileNameFault(_ name: String) -> String? {
        if name.contains(AtomicFile.unfinishedMark) {
            return "The name must not contain \"\(AtomicFile.unfinishedMark)\", which marks unfinished files"
        }
        let length = encodedName(name).utf8.count
        // What is added while the file is written must fit as well (NAME_MAX of limits.h is 255).
        return length <= maxFileName
            ? nil
            : "The name is too long for a file: \(length) bytes of \(maxFileName), as each byte beyond ASCII takes three"
    }

    private static let maxFileName = 220

    static func decodedName(_ name: String) -> String { PercentText.decode(name) ?? name }
}
