internal import Glibc
package import NIOCore

/// The options of SwiftNIO that handlers set while a connection or a listener is at work; the others are `SocketSettings`.
protocol AutoReading: Channel {
    var loop: EpollEventLoop { get }
    var autoRead: Bool { get }
    func setAutoRead(_ value: Bool)
}

extension AutoReading {
    func set<Option: ChannelOption>(_ option: Option, _ value: Option.Value) throws {
        guard option is ChannelOptions.Types.AutoReadOption, let value = value as? Bool else {
            throw ChannelError.operationUnsupported
        }
        setAutoRead(value)
    }

    func get<Option: ChannelOption>(_ option: Option) throws -> Option.Value {
        guard option is ChannelOptions.Types.AutoReadOption, let value = autoRead as? Option.Value else {
            throw ChannelError.operationUnsupported
        }
        return value
    }
}

struct LoopOptions: NIOSynchronousChannelOptions {
    let channel: any AutoReading

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) throws {
        try channel.set(option, value)
    }

    func getOption<Option: ChannelOption>(_ option: Option) throws -> Option.Value { try channel.get(option) }
}

extension SocketChannel: AutoReading {
    var autoRead: Bool { settings.autoRead }

    package var syncOptions: (any NIOSynchronousChannelOptions)? { LoopOptions(channel: self) }

    package func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        loop.perform { [self] in try set(option, value) }
    }

    package func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        loop.perform { [self] in try get(option) }
    }
}

/// For SO_LINGER, with which a connection is closed by a reset. Nothing is asked back.
extension SocketChannel: SocketOptionProvider {
    package func unsafeSetSocketOption<Value: Sendable>(
        level: NIOBSDSocket.OptionLevel,
        name: NIOBSDSocket.Option,
        value: Value
    ) -> EventLoopFuture<Void> {
        loop.perform { [self] in
            let status = unsafe withUnsafeBytes(of: value) { bytes in
                unsafe setsockopt(descriptor, level.rawValue, name.rawValue, bytes.baseAddress, socklen_t(bytes.count))
            }
            guard status == 0 else { throw IOError(errnoCode: errno, reason: "setsockopt") }
        }
    }

    package func unsafeSetSocketOption<Value: Sendable>(
        level: SocketOptionLevel,
        name: SocketOptionName,
        value: Value
    ) -> EventLoopFuture<Void> {
        unsafeSetSocketOption(
            level: NIOBSDSocket.OptionLevel(rawValue: CInt(level)),
            name: NIOBSDSocket.Option(rawValue: name),
            value: value
        )
    }

    package func unsafeGetSocketOption<Value: Sendable>(
        level: NIOBSDSocket.OptionLevel,
        name: NIOBSDSocket.Option
    ) -> EventLoopFuture<Value> {
        loop.makeFailedFuture(ChannelError.operationUnsupported)
    }

    package func unsafeGetSocketOption<Value: Sendable>(
        level: SocketOptionLevel,
        name: SocketOptionName
    ) -> EventLoopFuture<Value> {
        loop.makeFailedFuture(ChannelError.operationUnsupported)
    }
}

extension EpollEventLoop {
    /// At once where it can be.
    func perform<Result>(_ body: @escaping @Sendable () throws -> Result) -> EventLoopFuture<Result> {
        guard inEventLoop else { return submit(body) }
        let promise = makePromise(of: Result.self)
        promise.assumeIsolated().completeWith(Swift.Result(catching: body))
        return promise.futureResult
    }
}
