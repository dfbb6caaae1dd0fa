package import YAMLDocument

/// Something that is wrong, or at least odd, at one place of a configuration file.
package struct Finding: Sendable, Equatable, CustomStringConvertible {
    /// An error keeps a file from being used, a warning does not.
    package enum Severity: String, Sendable { case error, warning }

    package var severity: Severity
    package var file: String
    package var line: Int
    package var column: Int
    /// As in `systems[2].resources[0].path`; empty for the file as a whole.
    package var key: String
    package var message: String

    package init(severity: Severity, file: String, line: Int, column: Int, key: String, message: String) {
        self.severity = severity
        self.file = file
        self.line = line
        self.column = column
        self.key = key
        self.message = message
    }

    /// `file:line:column: severity: key: message`, the form that editors jump to.
    package var description: String {
        "\(file):\(line):\(column): \(severity.rawValue): \(key.isEmpty ? "" : key + ": ")\(message)"
    }
}

extension [Finding] {
    /// As lines for a log or a terminal, errors first, and not more than anybody reads.
    package var digest: [String] {
        let lines = (filter { $0.severity == .error } + filter { $0.severity == .warning }).map(\.description)
        guard lines.count > Self.digestLimit else { return lines }
        return lines.prefix(Self.digestLimit)
            + ["and \(lines.count - Self.digestLimit) more: `connectord check-config` lists them all"]
    }

    private static var digestLimit: Int { 50 }
}

/// The findings of one file. All are collected; nobody likes to repair one error to be shown the next.
package final class Findings {
    let file: String
    private(set) var all: [Finding] = []
    package var hasErrors: Bool { all.contains { $0.severity == .error } }

    package init(file: String) { self.file = file }

    /// Adds an error at a node's place.
    package func error(_ node: YAMLNode, _ key: String, _ message: String) {
        add(.error, node.line, node.column, key, message)
    }

    /// Adds a warning at a node's place.
    package func warning(_ node: YAMLNode, _ key: String, _ message: String) {
        add(.warning, node.line, node.column, key, message)
    }

    /// Adds a finding at a line and column, both from 1.
    package func add(_ severity: Finding.Severity, _ line: Int, _ column: Int, _ key: String, _ message: String) {
        all.append(
            Finding(severity: severity, file: file, line: line, column: column, key: key, message: message)
        )
    }

    /// In the order of the file.
    package var sorted: [Finding] { all.sorted { ($0.line, $0.column) < ($1.line, $1.column) } }
}

/// A configuration file that cannot be used.
package struct ConfigurationError: Error, CustomStringConvertible {
    package var findings: [Finding]

    package init(findings: [Finding]) {
        self.findings = findings
    }
    package var description: String { findings.map(\.description).joined(separator: "\n") }
}
