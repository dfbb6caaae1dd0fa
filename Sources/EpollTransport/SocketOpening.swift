internal import CEpoll
internal import Glibc
package import NIOCore

/// How sockets are made.
enum SocketOpening {
    /// TCP_NOTSENT_LOWAT (tcp(7)).
    private static let unsentInKernel: CInt = 25

    static func open(_ address: SocketAddress) throws(IOError) -> CInt {
        let family: CInt
        switch address {
        case .v4: family = AF_INET
        case .v6: family = AF_INET6
        case .unixDomainSocket: throw IOError(errnoCode: EAFNOSUPPORT, reason: "socket")
        }
        let type = CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        return descriptor
    }

    static func set(_ descriptor: CInt, _ level: CInt, _ name: CInt, _ value: CInt) throws(IOError) {
        var value = value
        guard unsafe setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size)) == 0 else {
            throw IOError(errnoCode: errno, reason: "setsockopt")
        }
    }

    static func apply(_ settings: SocketSettings, to descriptor: CInt) throws(IOError) {
        try set(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
        if let bytes = settings.unsentInKernel {
            try set(descriptor, CInt(IPPROTO_TCP), unsentInKernel, CInt(bytes))
        }
    }
}

extension EpollEventLoop {
    /// Opens a connection.
    ///
    /// - Parameters:
    ///   - timeout: after which it is given up with `ChannelError.connectTimeout`.
    ///   - initializer: called on this loop before the attempt, adds handlers.
    /// - Returns: the connection once it is there. Fails with `IOError` where it cannot be.
    package func connect(
        to address: SocketAddress,
        settings: SocketSettings,
        timeout: TimeAmount,
        initializer: @escaping @Sendable (SocketChannel) throws -> Void = { _ in }
    ) -> EventLoopFuture<SocketChannel> {
        let promise = makePromise(of: SocketChannel.self)
        perform { [self] in begin(address, settings, timeout, initializer, promise) }.cascadeFailure(to: promise)
        return promise.futureResult
    }

    private func begin(
        _ address: SocketAddress,
        _ settings: SocketSettings,
        _ timeout: TimeAmount,
        _ initializer: (SocketChannel) throws -> Void,
        _ promise: EventLoopPromise<SocketChannel>
    ) {
        let channel: SocketChannel
        do throws(IOError) {
            channel = SocketChannel(try SocketOpening.open(address), self, remote: address, settings: settings)
        } catch {
            return promise.fail(error)
        }
        do {
            try SocketOpening.apply(settings, to: channel.descriptor)
            try initializer(channel)
        } catch {
            channel.close0(error: error, mode: .all, promise: nil)
            return promise.fail(error)
        }
        let connected = makePromise(of: Void.self)
        let timer = scheduleTask(in: timeout) {
            channel.close0(error: ChannelError.connectTimeout(timeout), mode: .all, promise: nil)
        }
        connected.futureResult.whenComplete { result in
            timer.cancel()
            promise.completeWith(result.map { channel })
        }
        channel.connect(address, connected)
    }
}
