internal import AdminProtocol
internal import ArgumentParser
internal import ConfigurationEditing
internal import ConfigurationReading
internal import ConnectorProcess
internal import DaemonSupport
internal import Glibc

/// Which file a command changes, and how.
struct ChangeOptions: ParsableArguments {
    @OptionGroup var connector: ConnectorOptions

    @Option(name: .customLong("in"), help: "The file of connector.d to change, instead of the connector's own.")
    var other: String?

    @Flag(help: "Say what would change, and change nothing.")
    var dryRun = false

    func store() throws -> ConfigurationStore { try ConfigurationStore(try file()) }

    private func file() throws -> String {
        if let other { return other }
        return connector.demo ? try DemoFolder.connectorFile() : connector.config
    }

    /// Makes a change, says what it was, and has a running connector take it into effect.
    ///
    /// Ends the program with 64 where the file could not be used afterwards, or the connector does not take it.
    func change(_ command: String, _ body: (ConfigurationStore) throws -> ConfigurationStore.Outcome) async throws {
        try await CommandSupport.attempt {
            let outcome: ConfigurationStore.Outcome
            do {
                outcome = try body(try store())
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

    /// What only reads.
    static func attempt(_ body: () throws -> Void) throws {
        do { try body() } catch let error as ConfigurationError {
            CommandSupport.report(error.findings)
            throw ExitCode(EX_USAGE)
        } catch {
            CommandSupport.printError("connectord: \(error)")
            throw ExitCode.failure
        }
    }

    private func takeEffect(_ command: String) async throws {
        let reason = AdminMessage.ReloadReason(by: "\(Self.person) with connectord \(command)")
        let client: AdminClient
        let result: AdminMessage.Reload
        do {
            client = try connector.admin.client()
            result = try await client.post("/reload", reason).decode(AdminMessage.Reload.self)
        } catch let error as AdminError where error.isUnreachable {
            return print("changed; no connector runs here, so it takes effect at the next start")
        }
        guard result.isApplied else {
            for finding in result.findings { CommandSupport.printError(finding) }
            CommandSupport.printError(
                "connectord: the file is changed, but the running connector keeps its old configuration"
            )
            throw ExitCode(EX_USAGE)
        }
        print("changed and in force")
    }

    /// Who has this command done, for the audit log; behind sudo, who asked for it.
    private static var person: String {
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
