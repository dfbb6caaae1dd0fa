internal import AccessPolicy
package import AdminProtocol
internal import AvailabilityCheck
internal import ControlProtocol
internal import Cryptography
internal import Logging
package import NIOCore
internal import PrincipalPropagation
internal import Synchronization
internal import Telemetry
internal import TunnelCore

/// What a connector tells of itself: to the service, to `status`, to metrics.
extension Connector {
    func broadcast(_ message: ControlMessage) {
        for tunnel in state.live() { tunnel.send(message) }
    }

    func exposedMessages() -> [ControlMessage] {
        let (systems, offer) = current.withLock { ($0.snapshot.policy.systems, $0.snapshot.offer) }
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
        // An empty list is a part, too.
        return stride(from: 0, to: max(1, exposed.count), by: ControlStream.systemsPerMessage).map { start in
            let part = exposed[start..<min(start + ControlStream.systemsPerMessage, exposed.count)]
            var message = ControlMessage.Exposed(isFirst: start == 0, systems: Array(part))
            if start == 0 { message.configuration = offer }
            return ControlMessage(exposed: message)
        }
    }

    /// Everything that `connectord status` shows of this connector.
    package func status() async -> ConnectorStatus.Connector {
        let (configuration, policy) = current.withLock { ($0.configuration, $0.snapshot.policy) }
        var tunnels: [ConnectorStatus.Tunnel] = []
        for tunnel in state.live() {
            tunnels.append(
                ConnectorStatus.Tunnel(
                    service: tunnel.target.name,
                    connectedSince: tunnel.connectedSince,
                    streams: await tunnel.streamCount(),
                    roundTripMilliseconds: tunnel.roundTrip.map { Double($0.nanoseconds / 1000) / 1000 },
                    silentSeconds: await tunnel.silence().map { Int($0.nanoseconds / 1_000_000_000) },
                    isStatic: !tunnel.hasControl
                )
            )
        }
        let failures = state.failures
        var status = ConnectorStatus.Connector(
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
        status.isStandingBy = isStandingBy ? true : nil
        return status
    }

    /// Seconds since 1970.
    package var certificateExpires: Int? {
        try? CertificateDetails(.file(configuration.tunnel.certificate)).notAfter
    }

    /// The last requests, the latest first.
    package func recentRequests() async -> [RecentRequest] {
        let (subaccount, locationID) = current.withLock { ($0.configuration.subaccount, $0.configuration.locationID) }
        let lists = (try? await loops.map { $0.recent.all(subaccount, locationID) }) ?? []
        return Array(lists.flatMap { $0 }.sorted { $0.time > $1.time }.prefix(RecentForwards.limit))
    }

    /// Has the keys of identity providers fetched within a second or two.
    package func fetchKeysAnew() {
        for keys in current.withLock({ $0.snapshot.users?.fetchedKeys ?? [] }) { keys.expire() }
    }

    /// Of the requests since the start, those that have taken the longest, the slowest first.
    package func slowestRequests() async -> [SlowRequest] {
        let lists = (try? await loops.map { $0.slowest.entries.map { SlowRequest($0) } }) ?? []
        return Array(
            lists.flatMap { $0 }.sorted { $0.milliseconds > $1.milliseconds }.prefix(SlowestForwards.limit)
        )
    }

    func metrics() async throws -> [SystemMetrics.Snapshot] {
        try await loops.map(\.snapshot).flatMap { $0 }
    }

    var idleConnections: Int {
        get async throws { try await loops.map(\.idleCount).reduce(0, +) }
    }

    /// What was asked for in the last hours, the most frequent first.
    package func askedRequests(hours: Int = 24) async -> [AskedRequest] {
        var sums: [String: AskedRequest] = [:]
        for one in ((try? await loops.map { $0.askedPaths(hours: hours) }) ?? []).flatMap({ $0 }) {
            let key = "\(one.virtualHost) \(one.method) \(one.path)"
            guard let sum = sums[key] else {
                sums[key] = one
                continue
            }
            sums[key]!.count = sum.count + one.count
            sums[key]!.refused = sum.refused + one.refused
        }
        let (subaccount, locationID) = (configuration.subaccount, configuration.locationID)
        for key in sums.keys { (sums[key]!.subaccount, sums[key]!.locationID) = (subaccount, locationID) }
        return sums.values.sorted { ($1.count, $0.virtualHost, $0.path) < ($0.count, $1.virtualHost, $1.path) }
    }

    /// Requests of which nothing is kept.
    package var askedMissed: Int { get async { ((try? await loops.map(\.askedMissed)) ?? []).reduce(0, +) } }

    /// Another connector of the same identity serves, and this one takes over when it goes.
    package var isStandingBy: Bool {
        state.connectedTunnels == 0
            && state.failures.values.contains { $0.hasSuffix(TunnelError.superseded.rawValue) }
    }

    /// Whether some system has learnt long enough.
    package func hasLearningToEnd(now: Int) -> Bool {
        configuration.systems.contains { $0.learnsUntil.map { $0 <= now } ?? false }
    }

    /// Ends the learning of systems whose time is over. Cannot fail: whatever the files say by now, what was open is closed.
    ///
    /// - Returns: their virtual hosts.
    package func endLearning(now: Int) async -> [String] {
        let configuration = self.configuration
        let over = configuration.systems.filter { $0.learnsUntil.map { $0 <= now } ?? false }
        guard !over.isEmpty else { return [] }
        await apply(
            systems: configuration.systems.map { system in
                over.contains { $0 === system } ? system.withoutLearning : system
            }
        )
        return over.map(\.virtualAddress)
    }

    /// Waits until there is a tunnel, where there is to be one, and until none is left otherwise, but not longer than `limit`.
    package func settle(upTo limit: Duration) async {
        _ = await waitForReplacement(upTo: limit)
        guard configuration.tunnel.isActive else { return }
        await waitUntilConnected(1, fleet: current.withLock { $0.lastFleet }, upTo: limit)
    }

    func log(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        logger.log(level: level, message, metadata: metadata)
    }

    func recordChange(_ category: AuditCategory, _ text: String) { audit.record(category, text) }

    /// Of the traffic, for the watchdog.
    package var allEventLoops: [any EventLoop] { eventLoops }
}
