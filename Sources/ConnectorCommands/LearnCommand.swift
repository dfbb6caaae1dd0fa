internal import AdminProtocol
package import ArgumentParser
internal import ConfigurationEditing
internal import ConnectorProcess
internal import DaemonSupport
internal import HostSystem
internal import TextFormats

/// `connectord learn`
package struct LearnCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "learn",
        abstract: "Find out which paths of a system are needed.",
        discussion: """
            `start` lets everything below a host pass for a while and keeps in mind what is asked for; `propose` makes the fewest \
            resources of it; `stop` ends it early. It ends by itself. Proposals can also be made of what was refused, without learning.
            """,
        subcommands: [StartLearning.self, ProposeResources.self, StopLearning.self]
    )
}

/// `connectord learn start`
struct StartLearning: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Let everything below a host pass for a while."
    )

    @Argument(help: "The system's virtual host and port.")
    var system: String

    @Option(name: .customLong("for"), help: "How long, such as 30m or 8h; a day at most.")
    var time = "1h"

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        guard let nanoseconds = DurationText.nanoseconds(time), (1...86400).contains(nanoseconds / 1_000_000_000) else {
            throw ValidationError(
                "--for must be a time such as 30m or 8h, a day at most, not \(LogText.escaped(time.utf8))"
            )
        }
        let until = WallClock.text(WallClock.seconds() + Int(nanoseconds / 1_000_000_000))
        let command = AdministrationCommand.changeSystem(system, [.init("access", .text("learn until \(until)"))])
        try await options.change("learn start") { try $0.change(isRehearsed: options.dryRun, command.apply) }
    }
}

/// `connectord learn stop`
struct StopLearning: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Let only the system's resources pass again."
    )

    @Argument(help: "The system's virtual host and port.")
    var system: String

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        let command = AdministrationCommand.changeSystem(system, [.init("access", nil)])
        try await options.change("learn stop") { try $0.change(isRehearsed: options.dryRun, command.apply) }
    }
}

/// `connectord learn propose`
struct ProposeResources: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "propose",
        abstract: "Make resources of what was asked for in the last 24 hours.",
        discussion: """
            Without --accept it only shows them. What is accepted is added to the file, and learning ends. Exit status as of \
            `connectord resource add`.
            """
    )

    @Argument(help: "The system's virtual host and port; all systems unless it is given.")
    var system: String?

    @Option(help: "A proposal that is added, by its path. May be given more than once; the system must be named.")
    var accept: [String] = []

    @Flag(help: "Add all that is proposed now for the system that is named; --dry-run shows it first.")
    var acceptAll = false

    @OptionGroup var options: ChangeOptions

    func validate() throws {
        if acceptAll || !accept.isEmpty, system == nil {
            throw ValidationError("name the system whose proposals are accepted")
        }
    }

    func run() async throws {
        let found = try await proposals()
        guard acceptAll || !accept.isEmpty, let system else { return show(found) }
        let list = found.first?.proposals ?? []
        // By their paths: what is asked for meanwhile changes the order, and may be anything.
        if let missing = accept.first(where: { path in !list.contains { $0.path == path } }) {
            let meant = NearestName.find(missing, among: list.map(\.path)).map { "; did you mean \($0)?" } ?? ""
            throw ValidationError("\(LogText.escaped(missing.utf8)) is not proposed\(meant)")
        }
        let chosen = acceptAll ? list : list.filter { accept.contains($0.path) }
        try await options.change("learn propose") { store in
            try store.change(isRehearsed: options.dryRun) { text in
                for one in chosen {
                    let entries: [YAMLValue.Entry] = [
                        .init("path", .text(one.path)), .init("access", .text(one.access)),
                    ]
                    try AdministrationCommand.addResource(system: system, entries).apply(to: &text)
                }
                try AdministrationCommand.changeSystem(system, [.init("access", nil)]).apply(to: &text)
            }
        }
    }

    private func proposals() async throws -> [(virtualHost: String, proposals: [ResourceProposal])] {
        var result: [(virtualHost: String, proposals: [ResourceProposal])] = []
        try await AdminCommand.run(try options.admin) { client in
            let asked = try await client.get("/asked").decode(AskedRequests.self)
            Self.warn(asked)
            result = try await CommandSupport.attempt {
                try ConnectorProgram.propose(try options.file.store().path, host: system, asked.requests)
            }
        }
        return result
    }

    static func warn(_ asked: AskedRequests) {
        guard asked.missed > 0 else { return }
        CommandSupport.printError(
            "note: the paths of \(Count.text(asked.missed, "request")) were not kept, since there were too many or they were too long"
        )
    }

    private func show(_ found: [(virtualHost: String, proposals: [ResourceProposal])]) {
        if found.isEmpty { print("nothing was asked for that is not admitted already") }
        for (host, proposals) in found {
            print("\(host):")
            for one in proposals {
                let times = Count.text(one.count, "request")
                print("  \(LogText.escaped(one.path.utf8)) (\(one.access)): \(one.reason), \(times)")
                for example in one.examples { print("    such as \(LogText.escaped(example.utf8))") }
            }
            print("  connectord learn propose \(host) --accept PATH, or --accept-all")
        }
    }
}

/// `connectord rehearse`
package struct RehearseCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "rehearse",
        abstract: "Say which requests of the last 24 hours would be answered otherwise under another file.",
        discussion: """
            A running connector keeps in mind what was asked for, by system, method and path. Exit status: 0 where nothing would \
            change, 2 where something would, 64 where the file could not be used, 1 for all else.
            """
    )

    @Option(help: "The file that is to come.")
    var config: String

    @Option(help: "The file of the connector that runs, which names its admin socket.")
    var running = DefaultFile.connector

    @Option(help: "The admin socket itself, instead of what the file says.")
    var socket: String?

    package func run() async throws {
        var result: Rehearsal?
        var options = AdminOptions()
        (options.config, options.cloud, options.socket, options.demo) = (running, false, socket, false)
        try await AdminCommand.run(options) { client in
            let asked = try await client.get("/asked").decode(AskedRequests.self)
            ProposeResources.warn(asked)
            result = try await CommandSupport.attempt {
                try ConnectorProgram.rehearse(config, against: running, asked.requests)
            }
        }
        guard let result else { return }
        for change in result.changes {
            print(
                "\(change.method) http://\(change.virtualHost)\(change.path) (\(Count.text(change.count, "request"))): "
                    + "now \(change.before); then \(change.after)"
            )
        }
        if result.omitted > 0 { print("and \(result.omitted) more") }
        guard result.changes.isEmpty else { throw ExitCode(2) }
        print("nothing would change for \(Count.text(result.requests, "request"))")
    }
}
