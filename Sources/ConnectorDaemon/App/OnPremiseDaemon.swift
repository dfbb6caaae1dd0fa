internal import AccessPolicy
internal import ControlProtocol
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization
internal import Telemetry
internal import TunnelCore

/// `connectord run` as a process: the connectors of all configuration files, the admin socket, reload and end.
final class OnPremiseDaemon: Sendable {
    private let file: String
    private let logger: Logger
    private let audit: AuditLog
    private let notifier: SystemdNotifier
    private let spans: SpanFile?
    private let startedAt = WallClock.seconds()
    private let state: Mutex<State>
    private let reloads = SerialTasks()
    private let admin: AdminServers

    private struct State {
        /// By file.
        var connectors: [String: Connector] = [:]
        var order: [String] = []
        var configuration: ConfigurationState
        var process: ProcessConfiguration
        var failedReloads = 0
    }

    private init(
        _ file: String,
        _ process: ProcessConfiguration,
        _ audit: AuditLog,
        _ notifier: SystemdNotifier,
        _ logger: Logger
    ) {
        self.file = file
        self.logger = logger
        self.audit = audit
        self.notifier = notifier
        admin = AdminServers(logger: logger)
        spans = process.bootstrapTracing("connector")
        let configuration = ConfigurationState(file: file, loadedAt: WallClock.seconds())
        state = Mutex(State(configuration: configuration, process: process))
    }

    /// Starts everything that the files say.
    static func start(
        _ file: String,
        _ configurations: [ConnectorConfiguration],
        notifier: SystemdNotifier,
        logger: Logger
    ) async throws -> OnPremiseDaemon {
        let process = configurations[0].process
        let audit = try AuditLog(process.audit, logger: logger)
        let daemon = OnPremiseDaemon(file, process, audit, notifier, logger)
        audit.record(.serviceStarted, "Connector \(Version.current) started with \(file)")
        for configuration in configurations { try await daemon.add(configuration) }
        await daemon.admin.apply(process, nil, daemon)
        return daemon
    }

    private func add(_ configuration: ConnectorConfiguration) async throws {
        var logger = logger
        logger[metadataKey: "subaccount"] = "\(configuration.subaccount)"
        if !configuration.locationID.isEmpty { logger[metadataKey: "location_id"] = "\(configuration.locationID)" }
        let connector = try await Connector(configuration, audit: audit, logger: logger)
        try connector.start()
        state.withLock { state in
            state.connectors[configuration.file] = connector
            state.order.append(configuration.file)
        }
    }

    var connectors: [Connector] { state.withLock { state in state.order.compactMap { state.connectors[$0] } } }

    // MARK: Running

    /// Runs until SIGTERM or SIGINT, then finishes what is in flight.
    func run(_ signals: Signals) async throws {
        let watchdog = Watchdog(notifier: notifier) { [self] in
            connectors.flatMap(\.allEventLoops) + admin.eventLoops
        }
        await withDiscardingTaskGroup { tasks in
            tasks.addTask { await watchdog.run() }
            tasks.addTask { [self] in await keepStatus() }
            for await number in signals.stream {
                guard number == SIGHUP else { break }
                _ = await reload("SIGHUP")
            }
            tasks.cancelAll()
        }
        try await stop()
    }

    private func keepStatus() async {
        notifier.ready(summary)
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(2))
            notifier.status(summary)
        }
    }

    /// One line for `systemctl status`.
    private var summary: String {
        let (configuration, audit) = (state.withLock { $0.configuration }, audit.summary)
        let connectors = self.connectors
        let tunnels = connectors.reduce(0) { $0 + $1.state.connectedTunnels }
        var text = tunnels > 0 ? "\(tunnels) tunnels up" : "No tunnel"
        // What the service says counts more than an address that nobody listens on.
        let failures = connectors.flatMap { $0.state.failures.values }.sorted()
        if tunnels == 0, let failure = failures.first(where: { $0 != "connection refused" }) ?? failures.first {
            text += ": \(failure)"
        }
        let days = connectors.compactMap(\.certificateExpires).min().map { ($0 - WallClock.seconds()) / 86400 }
        if let days { text += "; certificate \(days) days" }
        if !configuration.lastError.isEmpty { text += "; LAST RELOAD FAILED: \(configuration.lastError[0])" }
        if audit.contains("cannot be written") { text += "; audit log \(audit)" }
        return text
    }

    private func stop() async throws {
        logger.info("connector stopping")
        notifier.stopping()
        try await withThrowingDiscardingTaskGroup { tasks in
            for connector in connectors { tasks.addTask { try await connector.stop() } }
        }
        await admin.stop()
        audit.record(.serviceStopped, "Connector stopped")
        audit.end()
        spans?.flush()
        logger.info("connector stopped")
    }

    // MARK: Reload

    /// Reads all files again. Either everything is taken into force, or nothing.
    ///
    /// - Returns: what was found.
    func reload(_ cause: String) async -> AdminMessage.Reload {
        await reloads.run { [self] in
            notifier.reloading()
            defer {
                notifier.ready(summary)
                UnusedMemory.release()
            }
            do throws(ConfigurationError) {
                let (configurations, warnings) = try ConnectorFiles.load(file)
                return await apply(configurations, warnings, cause)
            } catch {
                return refused(error.findings.digest, cause)
            }
        }
    }

    private func refused(_ findings: [String], _ cause: String) -> AdminMessage.Reload {
        state.withLock { state in
            state.configuration.lastError = findings
            state.failedReloads += 1
        }
        logger.error("configuration not changed", metadata: ["cause": "\(findings.first ?? "")", "by": "\(cause)"])
        audit.record(.configurationRefused, "Configuration not changed by \(cause): \(findings.first ?? "")")
        return AdminMessage.Reload(isApplied: false, findings: findings)
    }

    private func apply(
        _ configurations: [ConnectorConfiguration],
        _ warnings: [Finding],
        _ cause: String
    ) async -> AdminMessage.Reload {
        do {
            // Whatever can fail comes before anything changes.
            for configuration in configurations {
                try configuration.checkTunnelFiles()
                _ = try TLSContext(configuration.backendTLS)
            }
        } catch {
            return refused(["\(error)"], cause)
        }
        do {
            for configuration in configurations {
                if let connector = state.withLock({ $0.connectors[configuration.file] }),
                    connector.configuration.identity == configuration.identity
                {
                    let changes = ConfigurationChange.describe(connector.configuration, configuration)
                    try await connector.apply(configuration)
                    for change in changes { audit.record(.configurationChanged, "\(change) [by \(cause)]") }
                } else {
                    try await remove(configuration.file)
                    try await add(configuration)
                    audit.record(.configurationChanged, "Connector of \(configuration.identity) added [by \(cause)]")
                }
            }
            let files = Set(configurations.map(\.file))
            for gone in state.withLock({ $0.order }).filter({ !files.contains($0) }) {
                try await remove(gone)
                audit.record(.configurationChanged, "Connector of \(gone) removed [by \(cause)]")
            }
        } catch {
            return refused(["\(error)"], cause)
        }
        let process = configurations[0].process
        let old = state.withLock { state in
            defer { state.process = process }
            state.configuration.loadedAt = WallClock.seconds()
            state.configuration.reloads += 1
            state.configuration.lastError = []
            return state.process
        }
        await apply(process, old)
        logger.info("configuration reloaded", metadata: ["by": "\(cause)"])
        return AdminMessage.Reload(isApplied: true, findings: warnings.digest)
    }

    private func remove(_ file: String) async throws {
        let connector = state.withLock { state in
            state.order.removeAll { $0 == file }
            return state.connectors.removeValue(forKey: file)
        }
        try await connector?.stop()
    }

    private func apply(_ process: ProcessConfiguration, _ old: ProcessConfiguration) async {
        if process.logLevel != old.logLevel { LogLevelSwitch.level = process.logLevel ?? .info }
        await admin.apply(process, old, self)
        if process.audit != old.audit || process.traceFile != old.traceFile || process.logFormat != old.logFormat {
            logger.warning("audit, tracing and log.format take effect at the next start")
        }
    }
}

extension OnPremiseDaemon: HTTPRouter {
    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        switch (request.method, request.path) {
        case ("GET", "/healthz"): return .json(AdminMessage.Empty())
        case ("GET", "/status"): return .json(await status())
        case ("GET", "/metrics"):
            do { return .metrics(try await metrics()) } catch { return .error(.internalServerError, "\(error)") }
        case ("POST", "/reload"):
            let result = await reload("connectord reload")
            return .json(result)
        case ("POST", "/rotate"):
            do {
                for connector in connectors { try connector.rotate() }
                for connector in connectors {
                    guard let waiting = await connector.waitForReplacement(upTo: .seconds(40)) else { continue }
                    return .error(.gatewayTimeout, "not rotated yet: \(waiting)")
                }
                return .json(AdminMessage.Empty())
            } catch {
                return .error(.internalServerError, "\(error)")
            }
        case ("POST", "/check"): return await check(request.body)
        case ("PUT", "/log-level"): return AdminLevel.set(request.body, audit, logger)
        default: return .error(.notFound, "there is no \(request.method) \(request.path)")
        }
    }

    private func status() async -> ConnectorStatus {
        var connectors: [ConnectorStatus.Connector] = []
        for connector in self.connectors { connectors.append(await connector.status()) }
        return ConnectorStatus(
            version: Version.current,
            startedAt: startedAt,
            configuration: state.withLock { $0.configuration },
            logLevel: LogLevelSwitch.level.rawValue,
            audit: audit.summary,
            connectors: connectors
        )
    }

    /// Looks at the named virtual hosts, or at all, and waits for the results.
    private func check(_ body: [UInt8]) async -> HTTPResponse {
        guard let wanted = try? JSONLines.decode(AdminMessage.Check.self, body).hosts else {
            return .error(.badRequest, "the body must be {\"hosts\": [...]}")
        }
        var results: [ConnectorStatus.System] = []
        var known: Set<String> = []
        for connector in connectors {
            let systems = connector.configuration.systems.filter {
                wanted.isEmpty || wanted.contains($0.virtualAddress) || wanted.contains($0.virtualHost)
            }
            await connector.checker.checkNow(systems)
            let names = Set(systems.map(\.virtualAddress))
            known.formUnion(names)
            known.formUnion(systems.map(\.virtualHost))
            results += await connector.status().systems.filter { names.contains($0.virtualHost) }
        }
        if let unknown = wanted.first(where: { !known.contains($0) }) {
            let all = connectors.flatMap { $0.configuration.systems.map(\.virtualAddress) }
            let nearest = NearestName.find(unknown, among: all).map { "; did you mean \($0)?" } ?? ""
            return .error(.notFound, "\(LogText.escaped(unknown.utf8)) is not exposed\(nearest)")
        }
        return .json(AdminMessage.Systems(systems: results))
    }

    private func metrics() async throws -> Exposition {
        var exposition = Exposition()
        var parts: [ConnectorMetricsPart] = []
        for connector in connectors { parts.append(try await ConnectorMetricsPart(connector)) }
        ConnectorExposition(parts: parts, audit: audit, state: state.withLock { $0.configuration })
            .write(&exposition)
        let failures = state.withLock { $0.failedReloads }
        exposition.family("connector_reload_failures_total", .counter, "Reloads that changed nothing.")
        exposition.sample([:], failures)
        return exposition
    }
}

/// The level of the log, over the admin socket.
enum AdminLevel {
    static func set(_ body: [UInt8], _ audit: AuditLog, _ logger: Logger) -> HTTPResponse {
        guard let text = try? JSONLines.decode(AdminMessage.Level.self, body).level,
            let level = LogLevel(rawValue: text)?.level
        else {
            let levels = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
            return .error(.badRequest, "the level must be one of \(levels)")
        }
        let old = LogLevelSwitch.level
        LogLevelSwitch.level = level
        audit.record(.logLevelChanged, "Log level changed from \(old.rawValue) to \(level.rawValue)")
        logger.notice("log level changed", metadata: ["from": "\(old.rawValue)", "to": "\(level.rawValue)"])
        return .json(AdminMessage.Level(level: level.rawValue))
    }
}

/// Runs one piece of work after the other.
actor SerialTasks {
    private var last: Task<Void, Never>?

    func run<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) async -> Result {
        let previous = last
        let task = Task {
            await previous?.value
            return await body()
        }
        last = Task { _ = await task.value }
        return await task.value
    }
}
