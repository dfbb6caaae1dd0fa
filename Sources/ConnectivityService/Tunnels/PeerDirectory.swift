package import Cryptography
internal import Synchronization
package import TextFormats

/// Which other services share the store, and which connectors have tunnels to them: what was last heard, whether or not the store is there.
package final class PeerDirectory: Sendable {
    package struct Service: Sendable, Hashable {
        package var name: String
        /// Tells one run of the process from the next.
        package var run: String
        package var address: HostPort
        package var version: String

        package init(name: String, run: String, address: HostPort, version: String) {
            (self.name, self.run, self.address, self.version) = (name, run, address, version)
        }
    }

    /// What a service has said of one connector.
    package struct Entry: Sendable, Equatable {
        /// Of the connector's process; empty for those that serve side by side.
        package var session: String
        /// The greatest one is that of the session in force.
        package var number: Int

        package init(session: String, number: Int) { (self.session, self.number) = (session, number) }
    }

    private struct State {
        var services: [String: Service] = [:]
        var tunnels: [ConnectorIdentity: [String: Entry]] = [:]
    }

    private let state = Mutex(State())
    private let others = Atomic<Int>(0)

    package init() {}

    // MARK: What the store says

    /// Takes all that there is now in place of what was known, at once: nobody sees it half.
    package func replace(
        _ services: [Service],
        _ tunnels: [(service: String, identity: ConnectorIdentity, entry: Entry)]
    ) {
        var new = State()
        new.services = Dictionary(services.map { ($0.name, $0) }) { first, _ in first }
        for (service, identity, entry) in tunnels where new.services[service] != nil {
            new.tunnels[identity, default: [:]][service] = entry
        }
        others.store(new.services.count, ordering: .relaxed)
        state.withLock { [new] in $0 = new }
    }

    /// - Parameter entry: nil where the service has no tunnel of the connector any more.
    package func set(_ entry: Entry?, of identity: ConnectorIdentity, at service: String) {
        state.withLock { state in
            guard entry == nil || state.services[service] != nil else { return }
            state.tunnels[identity, default: [:]][service] = entry
            if state.tunnels[identity]?.isEmpty ?? false { state.tunnels[identity] = nil }
        }
    }

    // MARK: Questions

    package var services: [Service] { state.withLock { $0.services.values.sorted { $0.name < $1.name } } }

    /// How many others there are.
    var otherServices: Int { others.load(ordering: .relaxed) }

    /// The names of services that have tunnels of a connector.
    package func services(with identity: ConnectorIdentity) -> [String] {
        state.withLock { $0.tunnels[identity].map { $0.keys.sorted() } ?? [] }
    }

    /// The session in force of a connector, as far as the other services know of one.
    package func inForce(_ identity: ConnectorIdentity) -> Entry? {
        state.withLock { $0.tunnels[identity]?.values.max { $0.number < $1.number } }
    }
}
