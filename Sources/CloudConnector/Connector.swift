internal import AccessPolicy
internal import AdminProtocol
package import AvailabilityCheck
internal import ControlProtocol
internal import Cryptography
internal import EpollTransport
internal import HostSystem
internal import Kerberos
package import Logging
internal import NIOCore
internal import NIOPosix
internal import Networking
internal import PrincipalPropagation
internal import Synchronization
package import Telemetry
internal import TextFormats
internal import TunnelCore

/// The on-premise side for one subaccount: tunnels to the connectivity service, what is forwarded from them, and the
/// checks of internal hosts.
package final class Connector: Sendable {
    package let state = ConnectorState()
    package let checker: AvailabilityChecker
    let session: ControlMessage.Hello
    private let group: EpollEventLoopGroup
    let eventLoops: [EpollEventLoop]
    let loops: PerLoop<ConnectorLoop>
    let audit: AuditLog
    let logger: Logger
    let current: Mutex<Current>
    let renewal = CertificateRenewal()
    let validity = ControlQuestion { $0.validity != nil }

    struct Current {
        var configuration: ConnectorConfiguration
        var snapshot: ForwardingSnapshot
        /// What tunnels are dialled with.
        var tunnelTLS: TunnelTLS
        var fleets: [(fleet: TunnelFleet, task: Task<Void, Never>)] = []
        var lastFleet = 0
        /// The last replacement of a fleet.
        var replacement: Task<Void, Never>?
        /// Of those who wait until fleets before the given one are gone.
        var waiters: [(fleet: Int, wakeup: Wakeup)] = []
        var background: [Task<Void, Never>] = []
    }

    /// Reads certificates and keys; nothing is dialled yet.
    package init(_ configuration: ConnectorConfiguration, audit: AuditLog = .off, logger: Logger) async throws {
        try configuration.checkTunnelFiles()
        let snapshot = ForwardingSnapshot(
            policy: AccessPolicy(systems: configuration.systems, cookieDomains: configuration.cookieDomains),
            backendTLS: try BackendTLS(configuration.backendTLS, configuration.systems),
            users: try configuration.loadPropagation(),
            delegation: configuration.kerberos.map(KerberosDelegation.init),
            configuration: configuration.cappedForwarding,
            accessLog: configuration.accessLog,
            isTracing: configuration.isTracing,
            offer: configuration.offer
        )
        snapshot.delegation?.activate()
        let group = try EpollEventLoopGroup(configuration.eventLoops, name: "connector")
        self.audit = audit
        self.group = group
        self.logger = logger
        self.session = ControlMessage.Hello(
            session: Hexadecimal.text(try SecureRandom.bytes(16)),
            version: Version.current,
            description: configuration.description,
            startedAt: WallClock.seconds()
        )
        current = Mutex(
            Current(
                configuration: configuration,
                snapshot: snapshot,
                tunnelTLS: try configuration.tunnelContexts()
            )
        )
        eventLoops = group.loops
        loops = try await PerLoop.make(eventLoops) { eventLoop in
            let loop = ConnectorLoop(eventLoop, snapshot, audit: audit, logger: logger)
            loop.sweeper.start(on: eventLoop)
            return loop
        }
        checker = AvailabilityChecker(logger: logger) { [state] message in
            for tunnel in state.live() { tunnel.send(message) }
        }
    }

    package var configuration: ConnectorConfiguration { current.withLock { $0.configuration } }

    /// Begins to dial and to check.
    package func start() {
        let configuration = self.configuration
        let snapshot = current.withLock { $0.snapshot }
        checker.apply(snapshot.policy.systems, snapshot.backendTLS, configuration.check)
        addFleet()
        let checks = Task { [checker] in await checker.run() }
        let renewals = Task { [renewal] in await renewal.run(for: self) }
        let keys = Task { [logger] in await KeySetRefresh(logger: logger).run(for: self) }
        current.withLock { $0.background = [checks, renewals, keys] }
    }

    // MARK: Change

    /// A new configuration with all that it takes to apply it.
    package struct PreparedChange {
        fileprivate var configuration: ConnectorConfiguration
        fileprivate var snapshot: ForwardingSnapshot
        /// Nil where the tunnels may stay.
        fileprivate var tunnelTLS: TunnelTLS?
    }

    /// What was done for users; nil where none arrive.
    var userCounts: UserPropagation.Counts? { current.withLock { $0.snapshot.users }?.figures }
    /// The same for those who arrive by tickets.
    var ticketCounts: KerberosDelegation.Counts? { ticketing?.figures }
    var ticketing: KerberosDelegation? { current.withLock { $0.snapshot.delegation } }

    /// Reads certificates and keys for a new configuration; nothing has changed yet.
    ///
    /// - Throws: `TLSError` where a certificate or key cannot be used.
    package func prepare(_ new: ConnectorConfiguration) throws -> PreparedChange {
        let (old, oldSnapshot) = current.withLock { ($0.configuration, $0.snapshot) }
        try new.checkTunnelFiles()
        let isTrustSame =
            new.backendTLS == old.backendTLS && new.backendTrustDigest == old.backendTrustDigest
            && new.systems.map(\.clientCertificate) == old.systems.map(\.clientCertificate)
        let snapshot = ForwardingSnapshot(
            policy: AccessPolicy(
                systems: Self.keepingIdentity(new.systems, oldSnapshot.policy),
                cookieDomains: new.cookieDomains
            ),
            backendTLS: isTrustSame ? oldSnapshot.backendTLS : try BackendTLS(new.backendTLS, new.systems),
            users: new.propagation == old.propagation && new.subaccount == old.subaccount
                ? oldSnapshot.users : try new.loadPropagation(after: oldSnapshot.users),
            delegation: new.kerberos == old.kerberos
                ? oldSnapshot.delegation : new.kerberos.map(KerberosDelegation.init),
            configuration: new.cappedForwarding,
            accessLog: new.accessLog,
            isTracing: new.isTracing,
            offer: new.offer
        )
        let isWaySame =
            new.dialer == old.dialer && new.tunnelFilesDigest == old.tunnelFilesDigest
            && new.tunnel.instance == old.tunnel.instance
        return PreparedChange(
            configuration: new,
            snapshot: snapshot,
            tunnelTLS: isWaySame ? nil : try new.tunnelContexts()
        )
    }

    /// Requests in progress live on; the tunnels are replaced only where their settings have changed, and then new ones are up
    /// before the old ones go.
    package func apply(_ change: PreparedChange) async {
        let (new, snapshot) = (change.configuration, change.snapshot)
        let old = current.withLock { current in
            defer { (current.configuration, current.snapshot) = (new, snapshot) }
            return current.configuration
        }
        snapshot.delegation?.activate()
        // Its loops run as long as it does.
        try? await loops.forEach { $0.apply(snapshot) }
        checker.apply(snapshot.policy.systems, snapshot.backendTLS, new.check)
        for message in exposedMessages() { broadcast(message) }
        if let tls = change.tunnelTLS { replaceFleet(tls) }
        if new.eventLoops != old.eventLoops {
            logger.warning("event-loops takes effect at the next start", metadata: ["in force": "\(old.eventLoops)"])
        }
    }

    /// Other systems, with everything else as it is.
    func apply(systems: [SystemMapping]) async {
        let change = current.withLock { current in
            var (configuration, snapshot) = (current.configuration, current.snapshot)
            configuration.systems = systems
            snapshot.policy = AccessPolicy(
                systems: Self.keepingIdentity(systems, snapshot.policy),
                cookieDomains: configuration.cookieDomains
            )
            return PreparedChange(configuration: configuration, snapshot: snapshot, tunnelTLS: nil)
        }
        await apply(change)
    }

    /// A mapping that has not changed keeps its object, and with it its connections.
    private static func keepingIdentity(_ systems: [SystemMapping], _ policy: AccessPolicy) -> [SystemMapping] {
        systems.map { system in
            guard let old = policy.system(host: system.virtualHost, port: system.virtualPort), old.isSame(as: system)
            else { return system }
            return old
        }
    }

    /// Renews the tunnel's certificate now.
    ///
    /// - Returns: why it was not renewed.
    /// Whether the service's authority has revoked a certificate of this connector's identity, as the service says now.
    ///
    /// - Throws: why it cannot be asked.
    package func isRevoked(_ serial: String) async throws(EnrolError) -> Bool {
        switch await validity.ask(ControlMessage(validityOf: serial), self, upTo: .seconds(5), waitsForTunnel: true) {
        case .answer(let message) where message.validity?.serial == serial: return message.validity?.isRevoked ?? true
        case .answer: throw EnrolError("the service has answered another question")
        case .failed(let cause): throw EnrolError(cause)
        case nil: throw EnrolError("another one is being asked about just now; try again")
        }
    }

    package func renewCertificate() async -> String? {
        guard state.connectedTunnels > 0 else {
            return "there is no tunnel over which it could be renewed: enrol again"
        }
        return await renewal.renewNow(self)
    }

    /// After a renewal, which has changed a file that the configuration names.
    func certificateRenewed() throws {
        current.withLock { current in
            let tunnel = current.configuration.tunnel
            let files = [tunnel.certificate, tunnel.privateKey, tunnel.trustedCA]
            current.configuration.tunnelFilesDigest = FileDigest.of(files)
        }
        try rotate()
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
    ///
    /// - Throws: `TLSError` where the files of the tunnel cannot be used; then the old tunnels stay.
    package func rotate() throws { replaceFleet(try configuration.tunnelContexts()) }

    /// Waits for the last replacement of tunnels, but not longer than `limit`.
    ///
    /// - Returns: nil when it is over, otherwise what it waits for.
    package func waitForReplacement(upTo limit: Duration) async -> String? {
        let wakeup = Wakeup()
        let isUnderWay = current.withLock { current in
            let new = current.lastFleet
            guard current.fleets.contains(where: { $0.fleet.id < new }) else { return false }
            current.waiters.append((new, wakeup))
            return true
        }
        guard isUnderWay else { return nil }
        await wakeup.wait(upTo: limit)
        current.withLock { current in current.waiters.removeAll { $0.wakeup === wakeup } }
        let (fleets, new) = current.withLock { ($0.fleets.map(\.fleet.id), $0.lastFleet) }
        guard fleets.contains(where: { $0 < new }) else { return nil }
        guard state.live(fleet: new).isEmpty else { return "requests on the old tunnels are still in flight" }
        let causes = state.failures.map { "\($0.key): \($0.value)" }.sorted().joined(separator: "; ")
        return "no new tunnel has come up, and the old ones stay until one does"
            + (causes.isEmpty ? "" : " (\(causes))")
    }

    private func addFleet() {
        current.withLock { current in
            current.lastFleet += 1
            let fleet = TunnelFleet(
                id: current.lastFleet,
                configuration: current.configuration.dialer,
                tls: current.tunnelTLS,
                eventLoops: eventLoops,
                loops: loops,
                owner: self,
                state: state,
                logger: logger
            )
            current.fleets.append((fleet, Task { await fleet.run() }))
        }
    }

    private func replaceFleet(_ tls: TunnelTLS) {
        let old = current.withLock { current in
            current.tunnelTLS = tls
            return current.fleets.map(\.fleet)
        }
        for fleet in old { fleet.dialNoMore() }
        addFleet()
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
        if configuration.tunnel.isActive {
            await waitUntilConnected(max(count, 1), fleet: new, upTo: .seconds(5))
            await state.waitUntilConnected(1, fleet: new)
        }
        guard !Task.isCancelled else { return }
        // Each fleet drains its tunnels.
        for (_, task) in old { task.cancel() }
        for (_, task) in old { await task.value }
        let waiters = current.withLock { current in
            current.fleets.removeAll { $0.fleet.id < new }
            defer { current.waiters.removeAll { $0.fleet <= new } }
            return current.waiters.filter { $0.fleet <= new }
        }
        for waiter in waiters { waiter.wakeup.wake() }
        logger.info("tunnels replaced", metadata: ["count": "\(state.live(fleet: new).count)"])
    }

    func waitUntilConnected(_ count: Int, fleet: Int, upTo limit: Duration) async {
        await withDiscardingTaskGroup { [state] tasks in
            let wakeup = Wakeup()
            tasks.addTask {
                await state.waitUntilConnected(count, fleet: fleet)
                wakeup.wake()
            }
            await wakeup.wait(upTo: limit)
            tasks.cancelAll()
        }
    }

    // MARK: End

    /// Takes no new requests, finishes those in flight within the configured limit, and ends.
    package func stop() async {
        let (fleets, background) = current.withLock { ($0.fleets, $0.background) }
        for task in background { task.cancel() }
        let waiters = current.withLock { current in
            current.replacement?.cancel()
            return current.waiters
        }
        for waiter in waiters { waiter.wakeup.wake() }
        // Each fleet drains its tunnels.
        for (_, task) in fleets { task.cancel() }
        state.release()
        for (_, task) in fleets { await task.value }
        for task in background { await task.value }
        await current.withLock { $0.replacement }?.value
        try? await group.shutdownGracefully()
    }
}
