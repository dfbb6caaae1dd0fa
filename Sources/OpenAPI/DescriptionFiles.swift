internal import JSON
internal import TextFormats

/// The files of a description that is spread over several: each becomes a part of the first one, and every `$ref` leads there.
package enum DescriptionFiles {
    /// Reads a file, by its path from the folder of the first one.
    package typealias Load = (String) throws(OpenAPIError) -> [UInt8]

    /// Files beside the first one.
    static let limit = 200
    /// Where they stand in the first one; no description has such a member of its own.
    private static let member = "x-files-of-this-description"
    /// In the place of a file that cannot be had: why. Operations that do not need it are none the worse for it.
    static let fault = "x-fault-of-this-file"
    /// What holds values, not schemas; a property may be called so all the same.
    private static let values: Set<String> = ["example", "examples", "default", "enum", "const"]

    static func gather(_ root: JSONValue, _ load: Load) throws(OpenAPIError) -> JSONValue {
        guard case .object(var members) = root else { return root }
        var gatherer = Gatherer()
        for (name, value) in members { members[name] = try gatherer.rewritten(value, from: "", inside: name, 0) }
        var files: [String: JSONValue] = [:]
        var size = 0
        while let path = gatherer.waiting.popLast() {
            do throws(OpenAPIError) {
                let bytes = try load(path)
                size += bytes.count
                guard size <= OpenAPIDocument.maxBytes else {
                    throw OpenAPIError("more than \(OpenAPIDocument.maxBytes >> 20) MiB with this file")
                }
                let value = try OpenAPIDocument.value(bytes, isYAML: !path.lowercased().hasSuffix(".json"))
                files[path] = try gatherer.rewritten(value, from: path, inside: "", 0)
            } catch {
                gatherer.faults[path] = "\(LogText.escaped(path.utf8)): \(error)"
            }
        }
        for (path, text) in gatherer.faults { files[path] = .object([fault: .string(text)]) }
        if !files.isEmpty { members[member] = .object(files) }
        return .object(members)
    }

    private struct Gatherer {
        var waiting: [String] = []
        /// By file, or by what should have been one.
        var faults: [String: String] = [:]
        private var known: Set<String> = []

        /// - Parameters:
        ///   - file: where it stands; empty for the first one.
        ///   - name: of the member that it is.
        mutating func rewritten(
            _ value: JSONValue,
            from file: String,
            inside name: String,
            _ depth: Int
        ) throws(OpenAPIError) -> JSONValue {
            guard depth < OpenAPIDocument.maxDepth else { throw OpenAPIError("nested too deeply") }
            switch value {
            case .array(let items):
                var result: [JSONValue] = []
                for item in items { result.append(try rewritten(item, from: file, inside: "", depth + 1)) }
                return .array(result)
            case .object(var members):
                let areNames = name == "properties" || name == "patternProperties"
                for (key, member) in members where areNames || !DescriptionFiles.values.contains(key) {
                    if key == "$ref", !areNames, let reference = member.string {
                        members[key] = .string(try target(reference, from: file))
                    } else {
                        members[key] = try rewritten(member, from: file, inside: key, depth + 1)
                    }
                }
                return .object(members)
            default: return value
            }
        }

        private mutating func target(_ reference: String, from file: String) throws(OpenAPIError) -> String {
            let parts = reference.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
            let pointer = parts.count > 1 ? String(parts[1]) : ""
            var path = file
            if !parts[0].isEmpty {
                do throws(OpenAPIError) {
                    path = try Self.path(String(parts[0]), from: file, reference)
                    // The first file itself, as another one calls it, is read like any other.
                    if known.insert(path).inserted {
                        guard known.count <= DescriptionFiles.limit else {
                            throw OpenAPIError("more than \(DescriptionFiles.limit) other files are referred to")
                        }
                        waiting.append(path)
                    }
                } catch {
                    path = String(parts[0])
                    faults[path] = error.description
                }
            }
            guard !path.isEmpty else { return reference }
            guard pointer.isEmpty || pointer.hasPrefix("/") else {
                throw OpenAPIError("$ref \"\(LogText.escaped(reference.utf8))\" is no pointer (RFC 6901)")
            }
            let escaped = PercentText.encode(path.replacing("~", with: "~0").replacing("/", with: "~1"))
            return "#/\(DescriptionFiles.member)/\(escaped)\(pointer)"
        }

        /// From the folder of the first file, and never out of it.
        private static func path(_ text: String, from file: String, _ reference: String) throws(OpenAPIError) -> String
        {
            let shown = LogText.escaped(reference.utf8)
            let decoded = PercentText.decode(text) ?? text
            guard !decoded.hasPrefix("/"), !decoded.contains(":"), !decoded.utf8.contains(0) else {
                throw OpenAPIError("$ref \"\(shown)\" must lead to a file beside this one, by a relative path")
            }
            var parts = file.split(separator: "/").dropLast().map(String.init)
            for part in decoded.split(separator: "/") where part != "." {
                guard part == ".." else {
                    parts.append(String(part))
                    continue
                }
                guard parts.popLast() != nil else {
                    throw OpenAPIError("$ref \"\(shown)\" leads out of the folder of the description")
                }
            }
            return parts.joined(separator: "/")
        }
    }
}
