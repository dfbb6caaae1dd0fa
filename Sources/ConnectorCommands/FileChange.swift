internal import AdminProtocol
internal import ArgumentParser
internal import ConfigurationEditing
internal import ConfigurationReading
internal import ConnectorProcess
internal import DaemonSupport
internal import Glibc

/// Which file a command changes, and how.
struct FileOptions: ParsableArguments {
    @Option(help: "The connector's configuration file.")
    var config: String?

    @Option(name: .customLong("in"), help: "A file of connector.d beside it that is meant, by its name or path.")
    var other: String?

    @Flag(help: "The demonstration that runs (`connectord demo`).")
    var demo = false

    func validate() throws {
        if demo, config != nil { throw ValidationError("--demo has a file of its own; leave out --config") }
    }

    func main() throws -> String { try demo ? DemoFolder.connectorFile() : config ?? DefaultFile.connector }

    func store() throws -> ConfigurationStore {
        let main = try main()
        guard let other else { return try ConfigurationStore(main) }
        return try ConfigurationStore(try ConfigurationStore.further(other, of: main), main: main)
    }

    /// What only reads.
    func reading(_ body: (ConfigurationStore) throws -> Void) throws {
        do { try body(try store()) } catch {
            CommandSupport.printError("connectord: \(error)")
            throw ExitCode.failure
        }
    }
}

/// How a command changes a file.
struct ChangeOptions: ParsableArguments {
    @OptionGroup var file: FileOptions

    @Flag(help: "Say what would change, and change nothing.")
    var dryRun = false

    /// Makes a change, says what it was, and has a running connector take it into effect.
    ///
    /// Ends the program with 64 where the files could not be used afterwards, and 2 where the connector does not take them.
    func change(_ command: String, _ body: (ConfigurationStore) throws -> ConfigurationStore.Outcome) async throws {
        try await CommandSupport.attempt {
            let outcome: ConfigurationStore.Outcome
            do {
                outcome = try body(try file.store())
            } catch let error as ConfigurationError {
                CommandSupport.report(error.findings)
                CommandSupport.printError(
                    "connectord: nothing was changed, as the result could not be used (the lines are those it would have)"
                )
                throw ExitCode(EX_USAGE)
            }
            let difference = outcome.difference
            for line in difference { print(line) }
            CommandSupport.report(outcome.warnings)
            if difference.isEmpty { return print("nothing to change") }
            if dryRun { return print("not changed: --dry-run") }
            try await takeEffect(command)
        }
    }

    /// Where the connector is asked whose file it is.
    var admin: AdminOptions {
        get throws {
            var options = AdminOptions()
            (options.config, options.cloud, options.socket, options.demo) = (try file.main(), false, nil, file.demo)
            return options
        }
    }

    private func takeEffect(_ command: String) async throws {
        let reason = AdminMessage.ReloadReason(by: "\(Self.person) with connectord \(command)")
        let options = try admin
        let client: AdminClient
        do { client = try options.client() } catch {
            return print("changed; a connector that runs takes it at its next reload or start (\(error))")
        }
        let result: AdminMessage.Reload
        do {
            result = try await client.post("/reload", reason).decode(AdminMessage.Reload.self)
        } catch let error as AdminError where error.isUnreachable {
            return print("changed; no connector answers on \(client.path), so it takes effect at the next start")
        }
        guard result.isApplied else {
            for finding in result.findings { CommandSupport.printError(finding) }
            CommandSupport.printError(
                "connectord: the file is changed, but the running connector keeps what it had: put right what it says and `connectord reload`, or "
                    + "`connectord config restore`"
            )
            throw ExitCode(2)
        }
        print("changed and in force")
    }

    /// Who has this command done, for the audit log; behind sudo, who asked for it.
    static var person: String {
        func name(_ uid: uid_t) -> String {
            guard let entry = unsafe getpwuid(uid), let name = unsafe entry.pointee.pw_name else {
                return "user \(uid)"
            }
            return unsafe String(cString: name)
        }
        let own = name(getuid())
        guard let asked = unsafe getenv("SUDO_USER") else { return own }
        return unsafe "\(own) for \(String(cString: asked))"
    }
}
