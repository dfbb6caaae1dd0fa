internal import Cryptography
internal import EpollTransport
internal import Logging
internal import NIOCore
internal import Networking
internal import Synchronization
internal import TextFormats
internal import TunnelCore

/// What connections between services are made with.
struct PeerSettings: Sendable {
    let client: TLSContext
    let server: TLSContext
    let http2: HTTP2Configuration
    let pingInterval: TimeAmount
    let drain: TimeAmount
    let name: String
}

/// The connection of one event loop to another service, dialled again and again until it is wanted no more. Requests go through it as
/// through a tunnel.
final class PeerLink: TunnelHandlerDelegate {
    let service: PeerDirectory.Service
    /// For the next connection.
    var settings: PeerSettings
    /// While it is up.
    private(set) var tunnel: RegisteredTunnel?
    private(set) var failure: String? = "not connected yet"
    private let eventLoop: EpollEventLoop
    private let logger: Logger
    private var handler: TunnelHandler?
    private var backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(5))
    private var isStopped = false

    /// Below zero, so that they are none of a connector's tunnels.
    private static let lastID = Atomic<Int>(0)
    private static let connectTimeout = TimeAmount.seconds(5)
    private static let sockets = SocketSettings(
        readSize: 256 << 10,
        lowWatermark: 64 << 10,
        highWatermark: 256 << 10,
        unsentInKernel: 256 << 10
    )

    init(_ service: PeerDirectory.Service, _ settings: PeerSettings, _ eventLoop: EpollEventLoop, _ logger: Logger) {
        (self.service, self.settings, self.eventLoop, self.logger) = (service, settings, eventLoop, logger)
    }

    func dial() {
        guard !isStopped else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        HostConnection.open(
            host: service.address.host,
            port: service.address.port,
            on: eventLoop,
            settings: Self.sockets,
            timeout: Self.connectTimeout
        )
        .flatMapThrowing { channel in try bound.value.begin(channel) }
        .whenFailure { error in bound.value.ended(ConnectionError(error).cause) }
    }

    private func begin(_ channel: SocketChannel) throws {
        guard !isStopped else { return channel.close(promise: nil) }
        let handler = TunnelHandler(
            .client,
            configuration: settings.http2,
            pingInterval: settings.pingInterval,
            eventLoop: eventLoop,
            delegate: self
        )
        self.handler = handler
        try channel.pipeline.syncOperations.addHandlers(
            TLSHandler(settings.client, serverName: nil, peer: "the service \(service.name)", keepsBuffers: true),
            handler
        )
    }

    /// Lets what is in flight go on for a while.
    func stop() {
        isStopped = true
        tunnel = nil
        handler?.drain("the services part", limit: settings.drain)
    }

    private func ended(_ cause: String) {
        handler = nil
        tunnel = nil
        guard !isStopped else { return }
        if failure == nil || failure != cause {
            logger.warning("service not connected", metadata: ["peer": "\(service.name)", "cause": "\(cause)"])
        }
        failure = cause
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: TimeAmount(backoff.next(.random(in: 0...1)))) { bound.value.dial() }
    }

    // MARK: The connection's life

    func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws {
        // Behind the address may be another one by now, or a load balancer, or we ourselves.
        guard tls.peerCertificate?.service?.text == service.name else {
            throw PeerError(description: "another service than \(service.name) answers at \(service.address)")
        }
    }

    func tunnelReady(_ tunnel: TunnelHandler) {
        backoff.reset()
        failure = nil
        let id = Self.lastID.wrappingSubtract(1, ordering: .relaxed).newValue
        let replica = Replica(session: nil, instance: nil)
        self.tunnel = RegisteredTunnel(id: id, replica: replica, serial: "", tunnel, peer: service.name)
        logger.info("service connected", metadata: ["peer": "\(service.name)"])
    }

    func tunnelClosed(_ tunnel: TunnelHandler, _ error: (any Error)?) {
        ended(error.map { ConnectionError($0).cause } ?? "closed by the other service")
    }

    func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> (any StreamReceiver)? { nil }
    func tunnelDraining(_ tunnel: TunnelHandler, _ goAway: GoAway) {}
    func tunnelShutdownSeen(_ tunnel: TunnelHandler) {}
    func tunnelIntervalPassed(_ tunnel: TunnelHandler) {}
    func tunnel(_ tunnel: TunnelHandler, measured roundTrip: TimeAmount) {}
}

/// Why two services do not talk.
struct PeerError: Error, CustomStringConvertible {
    var description: String
}
