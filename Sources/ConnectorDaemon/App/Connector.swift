internal import AccessPolicy
internal import ControlProtocol
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import Telemetry
internal import TunnelCore

/// The on-premise side for one subaccount: tunnels to the connectivity service, what is forwarded from them, and the
/// checks of internal hosts.
final class Connector: Sendable {
    let state = ConnectorState()
    let checker: AvailabilityChecker
    private let session: ControlMessage.Hello
    private let group: MultiThreadedEventLoopGroup
    private let eventLoops: [any EventLoop]
    private let loops: PerLoop<ConnectorLoop>
    private let audit: AuditLog
    private let logger: Logger
    private let current: Mutex<Current>
    private let renewal = CertificateRenewal()

    private struct Current {
        var configuration: ConnectorConfiguration
        var snapshot: ForwardingSnapshot
        var fleets: [(fleet: TunnelFleet, task: Task<Void, Never>)] = []
        var lastFleet = 0
        /// The last replacement of a fleet; the next one waits for it.
        var replacement: Task<Void, Never>?
        var background: [Task<Void, Never>] = []
    }

    /// Reads certificates and keys; nothing is dialled yet.
    init(_ configuration: ConnectorConfiguration, audit: AuditLog = .off, logger: Logger) async throws {
        try configuration.checkTunnelFiles()
        let snapshot = ForwardingSnapshot(
            policy: AccessPolicy(systems: configuration.systems),
            backendTLS: try TLSContext(configuration.backendTLS),
            configuration: configuration.cappedForwarding,
            accessLog: configuration.process.accessLog,
            isTracing: !configuration.process.traceFile.isEmpty
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops)
        self.audit = audit
        self.group = group
        self.logger = logger
        self.session = ControlMessage.Hello(
            session: Hexadecimal.text(try SecureRandom.octets(16)),
            version: Version.current,
            description: configuration.description,
            startedAt: WallClock.seconds()
        )
        current = Mutex(Current(configuration: configuration, snapshot: snapshot))
        eventLoops = Array(group.makeIterator())
        loops = try await PerLoop.make(eventLoops) { eventLoop in
            let loop = ConnectorLoop(eventLoop, snapshot, audit: audit, logger: logger)
            loop.sweeper.start(on: eventLoop)
            return loop
        }
        checker = AvailabilityChecker(logger: logger) { [state] message in
            for tunnel in state.live() { tunnel.send(message) }
        }
    }

    var configuration: ConnectorConfiguration { current.withLock { $0.configuration } }

    /// Begins to dial and to check.
    func start() throws {
        let configuration = self.configuration
        checker.apply(current.withLock { $0.snapshot }, configuration.check)
        try addFleet(configuration)
        let checks = Task { [checker] in await checker.run() }
        let renewals = Task { [renewal] in await renewal.run(for: self) }
        current.withLock { $0.background = [checks, renewals] }
    }

    // MARK: Change

    /// Takes a new configuration into force. Requests in progress live on; the tunnels are replaced only where their
    /// settings have changed, and then new ones are up before the old ones go.
    ///
    /// - Throws: where a certificate or key cannot be used; then nothing has changed.
    func apply(_ new: ConnectorConfiguration) async throws {
        let (old, oldSnapshot) = current.withLock { ($0.configuration, $0.snapshot) }
        try new.checkTunnelFiles()
        let isTrustSame = new.backendTLS == old.backendTLS && new.backendTrustDigest == old.backendTrustDigest
        let snapshot = ForwardingSnapshot(
            policy: AccessPolicy(systems: Self.keepingIdentity(new.systems, oldSnapshot.policy)),
            backendTLS: isTrustSame ? oldSnapshot.backendTLS : try TLSContext(new.backendTLS),
            configuration: new.cappedForwarding,
            accessLog: new.process.accessLog,
            isTracing: !new.process.traceFile.isEmpty
        )
        current.withLock { current in
            current.configuration = new
            current.snapshot = snapshot
        }
        try await loops.forEach { $0.apply(snapshot) }
        checker.apply(snapshot, new.check)
        for message in exposedMessages() { broadcast(message) }
        if new.dialer != old.dialer || new.tunnelFilesDigest != old.tunnelFilesDigest { try replaceFleet() }
        if new.eventLoops != old.eventLoops {
            logger.warning("event-loops takes effect at the next start", metadata: ["in force": "\(old.eventLoops)"])
        }
    }

    /// A mapping that has not changed keeps its object, and with it its connections.
    private static func keepingIdentity(_ systems: [SystemMapping], _ policy: AccessPolicy) -> [SystemMapping] {
        systems.map { system in
            guard let old = policy.system(host: system.virtualHost, port: system.virtualPort), old.isSame(as: system)
            else { return system }
            return old
        }
    }

    /// After a renewal, which has changed a file that the configuration names.
    func certificateRenewed() throws {
        current.withLock { current in
            let tunnel = current.configuration.tunnel
            let files = [tunnel.certificate, tunnel.privateKey, tunnel.trustedCA]
            current.configuration.tunnelFilesDigest = FileDigest.of(files)
        }
        try replaceFleet()
    }

    /// Takes up a certificate that somebody has put in place of the one in force, as `connectord enrol` does.
    func noticeNewFiles() {
        let configuration = self.configuration
        let tunnel = configuration.tunnel
        let digest = FileDigest.of([tunnel.certificate, tunnel.privateKey, tunnel.trustedCA])
        // Files that do not fit are being written just now, or are wrong; then the next reload says so.
        guard digest != configuration.tunnelFilesDigest, (try? configuration.checkTunnelFiles()) != nil else { return }
        logger.notice("the tunnel's certificate was replaced")
        audit.record(.configurationChanged, "Certificate of the tunnel changed [by its files]")
        do { try certificateRenewed() } catch { logger.error("tunnels not replaced", metadata: ["cause": "\(error)"]) }
    }

    /// Replaces all tunnels by new ones, which come first.
    func rotate() throws { try replaceFleet() }

    /// Waits for the last replacement of tunnels, but not longer than `limit`.
    ///
    /// - Returns: nil when it is over, otherwise what it waits for.
    func waitForReplacement(upTo limit: Duration) async -> String? {
        guard let replacement = current.withLock({ $0.replacement }) else { return nil }
        await firstOf(replacement, limit)
        let (fleets, new) = current.withLock { ($0.fleets.map(\.fleet.id), $0.lastFleet) }
        guard fleets.contains(where: { $0 < new }) else { return nil }
        guard state.live(fleet: new).isEmpty else { return "requests on the old tunnels are still in flight" }
        let causes = state.failures.map { "\($0.key): \($0.value)" }.sorted().joined(separator: "; ")
        return "no new tunnel has come up, and the old ones stay until one does"
            + (causes.isEmpty ? "" : " (\(causes))")
    }

    private func addFleet(_ configuration: ConnectorConfiguration) throws {
        let context = try TLSContext(configuration.tunnelTLS)
        current.withLock { current in
            current.lastFleet += 1
            let fleet = TunnelFleet(
                id: current.lastFleet,
                configuration: configuration.dialer,
                context: context,
                eventLoops: eventLoops,
                loops: loops,
                owner: self,
                state: state,
                logger: logger
            )
            current.fleets.append((fleet, Task { await fleet.run() }))
        }
    }

    private func replaceFleet() throws {
        try addFleet(configuration)
        current.withLock { current in
            // Its fleet may never get a tunnel; this one retires all that came before.
            current.replacement?.cancel()
            let new = current.lastFleet
            current.replacement = Task { [self] in await retireFleets(before: new) }
        }
    }

    private func retireFleets(before new: Int) async {
        let old = current.withLock { $0.fleets.filter { $0.fleet.id < new } }
        guard !old.isEmpty else { return }
        // As many as there were, or what has come up within five seconds; but never none.
        let count = old.reduce(0) { $0 + state.live(fleet: $1.fleet.id).count }
        let limit = Task { [state] in await state.waitUntilConnected(max(count, 1), fleet: new) }
        await firstOf(limit, .seconds(5))
        limit.cancel()
        await state.waitUntilConnected(1, fleet: new)
        guard !Task.isCancelled else { return }
        // Each fleet drains its tunnels.
        for (_, task) in old { task.cancel() }
        for (_, task) in old { await task.value }
        current.withLock { current in current.fleets.removeAll { $0.fleet.id < new } }
        logger.info("tunnels replaced", metadata: ["count": "\(state.live(fleet: new).count)"])
    }

    /// Waits for a task, but not longer than `limit`.
    private func firstOf(_ task: Task<Void, Never>, _ limit: Duration) async {
        let wakeup = Wakeup()
        let watcher = Task {
            await task.value
            wakeup.wake()
        }
        await wakeup.wait(upTo: limit)
        watcher.cancel()
    }

    // MARK: End

    /// Takes no new requests, finishes those in flight within the configured limit, and ends.
    func stop() async throws {
        let (fleets, background) = current.withLock { ($0.fleets, $0.background) }
        for task in background { task.cancel() }
        // Each fleet drains its tunnels.
        for (_, task) in fleets { task.cancel() }
        state.release()
        for (_, task) in fleets { await task.value }
        for task in background { await task.value }
        try await group.shutdownGracefully()
    }

    // MARK: Facts

    func broadcast(_ message: ControlMessage) {
        for tunnel in state.live() { tunnel.send(message) }
    }

    private func exposedMessages() -> [ControlMessage] {
        let systems = current.withLock { $0.snapshot.policy.systems }
        let exposed = systems.map { system in
            ExposedSystem(
                host: system.virtualAddress,
                protocol: system.protocol.rawValue,
                type: system.backEndType.rawValue,
                description: system.description,
                hasResources: system.hasActiveResource,
                availability: checker.availability(of: system).summary
            )
        }
        guard !exposed.isEmpty else { return [ControlMessage(exposed: .init(isFirst: true, systems: []))] }
        return stride(from: 0, to: exposed.count, by: ControlStream.systemsPerMessage).map { start in
            let part = exposed[start..<min(start + ControlStream.systemsPerMessage, exposed.count)]
            return ControlMessage(exposed: .init(isFirst: start == 0, systems: Array(part)))
        }
    }

    func status() async -> ConnectorStatus.Connector {
        let (configuration, policy) = current.withLock { ($0.configuration, $0.snapshot.policy) }
        var tunnels: [ConnectorStatus.Tunnel] = []
        for tunnel in state.live() {
            tunnels.append(
                ConnectorStatus.Tunnel(
                    service: tunnel.target.name,
                    connectedSince: tunnel.connectedSince,
                    streams: await tunnel.streamCount(),
                    roundTripMilliseconds: tunnel.roundTrip.map { Double($0.nanoseconds / 1000) / 1000 }
                )
            )
        }
        let failures = state.failures
        return ConnectorStatus.Connector(
            subaccount: configuration.subaccount,
            locationID: configuration.locationID,
            file: configuration.file,
            service: configuration.dialer.service,
            state: !tunnels.isEmpty ? "Connected" : failures.isEmpty ? "Disconnected" : "ConnectFailure",
            tunnels: tunnels,
            failures: failures,
            certificateExpires: certificateExpires,
            systems: policy.systems.map { ConnectorStatus.System($0, checker) }
        )
    }

    /// Seconds since 1970.
    var certificateExpires: Int? {
        try? CertificateDetails(.file(configuration.tunnel.certificate)).notAfter
    }

    func metrics() async throws -> [SystemMetrics.Snapshot] {
        try await loops.map(\.snapshot).flatMap { $0 }
    }

    var idleConnections: Int {
        get async throws { try await loops.map(\.idleCount).reduce(0, +) }
    }

    func log(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        logger.log(level: level, message, metadata: metadata)
    }

    func recordChange(_ category: AuditCategory, _ text: String) { audit.record(category, text) }

    /// Of the traffic, for the watchdog.
    var allEventLoops: [any EventLoop] { eventLoops }
}

extension Connector: TunnelOwner {
    var drainLimit: TimeAmount { configuration.drain }

    func introduction(on tunnel: DialedTunnel) -> [ControlMessage] {
        tunnel.toldChanges.store(checker.changeCount, ordering: .releasing)
        return [ControlMessage(hello: session)] + exposedMessages()
    }

    func received(_ message: ControlMessage) { renewal.received(message) }

    func tunnelReady(_ tunnel: DialedTunnel) {
        // First the state: whoever waits for the tunnel finds it there.
        state.connected(tunnel)
        tunnel.becameReady(at: WallClock.seconds())
        // What changed between the introduction and now went to the tunnels of before.
        if tunnel.toldChanges.load(ordering: .acquiring) != checker.changeCount {
            for message in exposedMessages() { tunnel.send(message) }
        }
        logger.info("tunnel connected", metadata: ["tunnel": "\(tunnel.id)", "service": "\(tunnel.target.name)"])
        audit.record(.connectionOpened, "Tunnel \(tunnel.id) to \(tunnel.target.name) opened")
    }

    func tunnelDismissed(_ tunnel: DialedTunnel) {
        guard state.isLive(tunnel) else { return }
        logger.notice(
            "the service takes a tunnel away",
            metadata: ["tunnel": "\(tunnel.id)", "cause": "\(tunnel.farewell ?? "")"]
        )
    }

    func tunnelClosed(_ tunnel: DialedTunnel, _ cause: any Error, wasReady: Bool) {
        guard state.closed(tunnel) else { return }
        let text = BackendRefusal.explain(cause).cause
        logger.log(
            level: tunnel.wasRetired ? .info : .notice,
            "tunnel disconnected",
            metadata: ["tunnel": "\(tunnel.id)", "cause": "\(text)"]
        )
        audit.record(.connectionClosed, "Tunnel \(tunnel.id) to \(tunnel.target.name) closed: \(text)")
    }
}
