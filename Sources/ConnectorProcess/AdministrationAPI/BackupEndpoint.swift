internal import AdminAccess
internal import AdminProtocol
internal import ControlProtocol
internal import NIOHTTP1
internal import Networking

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
            let bytes = try Self.make(
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

    private static func make(main: String, folder: String, password: String, version: String) throws -> [UInt8] {
        do {
            return try BackupArchive.make(main: main, folder: folder, password: password, version: version)
        } catch let error as BackupArchive.BackupError {
            throw APIFailure.conflict(error.description)
        }
    }

    private func restore(_ backup: BackupArchive, _ main: String, _ administration: Administration) async throws {
        let restore = try BackupRestore(backup, main: main, folder: administration.settings.folder)
        do {
            try restore.write()
            try administration.usersRestored()
            try await call.reload("restore a backup")
        } catch {
            restore.rollBack()
            try? administration.usersRestored()
            _ = await call.host.reload(call.cause("take back what was restored"))
            throw error
        }
        call.record("backup restored")
    }
}
