internal import EpollTransport
internal import Logging
internal import NIOCore
internal import TunnelCore

/// The connections of one event loop to the other services, and theirs to this loop.
final class PeerLinks {
    let eventLoop: EpollEventLoop
    private let logger: Logger
    private var links: [String: PeerLink] = [:]
    private var isStopped = false
    /// Of others, until they end.
    private var accepted: [ObjectIdentifier: TunnelHandler] = [:]
    /// Requests of others that go on.
    var relayCount = 0
    /// Requests that were handed over, and taken from others.
    var sentCount = 0
    var receivedCount = 0

    init(_ eventLoop: EpollEventLoop, _ logger: Logger) { (self.eventLoop, self.logger) = (eventLoop, logger) }

    /// Connects to those that are new, and lets go of those that are no more.
    func apply(_ services: [PeerDirectory.Service], _ settings: PeerSettings?) {
        guard !isStopped else { return }
        let wanted = settings == nil ? [] : services
        for (name, link) in links where !wanted.contains(where: { $0 == link.service }) {
            link.stop()
            links[name] = nil
        }
        guard let settings else { return }
        for service in wanted where links[service.name] == nil {
            let link = PeerLink(service, settings, eventLoop, logger)
            links[service.name] = link
            link.dial()
        }
        for link in links.values { link.settings = settings }
    }

    /// Requests of one connector that were handed over, at each link; one connector may have a quarter of its streams, so that another one's
    /// find room.
    private var counts: [Key: Int] = [:]
    private static let share = 4

    fileprivate struct Key: Hashable {
        var link: Int
        var group: ObjectIdentifier
    }

    /// A place for one request or connection, until it is let go of; on this loop.
    final class Place {
        private let links: PeerLinks
        private let key: Key
        /// Kept, so that its address stands for it.
        private let group: TunnelGroup

        fileprivate init(_ links: PeerLinks, _ key: Key, _ group: TunnelGroup) {
            (self.links, self.key, self.group) = (links, key, group)
            links.counts[key, default: 0] += 1
        }

        deinit {
            let left = (links.counts[key] ?? 1) - 1
            links.counts[key] = left > 0 ? left : nil
        }
    }

    /// - Returns: nil where the connector has its share of a link already.
    func place(on tunnel: RegisteredTunnel, for group: TunnelGroup) -> Place? {
        let key = Key(link: tunnel.id, group: ObjectIdentifier(group))
        let limit = max(1, Int(tunnel.handler.value.session.peerMaxConcurrentStreams) / Self.share)
        return counts[key, default: 0] < limit ? Place(self, key, group) : nil
    }

    /// A way to one of the services that is up, the one with the fewest streams.
    func tunnel(to names: [String], excluding excluded: [Int]) -> RegisteredTunnel? {
        var best: RegisteredTunnel?
        var bestLoad = Int.max
        for name in names {
            guard let tunnel = links[name]?.tunnel, !excluded.contains(tunnel.id) else { continue }
            let handler = tunnel.handler.value
            guard handler.isUsable, handler.session.streamCount < bestLoad else { continue }
            (best, bestLoad) = (tunnel, handler.session.streamCount)
        }
        return best
    }

    func isUp(_ name: String) -> Bool { links[name]?.tunnel?.handler.value.isUsable ?? false }
    /// Why there is no connection to a service; nil while there is one.
    func failure(of name: String) -> String? { links[name]?.failure }

    func link(_ name: String) -> RegisteredTunnel? { links[name]?.tunnel }

    func add(_ handler: TunnelHandler) { accepted[ObjectIdentifier(handler)] = handler }
    func remove(_ handler: TunnelHandler) { accepted[ObjectIdentifier(handler)] = nil }

    /// Others send nothing more; what they have sent goes on within the limit.
    func drainAccepted(_ limit: TimeAmount) {
        for handler in accepted.values { handler.drain("the service is stopping", limit: limit) }
    }

    func stop() {
        isStopped = true
        for link in links.values { link.stop() }
        links.removeAll()
        for handler in accepted.values { handler.close(nil) }
    }
}
