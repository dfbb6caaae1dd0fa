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
    private let edited: EditedFile
    private let history: FileHistory
    /// As people name it.
    package let path: String
    /// The connector's own file, where `path` is one of `connector.d`: what is changed has to fit to all of them.
    private let main: String

    /// - Parameter main: nil where the file is the connector's own.
    package init(_ path: String, main: String? = nil) throws {
        edited = try EditedFile(path, maxBytes: YAMLReader.sizeLimit)
        history = FileHistory(edited)
        self.path = path
        self.main = main ?? path
    }

    /// A further file of a connector, by its path or by its name in `connector.d`.
    ///
    /// - Throws: where no connector would read it.
    package static func further(_ wanted: String, of main: String) throws -> String {
        let files = ConfigurationFolder.files(beside: main)
        func real(_ path: String) -> String? { (try? EditedFile(path, maxBytes: 0))?.path }
        let found = files.first { file in
            file.hasSuffix("/connector.d/\(wanted)") || real(wanted).map { $0 == real(file) } ?? false
        }
        if let found { return found }
        let names = files.map { String($0.split(separator: "/").last ?? "") }
        throw FileError(
            "\(main) does not belong to a connector that reads \(LogText.escaped(wanted.utf8)): "
                + (names.isEmpty
                    ? "there are no files in connector.d beside it"
                    : "in connector.d beside it are \(names.joined(separator: ", "))")
        )
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
        try write(isRehearsed: isRehearsed) { before in
            do {
                var text = try YAMLText(before)
                try body(&text)
                return text.bytes
            } catch let error as YAMLEditError {
                // What check-config says of the file says more, if it says anything.
                let (configuration, findings) = ConnectorConfigurationReader.read(before, file: path)
                guard configuration != nil else {
                    throw ConfigurationError(findings: findings.filter { $0.severity == .error })
                }
                throw FileError("\(path): \(error)")
            }
        }
    }

    /// - Parameter contents: what the file is to have, made from what it has; asked again where somebody else has changed it
    ///   meanwhile.
    private func write(isRehearsed: Bool, _ contents: ([UInt8]) throws -> [UInt8]) throws -> Outcome {
        try edited.exclusively { () throws in
            for _ in 0..<Self.attempts {
                let before = try edited.read()
                let after = try contents(before)
                let outcome = try examine(before, after)
                if isRehearsed || before == after { return outcome }
                // Kept first: without a place for the old one there is no new one.
                let kept = try history.keep(before)
                do throws(FileError) {
                    if try edited.replace(before, with: after) {
                        history.trim()
                        return outcome
                    }
                } catch {
                    history.forget(kept)
                    throw error
                }
                history.forget(kept)
            }
            throw FileError("\(path) is being changed by somebody else all the time; nothing was written: try again")
        }
    }

    /// - Throws: what a start or a reload would refuse, in any of the connector's files.
    private func examine(_ before: [UInt8], _ after: [UInt8]) throws(ConfigurationError) -> Outcome {
        let files: ConnectorFiles
        do throws(ConfigurationError) {
            files = try ConnectorFiles.load(main, with: [(path, after)])
        } catch {
            throw ConfigurationError(findings: error.findings.filter { $0.severity == .error })
        }
        let known = Set(ConnectorConfigurationReader.read(before, file: path).1.map { "\($0.key) \($0.message)" })
        let warnings = files.warnings.filter { $0.file == path && !known.contains("\($0.key) \($0.message)") }
        return Outcome(before: before, after: after, warnings: warnings)
    }

    /// The file as it is.
    package func text() throws -> YAMLText { try YAMLText(try edited.read()) }
    package var value: YAMLValue { get throws { try text().value } }

    // MARK: Earlier versions

    /// Paths of the earlier contents, the latest first.
    package var versions: [String] { history.versions }

    /// What would change if the file were set back to an earlier version, by its number from 1.
    package func difference(to number: Int) throws -> [String] {
        LineDifference.text(try history.read(number), try edited.read())
    }

    /// Takes a change back.
    ///
    /// - Returns: false where the file says something else by now; then it stays.
    package func undo(_ outcome: Outcome) throws -> Bool {
        try edited.exclusively { () throws(FileError) in try edited.replace(outcome.after, with: outcome.before) }
    }

    /// Gives the file other contents, whatever it says now, and keeps what it held. They have been looked at already.
    package func put(_ bytes: [UInt8]) throws {
        try edited.exclusively { () throws(FileError) in
            for _ in 0..<Self.attempts {
                let before = try edited.read()
                guard before != bytes else { return }
                let kept = try history.keep(before)
                if try edited.replace(before, with: bytes) { return history.trim() }
                history.forget(kept)
            }
            throw FileError("\(path) is being changed by somebody else all the time; nothing was written: try again")
        }
    }

    /// Takes the file away, and keeps what it held.
    package func retire() throws {
        try edited.exclusively { () throws(FileError) in
            let kept = try history.keep(try edited.read())
            do throws(FileError) {
                try PlainFile.remove(edited.path)
            } catch {
                history.forget(kept)
                throw error
            }
            history.trim()
        }
    }

    /// Sets the file back to an earlier version. What it has now becomes the latest of the earlier ones.
    package func restore(_ number: Int, isRehearsed: Bool = false) throws -> Outcome {
        let wanted = try history.read(number)
        return try write(isRehearsed: isRehearsed) { _ in wanted }
    }
}
