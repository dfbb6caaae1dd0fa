package import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import TextFormats

/// Takes over what another product was configured with.
package enum ImportProgram {
    /// What was written, and what a person has to look at.
    package struct Result: Sendable {
        package var files: [String]
        package var notes: [String]
        /// Of the files that were written.
        package var findings: [Finding]
    }

    /// Reads the configuration of SAP's Cloud Connector over its API and writes it as files of this connector.
    ///
    /// - Parameters:
    ///   - subaccount: nil for all of them.
    ///   - folder: where the files go; none that is there already is touched.
    /// - Throws: `SCCReadError`, `FileError`, and what keeps a server from being asked.
    package static func scc(
        _ url: String,
        user: String,
        password: String,
        trust: String?,
        subaccount: String?,
        service: String?,
        to folder: String
    ) async throws -> Result {
        TLSLibrary.start()
        let documents = try await SCCReader(url, user: user, password: password, trust: trust).read(
            subaccount: subaccount
        )
        return try write(documents, from: url, service: service, to: folder)
    }

    /// The same from a backup, as far as one tells it.
    ///
    /// - Parameter path: of the archive.
    /// - Throws: `SCCReadError`, `FileError`.
    package static func backup(
        _ path: String,
        subaccount: String?,
        service: String?,
        to folder: String
    ) throws -> Result {
        let bytes = try PlainFile.read(path, maxBytes: backupLimit)
        return try write(try SCCBackup(bytes).read(subaccount: subaccount), from: path, service: service, to: folder)
    }

    private static let backupLimit = 256 << 20

    private static func write(
        _ documents: SCCDocuments,
        from origin: String,
        service: String?,
        to folder: String
    ) throws -> Result {
        let source = "\(origin) (SAP Cloud Connector \(documents.version)) on \(WallClock.text(WallClock.seconds()))"
        let imported = SCCImport(documents, source: source, service: service)
        var result = Result(files: [], notes: imported.notes, findings: [])
        for (path, text) in imported.files {
            let path = "\(folder)/\(path)"
            if path.hasSuffix(".conf") {
                result.findings += ConnectorConfigurationReader.read(Array(text.utf8), file: path).1
            }
            result.files.append(path)
        }
        if let there = result.files.first(where: { PlainFile.isThere($0) }) {
            throw FileError("\(there) is there already, and is not written over; name another folder with --output")
        }
        for (path, text) in imported.files {
            let path = "\(folder)/\(path)"
            try Folder.make(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]), mode: 0o755)
            try AtomicFile.write(text, to: path, mode: 0o644)
        }
        return result
    }
}
