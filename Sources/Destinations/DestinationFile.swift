internal import JSON
internal import TextFormats
internal import YAMLDocument

/// What is wrong with a file, and where.
package struct DestinationFileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// From 1; nil where it concerns the whole file.
    package var line: Int?
    package var message: String

    package init(line: Int? = nil, _ message: String) {
        self.line = line
        self.message = message
    }

    package var description: String { line.map { "line \($0): \(message)" } ?? message }
}

/// The forms in which the cockpit imports and exports destinations.
package enum FileFormat: String, Sendable, CaseIterable {
    case json, yaml, properties

    /// By the end of a file's name; `.yml` is YAML as well.
    package init?(fileName: String) {
        guard let dot = fileName.lastIndex(of: "."), dot != fileName.startIndex else { return nil }
        let suffix = fileName[fileName.index(after: dot)...].lowercased()
        guard let format = FileFormat(rawValue: suffix == "yml" ? "yaml" : suffix) else { return nil }
        self = format
    }
}

/// Reads and writes one configuration as a file.
package enum DestinationFile {
    /// Bytes of one file.
    package static let maxBytes = 1 << 20

    package static func read(
        _ bytes: [UInt8],
        _ format: FileFormat,
        _ kind: ConfigurationKind
    ) throws(DestinationFileError) -> NamedConfiguration {
        guard bytes.count <= maxBytes else { throw DestinationFileError("larger than \(maxBytes >> 20) MiB") }
        let bytes = try text(bytes, format)
        do {
            switch format {
            case .json:
                let value: JSONValue
                do {
                    value = try JSONLines.decode(JSONValue.self, bytes)
                } catch {
                    throw DestinationFileError(JSONLines.fault(error))
                }
                return try NamedConfiguration(kind, value)
            case .yaml: return try NamedConfiguration(kind, try yaml(bytes))
            case .properties:
                // Java wrote these files in Latin-1 for long, with escapes for all else.
                let text =
                    String(validating: bytes, as: UTF8.self) ?? String(bytes.map { Character(UnicodeScalar($0)) })
                return try NamedConfiguration(kind, try PropertiesFormat.parse(text))
            }
        } catch let fault as DestinationError {
            throw DestinationFileError(fault.description)
        } catch let fault as DestinationFileError {
            throw fault
        } catch {
            throw DestinationFileError("\(error)")
        }
    }

    /// Without the mark that Windows puts in front.
    private static func text(_ bytes: [UInt8], _ format: FileFormat) throws(DestinationFileError) -> [UInt8] {
        do throws(TextFileError) {
            let bytes = try TextFile.withoutMark(bytes)
            if format != .properties, let fault = TextFile.fault(bytes) { throw fault }
            return bytes
        } catch {
            throw DestinationFileError(line: error.line, "column \(error.column): \(error.message)")
        }
    }

    private static func yaml(_ bytes: [UInt8]) throws(DestinationFileError) -> [String: String] {
        let root: YAMLNode?
        do {
            root = try YAMLReader.read(bytes)
        } catch {
            throw DestinationFileError(line: error.line, "column \(error.column): \(error.message)")
        }
        guard let root, case .mapping(let pairs) = root.content else {
            throw DestinationFileError("properties are needed, one \"key: value\" in each line")
        }
        var result: [String: String] = [:]
        for (key, value) in pairs {
            guard case .scalar(let name, _) = key.content, case .scalar(let text, _) = value.content else {
                throw DestinationFileError(
                    line: value.line,
                    "the value of a property must be a text, not \(value.kind)"
                )
            }
            guard result.updateValue(text, forKey: name) == nil else {
                throw DestinationFileError(line: key.line, "\"\(name)\" stands here a second time")
            }
        }
        return result
    }

    /// A destination as the cockpit exports it, in one of its formats.
    package static func write(_ properties: [String: String], _ format: FileFormat) -> [UInt8] {
        let pairs = ordered(properties)
        switch format {
        case .json:
            let lines = pairs.map { "  \(quoted($0.key)): \(quoted($0.value))" }
            return Array("{\n\(lines.joined(separator: ",\n"))\n}\n".utf8)
        // A JSON text in quotation marks is one in YAML as well.
        case .yaml: return Array(pairs.map { "\(quoted($0.key)): \(quoted($0.value))\n" }.joined().utf8)
        case .properties: return Array(PropertiesFormat.write(pairs).utf8)
        }
    }

    /// What says most comes first, then the alphabet.
    package static func ordered(_ properties: [String: String]) -> [(key: String, value: String)] {
        let first = [
            "Type", "Name", "FragmentName", "Description", "URL", "ProxyType", "Authentication",
            "CloudConnectorLocationId", "User", "Password",
        ]
        func rank(_ key: String) -> Int { first.firstIndex(of: key) ?? first.count }
        return properties.sorted { (rank($0.key), $0.key) < (rank($1.key), $1.key) }.map { ($0.key, $0.value) }
    }

    private static func quoted(_ text: String) -> String {
        String(decoding: JSONLines.encode(text).dropLast(), as: UTF8.self).unicodeScalars.map { scalar in
            // Control characters that JSON lets stand and YAML does not.
            let isControl = (0x7f...0x9f).contains(scalar.value) || [0xfeff, 0xfffe, 0xffff].contains(scalar.value)
            guard isControl else { return String(scalar) }
            let digits = String(scalar.value, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
    }
}
