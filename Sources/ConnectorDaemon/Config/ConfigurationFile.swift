internal import Glibc
internal import NIOCore
internal import TunnelCore
internal import YAMLDocument

/// Gets from a path to a section with findings.
enum ConfigurationFile {
    static func bytes(_ path: String) throws(ConfigurationError) -> [UInt8] {
        guard let file = fopen(path, "r") else { throw unreadable(path) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
            if bytes.count > YAMLReader.sizeLimit { break }
        }
        guard ferror(file) == 0 else { throw unreadable(path) }
        return bytes
    }

    private static func unreadable(_ path: String) -> ConfigurationError {
        let reason = String(cString: strerror(errno))
        return ConfigurationError(findings: [
            Finding(
                severity: .error,
                file: path,
                line: 1,
                column: 1,
                key: "",
                message: "cannot be read: \(reason)"
            )
        ])
    }

    /// - Returns: nil where the text is no YAML; the findings say why.
    static func section(_ bytes: [UInt8], _ findings: Findings) -> Section? {
        do throws(YAMLError) {
            guard let root = try YAMLReader.read(bytes) else {
                findings.add(.error, 1, 1, "", "the file is empty")
                return nil
            }
            return Section(root, "", findings)
        } catch {
            findings.add(.error, error.line, error.column, "", error.message)
            return nil
        }
    }

    /// Files in a configuration are named from the working directory or absolutely, as in the shell.
    static func checkReadable(_ path: String, _ place: YAMLNode, _ key: String, _ findings: Findings) {
        if access(path, R_OK) != 0 {
            findings.warning(place, key, "\(path) cannot be read here: \(String(cString: strerror(errno)))")
        }
    }
}

extension Section {
    /// "host:port", the port mandatory unless there is a fallback.
    mutating func address(_ name: String, fallbackPort: Int? = nil, allowsZero: Bool = false) -> (
        host: String, port: Int
    )? {
        guard let text = string(name) else { return nil }
        let place = place(name)
        guard let parsed = HostPort.parse(text) else {
            findings.error(place, path(name), "must be host:port, not \"\(text)\"")
            return nil
        }
        guard let port = parsed.port ?? fallbackPort else {
            findings.error(place, path(name), "names no port; write \"\(text):PORT\"")
            return nil
        }
        guard port >= (allowsZero ? 0 : 1), port <= 65535 else {
            findings.error(place, path(name), "\(port) is no port; ports go from 1 to 65535")
            return nil
        }
        return (parsed.host, port)
    }
}

extension Section {
    struct PortRange {
        var host: String
        var first: Int
        var count: Int
    }

    /// "host:port", or "host:low-high".
    mutating func portRange(_ name: String) -> PortRange? {
        guard let text = string(name), let dash = text.lastIndex(of: "-"), let colon = text.lastIndex(of: ":"),
            colon < dash, let high = Int(text[text.index(after: dash)...]),
            let start = HostPort.parse(String(text[..<dash])),
            let low = start.port
        else { return address(name).map { PortRange(host: $0.host, first: $0.port, count: 1) } }
        guard low >= 1, high <= 65535, low <= high else {
            findings.error(place(name), path(name), "\(low)-\(high) is no range of ports from 1 to 65535")
            return nil
        }
        return PortRange(host: start.host, first: low, count: high - low + 1)
    }
}

enum HostPort {
    /// `host`, `host:port`, `[v6]` or `[v6]:port`; the port is any number here, so that its range can be reported.
    static func parse(_ text: String) -> (host: String, port: Int?)? {
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            let host = String(text[text.index(after: text.startIndex)..<end])
            let rest = text[text.index(after: end)...]
            if rest.isEmpty { return (host, nil) }
            guard rest.hasPrefix(":"), let port = Int(rest.dropFirst()) else { return nil }
            return (host, port)
        }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return text.isEmpty ? nil : (text, nil) }
        let digits = text.utf8[text.utf8.index(after: colon)...]
        guard colon > text.startIndex, (1...9).contains(digits.count) else { return nil }
        var port = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            port = port * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return (String(text[..<colon]), port)
    }

    static func isHostName(_ host: String) -> Bool {
        !host.isEmpty && host.utf8.count <= 253 && !host.hasPrefix(".") && !host.contains("..")
            && (host.utf8.count <= 63 || host.split(separator: ".").allSatisfy { $0.utf8.count <= 63 })
            && host.utf8.allSatisfy { octet in
                switch octet {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
