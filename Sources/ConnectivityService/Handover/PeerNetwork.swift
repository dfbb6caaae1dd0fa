internal import Cryptography
internal import NIOCore
internal import Synchronization
internal import TunnelCore

/// The other services of one store, as a service knows and reaches them.
package final class PeerNetwork: Sendable {
    package let directory: PeerDirectory
    private let loops: PerLoop<ProxyLoop>
    private let current = Mutex<PeerSettings?>(nil)

    init(_ directory: PeerDirectory, _ loops: PerLoop<ProxyLoop>) {
        (self.directory, self.loops) = (directory, loops)
    }

    /// Nil for a service without others beside it.
    var settings: PeerSettings? { current.withLock { $0 } }

    /// Takes effect for connections that are made from now on.
    func apply(_ configuration: ServiceConfiguration) throws {
        let settings = try configuration.peers.map { own in
            PeerSettings(
                client: try TLSContext(own.tls(.client)),
                server: try TLSContext(own.tls(.server)),
                http2: Self.http2(configuration),
                pingInterval: configuration.pingInterval,
                drain: configuration.times.drain,
                name: own.name.text
            )
        }
        current.withLock { $0 = settings }
        connect()
    }

    /// As a tunnel, with room for the requests of many connectors.
    private static func http2(_ configuration: ServiceConfiguration) -> HTTP2Configuration {
        var http2 = configuration.tunnel
        http2.maxConcurrentStreams = max(http2.maxConcurrentStreams, 1000)
        // What many connectors' tunnels may cost together.
        http2.frameBudget = max(http2.frameBudget, 1 << 20)
        return http2
    }

    /// Connects to those that the directory has by now.
    package func connect() {
        // Looked at there, so that of two calls the later one cannot bring an older answer.
        loops.execute { [self] in $0.peers.apply(directory.services, settings) }
    }

    /// What another service says of itself, as it has written it.
    package func ask(_ service: String) async throws -> [UInt8] {
        let all = try await loops.map { $0.peers.link(service) }
        guard let link = all.compactMap(\.self).first else {
            let failure = try await loops.map { $0.peers.failure(of: service) }
            throw PeerError(description: failure.compactMap(\.self).first ?? "not connected")
        }
        return try await PeerQuestion.ask(link).get()
    }

    /// Requests that were handed over to others, and taken from them.
    func counts() async throws -> (sent: Int, received: Int) {
        try await loops.map { ($0.peers.sentCount, $0.peers.receivedCount) }
            .reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
    }

    // MARK: End

    func drain(_ limit: TimeAmount) async throws { try await loops.forEach { $0.peers.drainAccepted(limit) } }
    func relays() async -> Int { ((try? await loops.map(\.peers.relayCount)) ?? []).reduce(0, +) }
    func stop() async throws { try await loops.forEach { $0.peers.stop() } }
}
