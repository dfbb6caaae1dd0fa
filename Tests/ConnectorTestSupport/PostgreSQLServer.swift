internal import Foundation

/// A PostgreSQL of a test, in a folder of its own, reached through a socket there. It does not run as root, so a test that does gives the
/// folder to the user that Debian's package makes.
package final class PostgreSQLServer {
    private let folder: URL
    /// Not by pg_ctl: what outlives it would keep open what its end is known by.
    private var server: Process?
    private static let programs = URL(filePath: "/usr/lib/postgresql/15/bin")
    private static let user = "postgres"

    /// Whether the machine has it, or is to have it.
    package static var isThere: Bool {
        FileManager.default.fileExists(atPath: programs.appending(path: "initdb").path)
            || ProcessInfo.processInfo.environment["CONNECTOR_ALL_TESTS"] != nil
    }

    package init() throws {
        // The path of a socket has 107 bytes at most.
        folder = URL(filePath: "/tmp/connectord-pg-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        if getuid() == 0 {
            try FileManager.default.setAttributes([.ownerAccountName: Self.user], ofItemAtPath: folder.path)
        }
        try must(
            "initdb",
            ["-D", folder.appending(path: "data").path, "-A", "trust", "-U", "connector", "-N", "--locale=C"]
        )
        try start()
    }

    package func start() throws {
        let process = Process()
        try launch(
            process,
            "postgres",
            [
                "-D", folder.appending(path: "data").path, "-k", folder.path, "-c", "listen_addresses=", "-c",
                "fsync=off", "-c",
                "max_connections=50",
            ],
            output: "log"
        )
        server = process
        guard Rig.eventually({ (try? must("pg_isready", ["-h", folder.path, "-U", "connector"])) != nil }) else {
            throw RigError("PostgreSQL does not start")
        }
    }

    /// - Parameter mode: `immediate` as a crash, `fast` in order.
    package func halt(_ mode: String = "immediate") throws {
        try must("pg_ctl", ["-D", folder.appending(path: "data").path, "-w", "-m", mode, "stop"])
        server?.waitUntilExit()
        server = nil
    }

    package func stop() {
        try? halt()
        try? FileManager.default.removeItem(at: folder)
    }

    /// - Parameter database: made if it is not there.
    package func url(_ database: String = "postgres") throws -> String {
        if database != "postgres" { try must("createdb", ["-h", folder.path, "-U", "connector", database]) }
        let socket = folder.path.replacing("/", with: "%2F")
        return "postgresql://connector@\(socket)/\(database)"
    }

    /// As its owner.
    package func execute(_ statement: String) throws {
        try must(
            "psql",
            ["-h", folder.path, "-U", "connector", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement]
        )
    }

    private func must(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        try launch(process, program, arguments, output: "out")
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let text = try? String(contentsOf: folder.appending(path: "out"), encoding: .utf8)
            throw RigError("\(program): \(text ?? "")")
        }
    }

    /// - Parameter output: the file for what it says.
    private func launch(_ process: Process, _ program: String, _ arguments: [String], output: String) throws {
        let path = Self.programs.appending(path: program).path
        let file = folder.appending(path: output).path
        let command = (["exec", path] + arguments).map { "'\($0.replacing("'", with: "'\\''"))'" }.joined(
            separator: " "
        )
        let shell = ["/bin/sh", "-c", command.replacing("'exec'", with: "exec") + " >'\(file)' 2>&1"]
        let all = getuid() == 0 ? ["/usr/sbin/runuser", "-u", Self.user, "--"] + shell : shell
        process.executableURL = URL(filePath: all[0])
        process.arguments = Array(all.dropFirst())
        process.currentDirectoryURL = folder
        try process.run()
    }
}
