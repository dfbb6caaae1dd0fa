package import ConfigurationEditing
package import ConfigurationReading
internal import HostSystem
internal import TextFormats
internal import YAMLDocument

/// Changes a connector's file, which stays what people read and edit.
///
/// A change is made to what is in the file at that moment; it is refused, and nothing is written, where `check-config` would
/// refuse the result. What the file had before is kept in its history.
package struct ConfigurationStore {
    private let file: EditedFile
    private let history: FileHistory
    /// As people name it.
    private let name: String

    package init(_ path: String) throws {
        file = try EditedFile(path, maxBytes: YAMLReader.sizeLimit)
        history = FileHistory(file)
        name = path
    }

    /// What a change has done, or would do.
    package struct Outcome: Sendable {
        package var before: [UInt8]
        package var after: [UInt8]
        /// Warnings that the file did not give before.
        package var warnings: [Finding]

        /// Lines that came and went, with their surroundings; empty where nothing changed.
        package var difference: [String] { LineDifference.text(before, after) }
    }

    /// Times that a file is looked at again which others edit in the meantime.
    private static let attempts = 10

    /// Makes a change.
    ///
    /// - Parameters:
    ///   - isRehearsed: only says what would be done.
    ///   - body: gets the file's text, and may be called again where somebody else has changed it meanwhile.
    /// - Throws: `ConfigurationError` for a result that could not be used, `FileError`, and what `body` throws.
    package func change(isRehearsed: Bool = false, _ body: (inout YAMLText) throws -> Void) throws -> Outcome {
        try file.exclusively { () throws in
            for _ in 0..<Self.attempts {
                let before = try file.read()
                var text = try YAMLText(before)
                try body(&text)
                let outcome = try examine(before, text.bytes)
                if isRehearsed || before == text.bytes { return outcome }
                // Kept first: without a place for the old one there is no new one.
                try history.keep(before)
                if try file.replace(before, with: text.bytes) { return outcome }
            }
            throw FileError("\(name) is being changed by somebody else all the time; nothing was written")
        }
    }

    private func examine(_ before: [UInt8], _ after: [UInt8]) throws(ConfigurationError) -> Outcome {
        let (configuration, findings) = ConnectorConfigurationReader.read(after, file: name)
        guard configuration != nil else {
            throw ConfigurationError(findings: findings.filter { $0.severity == .error })
        }
        let known = Set(ConnectorConfigurationReader.read(before, file: name).1.map { "\($0.key) \($0.message)" })
        let warnings = findings.filter { !known.contains("\($0.key) \($0.message)") }
        return Outcome(before: before, after: after, warnings: warnings)
    }

    /// The file as it is.
    package func text() throws -> YAMLText { try YAMLText(try file.read()) }
    package var value: YAMLValue { get throws { try text().value } }

    // MARK: Earlier versions

    /// Paths of the earlier contents, the latest first.
    package var versions: [String] { history.versions }

    /// What would change if the file were set back to an earlier version, by its number from 1.
    package func difference(to number: Int) throws -> [String] {
        LineDifference.text(try history.read(number), try file.read())
    }

    /// Sets the file back to an earlier version. What it has now becomes the latest of the earlier ones.
    package func restore(_ number: Int, isRehearsed: Bool = false) throws -> Outcome {
        try file.exclusively { () throws in
            let wanted = try history.read(number)
            for _ in 0..<Self.attempts {
                let before = try file.read()
                let outcome = try examine(before, wanted)
                if isRehearsed || before == wanted { return outcome }
                try history.keep(before)
                if try file.replace(before, with: wanted) { return outcome }
            }
            throw FileError("\(name) is being changed by somebody else all the time; nothing was written")
        }
    }
}
