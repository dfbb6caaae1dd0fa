package import AdminProtocol
internal import Glibc
package import HostSystem
package import Logging
package import NIOCore
internal import ServiceLifecycle

/// A daemon as its process sees it; both sides are one.
package protocol Daemon: Sendable {
    /// As the log calls it.
    var name: String { get }
    /// Of all its loops, for the watchdog.
    var allEventLoops: [any EventLoop] { get }
    /// One line for `systemctl status`.
    var summary: String { get }
    /// Reads the configuration again. Either everything takes effect or nothing.
    ///
    /// - Parameter cause: who asked.
    func reload(_ cause: String) async -> AdminMessage.Reload
    /// Runs beside it until its task is cancelled.
    func housekeeping() async
}

extension Daemon {
    package func housekeeping() async {}
}

/// Runs a daemon that has been started: reload at SIGHUP, the end at SIGTERM and SIGINT, signs of life for systemd in between.
package enum DaemonProcess {
    /// Returns when all parts have been stopped, the last one first.
    package static func run(
        _ daemon: some Daemon,
        _ parts: DaemonParts,
        _ signals: Signals,
        _ notifier: SystemdNotifier,
        _ logger: Logger
    ) async throws {
        let watchdog = Watchdog(notifier: notifier) { daemon.allEventLoops }
        let beside: [any Service] = [
            Task { await watchdog.run() },
            Task { await keepStatus(daemon, notifier) },
            Task { await daemon.housekeeping() },
            SignalHandling(daemon: daemon, signals: signals, notifier: notifier, logger: logger),
        ]
        // What is beside goes first: nobody reloads what is being stopped.
        var configuration = ServiceGroupConfiguration(
            services: (parts.services + beside).map { service in
                ServiceGroupConfiguration.ServiceConfiguration(
                    service: service,
                    successTerminationBehavior: service is SignalHandling ? .gracefullyShutdownGroup : .ignore
                )
            },
            logger: quiet(logger)
        )
        configuration.gracefulShutdownSignals = []
        try await ServiceGroup(configuration: configuration).run()
    }

    /// What the group does is told by its parts.
    private static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = .error
        return logger
    }

    private static func keepStatus(_ daemon: some Daemon, _ notifier: SystemdNotifier) async {
        notifier.ready(daemon.summary)
        while !Swift.Task.isCancelled {
            try? await Swift.Task.sleep(for: .seconds(2))
            if !Swift.Task.isCancelled { notifier.status(daemon.summary) }
        }
    }

    /// Work that is cancelled when the process ends.
    private struct Task: Service {
        let body: @Sendable () async -> Void

        init(_ body: @escaping @Sendable () async -> Void) { self.body = body }

        func run() async throws {
            await cancelWhenGracefulShutdown { await body() }
            try? await gracefulShutdown()
        }
    }

    /// Ends, and with it the group, at SIGTERM and SIGINT.
    private struct SignalHandling: Service {
        let daemon: any Daemon
        let signals: Signals
        let notifier: SystemdNotifier
        let logger: Logger

        func run() async throws {
            for await number in signals.stream {
                guard number == SIGHUP else { break }
                _ = await daemon.reload("SIGHUP")
            }
            logger.info("\(daemon.name) stopping")
            notifier.stopping()
        }
    }
}
