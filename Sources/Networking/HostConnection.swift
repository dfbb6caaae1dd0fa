package import EpollTransport
package import NIOCore

/// A connection to a host by its name: addresses are tried one after the other, the next one a quarter of a second after the
/// last or as soon as that fails, and the first connection that is there wins (RFC 8305 section 5).
package enum HostConnection {
    /// - Parameters:
    ///   - timeout: for all attempts together.
    /// - Returns: the connection, without handlers. Fails with `ConnectionError` where the name has no address, with `IOError` of
    ///   the last attempt, or with `ChannelError.connectTimeout`.
    package static func open(
        host: String,
        port: Int,
        on loop: EpollEventLoop,
        settings: SocketSettings,
        timeout: TimeAmount
    ) -> EventLoopFuture<SocketChannel> {
        if let address = try? SocketAddress(ipAddress: host, port: port) {
            return loop.connect(to: address, settings: settings, timeout: timeout)
        }
        let promise = loop.makePromise(of: SocketChannel.self)
        HostNames.shared.addresses(of: host, on: loop).whenComplete { result in
            switch result {
            case .success(let addresses):
                let all = addresses.map { address in
                    var address = address
                    address.port = port
                    return address
                }
                HostAttempts(all, loop, settings, timeout, promise).start()
            case .failure: promise.fail(ConnectionError(unresolved: host))
            }
        }
        return promise.futureResult
    }
}

/// The attempts to reach one host, on one loop.
private final class HostAttempts {
    private var addresses: ArraySlice<SocketAddress>
    private let loop: EpollEventLoop
    private let settings: SocketSettings
    private let timeout: TimeAmount
    private let end: NIODeadline
    private var promise: EventLoopPromise<SocketChannel>?
    private var running: [SocketChannel] = []
    private var timer: Scheduled<Void>?

    /// RFC 8305 section 8: "Connection Attempt Delay".
    private static let delay = TimeAmount.milliseconds(250)

    init(
        _ addresses: [SocketAddress],
        _ loop: EpollEventLoop,
        _ settings: SocketSettings,
        _ timeout: TimeAmount,
        _ promise: EventLoopPromise<SocketChannel>
    ) {
        self.addresses = addresses[...]
        self.loop = loop
        self.settings = settings
        self.timeout = timeout
        end = .now() + timeout
        self.promise = promise
    }

    func start() {
        guard let address = addresses.popFirst() else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        if !addresses.isEmpty { timer = loop.scheduleTask(in: Self.delay) { bound.value.start() } }
        loop.connect(to: address, settings: settings, timeout: end - .now()) { bound.value.running.append($0) }
            .assumeIsolated().whenComplete { bound.value.ended($0) }
    }

    private func ended(_ result: Result<SocketChannel, any Error>) {
        running.removeAll { !$0.isConnecting }
        switch result {
        case .success(let channel):
            guard let promise = promise.take() else { return channel.close(promise: nil) }
            finish()
            promise.succeed(channel)
        case .failure(let error):
            guard promise != nil else { return }
            timer?.cancel()
            // Whoever has the last word has it about all of them.
            if !addresses.isEmpty, NIODeadline.now() < end { return start() }
            guard running.isEmpty else { return }
            let promise = promise.take()
            if case ChannelError.connectTimeout = error {
                promise?.fail(ChannelError.connectTimeout(timeout))
            } else {
                promise?.fail(error)
            }
        }
    }

    private func finish() {
        timer?.cancel()
        addresses = []
        for channel in running { channel.close(promise: nil) }
    }
}
