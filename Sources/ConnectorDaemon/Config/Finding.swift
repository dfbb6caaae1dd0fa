internal import YAMLDocument

/// Something that is wrong, or at least odd, at one place of a configuration file.
struct Finding: Sendable, Equatable, CustomStringConvertible {
    enum Severity: String, Sendable { case error, warning }

    var severity: Severity
    var file: String
    var line: Int
    var column: Int
    /// As in `systems[2].resources[0].path`; empty for the file as a whole.
    var key: String
    var message: String

    /// `file:line:column: severity: key: message`, the form that editors jump to.
    var description: String {
        "\(file):\(line):\(column): \(severity.rawValue): \(key.isEmpty ? "" : key + ": ")\(message)"
    }
}

extension [Finding] {
    /// As lines for a log or a terminal, errors first, and not more than anybody reads.
    var digest: [String] {
        let lines = (filter { $0.severity == .error } + filter { $0.severity == .warning }).map(\.description)
        guard lines.count > Self.digestLimit else { return lines }
        return lines.prefix(Self.digestLimit)
            + ["and \(lines.count - Self.digestLimit) more: `connectord check-config` lists them all"]
    }

    private static var digestLimit: Int { 50 }
}

/// The findings of one file. All are collected; nobody likes to repair one error to be shown the next.
final class Findings {
    let file: String
    private(set) var all: [Finding] = []
    var hasErrors: Bool { all.contains { $0.severity == .error } }

    init(file: String) { self.file = file }

    func error(_ node: YAMLNode, _ key: String, _ message: String) { add(.error, node.line, node.column, key, message) }

    func warning(_ node: YAMLNode, _ key: String, _ message: String) {
        add(.warning, node.line, node.column, key, message)
    }

    func add(_ severity: Finding.Severity, _ line: Int, _ column: Int, _ key: String, _ message: String) {
        all.append(
            Finding(severity: severity, file: file, line: line, column: column, key: key, message: message)
        )
    }

    /// In the order of the file.
    var sorted: [Finding] { all.sorted { ($0.line, $0.column) < ($1.line, $1.column) } }
}

/// A configuration file that cannot be used.
struct ConfigurationError: Error, CustomStringConvertible {
    var findings: [Finding]
    var description: String { findings.map(\.description).joined(separator: "\n") }
}
