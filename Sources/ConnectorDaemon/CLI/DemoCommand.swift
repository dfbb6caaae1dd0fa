internal import ArgumentParser
internal import Glibc
internal import NIOCore
internal import NIOPosix

/// `connectord demo`: the whole path on one machine, aloud.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show the whole path on this machine, from curl to a Hello World server.",
        discussion: """
            Starts a Hello World server, a connectivity service and a connector with throw-away certificates, walks \
            through what works and what is refused, then stays up for you to try. Exit status: 0, or 1 if something \
            was not as it should be.
            """
    )

    @Flag(help: "End after the walk.")
    var once = false

    @Option(help: "Where the proxy listens; 0 lets the system choose.")
    var proxyPort = 20003

    @Option(help: "Where the connectivity service takes tunnels; 0 lets the system choose.")
    var tunnelPort = 20443

    @Option(help: "Where the Hello World server listens; 0 lets the system choose.")
    var backendPort = 3333

    @Option(help: "How much to log.")
    var logLevel = LogLevel.error

    func run() async throws {
        let folder = try CommandSupport.temporaryFolder()
        defer { CommandSupport.remove(folder) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let ports = Demo.Ports(proxy: proxyPort, tunnel: tunnelPort, backend: backendPort)
        var demo = try await CommandSupport.start {
            try await Demo(
                ports,
                folder: folder,
                group: group,
                logger: CommandSupport.logger("demo", logLevel, ProcessConfiguration())
            )
        }
        try await demo.walk()
        if once {
            try? await demo.stop()
        } else {
            try await demo.restart()
            demo.sayHowToGoOn()
            await Signals.waitForTermination()
            try await demo.stop()
        }
        try await group.shutdownGracefully()
        guard demo.failures.isEmpty else {
            for failure in demo.failures { CommandSupport.printError("connectord: \(failure)") }
            throw ExitCode.failure
        }
    }
}
