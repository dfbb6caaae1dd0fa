internal import AdminAccess
internal import AdminProtocol
internal import ConfigurationReading
internal import ControlProtocol
internal import HostSystem
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// `backup`: the whole connector as a ZIP archive, and back (SAP Help, "Backup").
struct BackupEndpoint {
    let call: APICall

    func answer() async throws -> HTTPResponse {
        try call.allow("POST", "PUT")
        let main = call.host.main
        guard let administration = call.host.administration else {
            throw APIFailure.failed("administration is not served; the log says why")
        }
        if call.method == "POST" {
            var body = try APIBody(call.request)
            let password = try body.required("password")
            try body.finish()
            let bytes = try BackupArchive.make(
                main: main,
                folder: administration.settings.folder,
                password: password,
                version: Version.current
            )
            call.record("backup made")
            return .file(bytes, "connector-backup.zip", type: "application/zip")
        }
        guard let form = MultipartForm(call.request), let file = form["backup"].first,
            let password = form["password"].first
        else { throw APIFailure.invalid("the body must be multipart/form-data with a file backup, and its password") }
        let backup: BackupArchive
        do {
            backup = try BackupArchive(reading: file, password: String(decoding: password, as: UTF8.self))
        } catch {
            throw APIFailure.invalid("\(error)")
        }
        try await restore(backup, main, administration)
        return .empty
    }

    private func restore(_ backup: BackupArchive, _ main: String, _ administration: Administration) async throws {
        let folder = ConfigurationFolder.path(beside: main)
        let files = backup.configurations.map {
            (file: $0.name.isEmpty ? main : "\(folder)/\($0.name)", bytes: $0.bytes)
        }
        // What a start would refuse is refused now, before anything is written. Certificates may be missing until then.
        let findings = files.flatMap { ConnectorConfigurationReader.read($0.bytes, file: $0.file).1 }
        guard !findings.contains(where: { $0.severity == .error }) else { throw ConfigurationError(findings: findings) }
        for (path, bytes, isSecret) in backup.files {
            let place = path.hasPrefix("admin:") ? "\(administration.settings.folder)/\(path.dropFirst(6))" : path
            if let above = place.lastIndex(of: "/").map({ String(place[..<$0]) }), !above.isEmpty {
                try Folder.make(above, mode: isSecret ? 0o700 : 0o750)
            }
            try AtomicFile.write(bytes, to: place, mode: isSecret ? 0o600 : 0o640)
        }
        if files.count > 1 { try Folder.make(folder, mode: 0o750) }
        for gone in ConfigurationFolder.files(beside: main) where !files.contains(where: { $0.file == gone }) {
            try ConfigurationStore(gone, main: main).retire()
        }
        for (file, bytes) in files {
            if PlainFile.isThere(file) {
                try ConfigurationStore(file, main: main).put(bytes)
            } else {
                try AtomicFile.write(bytes, to: file, mode: 0o640)
            }
        }
        try administration.usersRestored()
        call.record("backup restored")
        try await call.reload("restore a backup")
    }
}
