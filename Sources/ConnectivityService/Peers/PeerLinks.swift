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
