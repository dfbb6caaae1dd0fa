internal import ConfigurationReading
internal import DaemonSupport
internal import Glibc
internal import HostSystem
internal import NIOCore
internal import NIOPosix
package import Telemetry

/// `connectord demo` without its command line.
package enum DemoProgram {
    /// Where to listen; 0 lets the system choose.
    package struct Ports: Sendable {
        package var proxy: Int
        package var tunnel: Int
        package var backend: Int
        package var api: Int
        package var cockpit: Int
        package var socks: Int

        package init(proxy: Int, tunnel: Int, backend: Int, api: Int, cockpit: Int, socks: Int) {
            (self.proxy, self.tunnel, self.backend) = (proxy, tunnel, backend)
            (self.api, self.cockpit, self.socks) = (api, cockpit, socks)
        }

        /// With free ports for 0: files have to name them.
        func chosen() -> Ports {
            let all = [\Ports.proxy, \.tunnel, \.backend, \.api, \.cockpit, \.socks]
            var ports = self
            for path in all where ports[keyPath: path] == 0 {
                var port: Int
                // Nobody holds what the system names, so it may name it twice.
                repeat { port = DemoLink.freePort() } while port != 0 && all.contains { ports[keyPath: $0] == port }
                ports[keyPath: path] = port
            }
            return ports
        }
    }

    /// Runs the action `hello` of a description through a destination.
    ///
    /// - Returns: its message, or what was wrong.
    package typealias Action =
        @Sendable (
            _ socket: String, _ destination: String, _ description: String
        ) async throws -> String

    /// Walks through what works and what is refused; unless `once`, stays up until SIGTERM or SIGINT.
    ///
    /// - Parameters:
    ///   - directory: for its files, which stay; nil for one that is gone at the end.
    ///   - program: as the user calls it.
    /// - Returns: what was not as it should be.
    /// - Throws: `StartError` where a port is taken, `ConfigurationError` where somebody's files are wrong, `FileError`.
    package static func run(
        _ ports: Ports,
        directory: String?,
        once: Bool,
        program: String,
        logLevel: LogLevel,
        action: @escaping Action
    ) async throws -> [String] {
        let signals = Signals([SIGTERM, SIGINT, SIGHUP])
        let folder = try directory.map { try DemoLink.absolute($0) } ?? DemoLink.temporaryFolder()
        defer { if directory == nil { DemoLink.remove(folder) } }
        let files = try DemoFiles(folder, ports.chosen(), isKept: directory != nil)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let isLinked = await DemoLink.make(to: folder)
        defer { if isLinked { DemoLink.unmake(folder) } }
        let speaker = DemoSpeaker(program: program, folder: folder, isLinked: isLinked, keepsFiles: directory != nil)
        var demo: Demo
        do {
            demo = try await Demo(files, ports.backend, group: group, logLevel: logLevel, speaker, action)
        } catch var error as StartError {
            if !isLinked {
                error.description = "a demonstration of yours runs already, see --demo; " + error.description
            }
            if !files.isUsed { error.description += "; --proxy-port 0 has the system choose all ports" }
            throw error
        }
        // Whoever has edited the files sees what they say; the walk is for those it knows.
        if !files.isUsed { try await demo.walk() }
        if !once {
            if !files.isUsed { try await demo.restart() }
            demo.sayHowToGoOn()
            for await number in signals.stream {
                guard number == SIGHUP else { break }
                await demo.reload()
            }
        }
        try await demo.stop()
        try await group.shutdownGracefully()
        return demo.failures
    }
}
