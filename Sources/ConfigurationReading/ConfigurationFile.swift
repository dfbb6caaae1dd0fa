internal import Glibc
internal import HostSystem
internal import NIOCore
package import TextFormats
package import YAMLDocument

/// Gets from a path to a section with findings.
package enum ConfigurationFile {
    /// The bytes of a file, up to the limit for configurations.
    package static func bytes(_ path: String) throws(ConfigurationError) -> [UInt8] {
        do throws(FileError) {
            return try PlainFile.read(path, maxBytes: YAMLReader.sizeLimit)
        } catch {
            let message = error.number == 0 ? error.description : "cannot be read: \(error.reason)"
            throw ConfigurationError(findings: [
                Finding(severity: .error, file: path, line: 1, column: 1, key: "", message: message)
            ])
        }
    }

    /// A password in a file of its own.
    package static func secret(_ path: String) throws(ConfigurationError) -> String {
        let bytes = try bytes(path)
        do throws(TextFileError) {
            return try TextFile.secret(bytes)
        } catch {
            throw ConfigurationError(findings: [
                Finding(
                    severity: .error,
                    file: path,
                    line: error.line,
                    column: error.column,
                    key: "",
                    message: error.message
                )
            ])
        }
    }

    /// - Returns: nil where the text is not YAML; the findings say why.
    package static func section(_ bytes: [UInt8], _ findings: Findings) -> Section? {
        do throws(TextFileError) {
            return yaml(try TextFile.withoutMark(bytes), findings)
        } catch {
            findings.add(.error, error.line, error.column, "", "the file \(error.message)")
            return nil
        }
    }

    private static func yaml(_ bytes: [UInt8], _ findings: Findings) -> Section? {
        do throws(YAMLError) {
            guard let root = try YAMLReader.read(bytes) else {
                findings.add(.error, 1, 1, "", "the file is empty")
                return nil
            }
            return Section(root, "", findings)
        } catch {
            if let fault = TextFile.fault(bytes) {
                findings.add(.error, fault.line, fault.column, "", "the file \(fault.message)")
            } else {
                findings.add(.error, error.line, error.column, "", error.message)
            }
            return nil
        }
    }

    /// Where a key such as `proxy.listen` stands; nil where the file is not YAML.
    package static func line(of key: String, in path: String) -> Int? {
        guard let bytes = try? bytes(path), let text = try? TextFile.withoutMark(bytes),
            let root = (try? YAMLReader.read(text)).flatMap({ $0 })
        else { return nil }
        return Section(root, "", Findings(file: path)).line(of: key)
    }

    /// Files in a configuration are named from the working directory or absolutely, as in the shell.
    package static func checkReadable(_ path: String, _ place: YAMLNode, _ key: String, _ findings: Findings) {
        if unsafe access(path, R_OK) != 0 {
            findings.warning(place, key, unsafe "\(path) cannot be read here: \(String(cString: strerror(errno)))")
        }
    }
}

extension Section {
    /// "host:port", the port mandatory unless there is a fallback.
    package mutating func address(_ name: String, fallbackPort: Int? = nil, allowsZero: Bool = false) -> HostPort? {
        guard let text = string(name) else { return nil }
        let place = place(name)
        guard let parsed = HostPort.parse(text) else {
            let isBare = text.filter { $0 == ":" }.count > 1 && !text.hasPrefix("[")
            let hint = isBare ? "; an IPv6 address stands in brackets, as in [::1]:443" : ""
            findings.error(place, path(name), "must be host:port, not \"\(text)\"\(hint)")
            return nil
        }
        guard let port = parsed.port ?? fallbackPort else {
            findings.error(place, path(name), "names no port; write \"\(HostPort.bracketed(parsed.host)):PORT\"")
            return nil
        }
        guard port >= (allowsZero ? 0 : 1), port <= 65535 else {
            findings.error(place, path(name), "\(port) is not a port; ports go from 1 to 65535")
            return nil
        }
        return HostPort(host: parsed.host, port: port)
    }
}

extension Section {
    /// A host with a port, or with the ports from one to another: `host:7001` or `host:7001-7005`.
    package struct PortRange {
        package var host: String
        package var first: Int
        package var count: Int
    }

    /// "host:port", or "host:low-high".
    package mutating func portRange(_ name: String, fallbackPort: Int? = nil) -> PortRange? {
        guard let text = string(name), let dash = text.utf8.lastIndex(of: UInt8(ascii: "-")),
            let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")), colon < dash,
            let high = Int(text[text.index(after: dash)...]),
            let start = HostPort.parse(String(text[..<dash])),
            let low = start.port
        else {
            return address(name, fallbackPort: fallbackPort).map { PortRange(host: $0.host, first: $0.port, count: 1) }
        }
        guard low >= 1, high <= 65535, low <= high else {
            findings.error(place(name), path(name), "\(low)-\(high) is not a range of ports from 1 to 65535")
            return nil
        }
        return PortRange(host: start.host, first: low, count: high - low + 1)
    }
}
