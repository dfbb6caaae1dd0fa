internal import AccessPolicy
internal import AdminAccess
package import AdminProtocol
internal import CloudConnector
internal import ConfigurationReading
internal import ControlProtocol
package import DaemonSupport
package import HostSystem
package import Logging
package import NIOCore
internal import Networking
internal import Synchronization
internal import Telemetry
internal import TextFormats

/// `connectord run` as a process: the connectors of all configuration files, the admin socket, reload and end.
package final class OnPremiseDaemon: Daemon {
    let file: String
    let logger: Logger
    let audit: AuditLog
    private let notifier: SystemdNotifier
    private let spans: SpanFile?
    let startedAt = WallClock.seconds()
    let state: Mutex<State>
    private let reloads = SerialTasks()
    let changes = SerialTasks()
    private let admin: AdminServers
    let administration = Mutex<Administration?>(nil)
    /// Gives the file to others of the same identity.
    private let replication: ReplicationServer
    let pageFiles = PageFiles()
    let machine: MachineWatch

    struct State {
        /// By file.
        var connectors: [String: Connector] = [:]
        var order: [String] = []
        var configuration: ConfigurationState
        var process: ProcessConfiguration
        var failedReloads = 0
    }

    private init(
        _ file: String,
        _ files: ConnectorFiles,
        _ audit: AuditLog,
        _ notifier: SystemdNotifier,
        _ logger: Logger
    ) {
        self.file = file
        self.logger = logger
        self.audit = audit
        self.notifier = notifier
        admin = AdminServers(logger: logger)
        replication = ReplicationServer(main: file, audit, logger)
        let process = files.process
        let folder = audit.isOn ? process.audit.directory : files.administration.folder
        machine = MachineWatch(files.alerts, folder: folder, logger)
        spans = process.bootstrapTracing("connector")
        let configuration = ConfigurationState(file: file, loadedAt: WallClock.seconds())
        state = Mutex(State(configuration: configuration, process: process))
    }

    /// Starts everything that the files say.
    ///
    /// - Returns: also what is to be stopped, in which order.
    package static func start(
        _ file: String,
        _ files: ConnectorFiles,
        notifier: SystemdNotifier,
        logger: Logger
    ) async throws -> (OnPremiseDaemon, DaemonParts) {
        try await DaemonParts.start { parts in
            let audit = try AuditLog(files.process.audit, logger: logger)
            let daemon = OnPremiseDaemon(file, files, audit, notifier, logger)
            parts.add {
                audit.record(.serviceStopped, "Connector stopped")
                audit.end()
                daemon.spans?.flush()
                logger.info("connector stopped")
            }
            audit.record(.serviceStarted, "Connector \(Version.current) started with \(file)")
            let watch = Task { await daemon.watch() }
            parts.add {
                watch.cancel()
                await watch.value
            }
            parts.add { await daemon.admin.stop() }
            parts.add { await daemon.administration.withLock { $0 }?.stop() }
            parts.add { await daemon.stopConnectors() }
            for configuration in files.connectors { daemon.add(try await daemon.make(configuration)) }
            await daemon.admin.apply(files.process, nil, daemon.routes)
            await daemon.startAdministration(files.administration)
            parts.add { await daemon.replication.stop() }
            await daemon.replication.apply(files.administration.replication, daemon.connectors.first)
            return daemon
        }
    }

    /// A connector works without it, so what is wrong with it is said and no more.
    func startAdministration(_ settings: AdministrationSettings) async {
        do {
            let new = try Administration(
                settings,
                audit,
                logger,
                open: { [self] request in
                    OpenRoutes.answer(request) { isMaster } ?? AdministrationPage.answer(request)
                },
                inside: { [self] request, caller in await answer(request, caller) }
            )
            administration.withLock { $0 = new }
            await new.apply(settings, isFirst: true)
        } catch {
            logger.error("administration is not served", metadata: ["cause": "\(error)"])
        }
    }

    private func make(_ configuration: ConnectorConfiguration) async throws -> Connector {
        var logger = logger
        logger[metadataKey: "subaccount"] = "\(configuration.subaccount)"
        if !configuration.locationID.isEmpty { logger[metadataKey: "location_id"] = "\(configuration.locationID)" }
        return try await Connector(configuration, audit: audit, logger: logger)
    }

    /// In SAP's words: a shadow is one that stands by with all that it is.
    var isMaster: Bool {
        let connectors = self.connectors
        return connectors.isEmpty || !connectors.allSatisfy(\.isStandingBy)
    }

    private func add(_ connector: Connector) {
        connector.start()
        let file = connector.configuration.file
        state.withLock { state in
            state.connectors[file] = connector
            state.order.append(file)
        }
    }

    var connectors: [Connector] { state.withLock { state in state.order.compactMap { state.connectors[$0] } } }

    // MARK: Running

    package var name: String { "connector" }
    package var allEventLoops: [any EventLoop] {
        connectors.flatMap(\.allEventLoops) + admin.eventLoops + (administration.withLock { $0 }?.eventLoops ?? [])
            + replication.eventLoops
    }

    private func stopConnectors() async {
        await withDiscardingTaskGroup { tasks in
            for connector in connectors { tasks.addTask { await connector.stop() } }
        }
    }

    /// Once a second for the whole process, never on an event loop, until the task is cancelled.
    private func watch() async {
        let pause = Wakeup()
        var memory = MemoryWatch()
        while !Task.isCancelled {
            memory.look()
            machine.tick()
            // After whatever reload is under way, which it must not undo.
            if connectors.contains(where: { $0.hasLearningToEnd(now: WallClock.seconds()) }) {
                await reloads.run { [self] in await endLearning() }
            }
            await pause.wait(upTo: .seconds(1))
        }
    }

    /// Nobody has to think of it.
    private func endLearning() async {
        for connector in connectors {
            for host in await connector.endLearning(now: WallClock.seconds()) {
                logger.notice("learning is over", metadata: ["virtual_host": "\(host)"])
                audit.record(.configurationChanged, "BackendMapping \(host) learns no more: its time is over")
            }
        }
    }

    /// One line for `systemctl status`.
    package var summary: String {
        let (configuration, audit) = (state.withLock { $0.configuration }, audit.summary)
        let connectors = self.connectors
        let tunnels = connectors.reduce(0) { $0 + $1.state.connectedTunnels }
        if connectors.isEmpty { return "Not set up yet" }
        var text = tunnels > 0 ? "\(tunnels) tunnels up" : "No tunnel"
        // What the service says counts more than an address that nobody listens on.
        let failures = connectors.flatMap { $0.state.failures.values }.sorted()
        if tunnels == 0, let failure = failures.first(where: { $0 != "connection refused" }) ?? failures.first {
            text += ": \(failure)"
        }
        let learning = connectors.flatMap {
            $0.configuration.systems.filter { $0.learnsUntil != nil }.map(\.virtualAddress)
        }
        if let first = learning.first {
            text += "; LEARNING, so everything passes: \(first)\(learning.count > 1 ? " and more" : "")"
        }
        let days = connectors.compactMap(\.certificateExpires).min().map { ($0 - WallClock.seconds()) / 86400 }
        if let days { text += "; certificate \(days) days" }
        if !configuration.lastError.isEmpty { text += "; LAST RELOAD FAILED: \(configuration.lastError[0])" }
        if audit.contains("cannot be written") { text += "; audit log \(audit)" }
        return text
    }

    // MARK: Reload

    /// Reads all files again. Where one is broken, or a change cannot be made, everything stays as it was.
    package func reload(_ cause: String) async -> AdminMessage.Reload {
        await reloads.run { [self] in
            notifier.reloading()
            defer {
                notifier.ready(summary)
                ProcessMemory.release()
            }
            do throws(ConfigurationError) {
                return await apply(try ConnectorFiles.load(file), cause)
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
        _ files: ConnectorFiles,
        _ cause: String
    ) async -> AdminMessage.Reload {
        let changes: [Change]
        do {
            changes = try await prepare(files.connectors)
        } catch {
            return refused(["\(error)"], cause)
        }
        for change in changes { await carryOut(change, cause) }
        let process = files.process
        let old = state.withLock { state in
            defer { state.process = process }
            state.configuration.loadedAt = WallClock.seconds()
            state.configuration.reloads += 1
            state.configuration.lastError = []
            return state.process
        }
        if process != old {
            audit.record(.configurationChanged, "Configuration of log, audit or admin changed [by \(cause)]")
        }
        var findings = files.warnings.digest
        if let problem = await apply(process, old, cause) { findings.append(problem) }
        machine.apply(files.alerts)
        await replication.apply(files.administration.replication, connectors.first)
        if let administration = administration.withLock({ $0 }) {
            if administration.isChanged(files.administration) {
                audit.record(.configurationChanged, "Configuration of page and API changed [by \(cause)]")
            }
            if let problem = await administration.apply(files.administration) { findings.append(problem) }
        }
        logger.info("configuration reloaded", metadata: ["by": "\(cause)"])
        return AdminMessage.Reload(isApplied: true, findings: findings)
    }

    /// What a reload changes, ready to be done: nothing of it can fail any more.
    private enum Change {
        case apply(Connector, Connector.PreparedChange, descriptions: [String])
        case replace(Connector)
        case remove(file: String)
    }

    /// Whatever can fail comes before anything changes.
    private func prepare(_ configurations: [ConnectorConfiguration]) async throws -> [Change] {
        var changes: [Change] = []
        do {
            for configuration in configurations {
                let running = state.withLock { $0.connectors[configuration.file] }
                if let running, running.configuration.identity == configuration.identity {
                    let descriptions = ConfigurationChange.describe(running.configuration, configuration)
                    let change = try running.prepare(configuration)
                    changes.append(.apply(running, change, descriptions: descriptions))
                } else {
                    changes.append(.replace(try await make(configuration)))
                }
            }
        } catch {
            for case .replace(let unused) in changes { await unused.stop() }
            throw error
        }
        let files = Set(configurations.map(\.file))
        let gone = state.withLock { $0.order }.filter { !files.contains($0) }
        return changes + gone.map { .remove(file: $0) }
    }

    private func carryOut(_ change: Change, _ cause: String) async {
        switch change {
        case .apply(let connector, let change, let descriptions):
            await connector.apply(change)
            for text in descriptions { audit.record(.configurationChanged, "\(text) [by \(cause)]") }
        case .replace(let connector):
            let configuration = connector.configuration
            await remove(configuration.file)
            add(connector)
            audit.record(.configurationChanged, "Connector of \(configuration.identity) added [by \(cause)]")
        case .remove(let file):
            await remove(file)
            audit.record(.configurationChanged, "Connector of \(file) removed [by \(cause)]")
        }
    }

    private func remove(_ file: String) async {
        let connector = state.withLock { state in
            state.order.removeAll { $0 == file }
            return state.connectors.removeValue(forKey: file)
        }
        await connector?.stop()
    }

    /// - Returns: what could not be done.
    private func apply(
        _ process: ProcessConfiguration,
        _ old: ProcessConfiguration,
        _ cause: String
    ) async -> String? {
        if process.logLevel != old.logLevel { LogLevelSwitch.level = process.logLevel ?? .info }
        await admin.apply(process, old, routes)
        if process.traceFile != old.traceFile || process.logFormat != old.logFormat {
            logger.warning("tracing and log.format take effect at the next start")
        }
        return AuditReload.apply(process.audit, to: audit, cause: cause, logger: logger)
    }
}

extension OnPremiseDaemon {
    /// Waits until each connector has a tunnel.
    ///
    /// - Returns: how many they have.
    package func waitUntilConnected() async -> Int {
        var tunnels = 0
        for connector in connectors {
            await connector.state.waitUntilConnected()
            tunnels += connector.state.connectedTunnels
        }
        return tunnels
    }
}
