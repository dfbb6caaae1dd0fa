internal import CEpoll
internal import Glibc
package import NIOCore
internal import Synchronization

/// A listening TCP socket. Handlers in its pipeline see each connection before it begins, as with SwiftNIO's server channels;
/// those that come through are shared out to the group's loops in turn.
///
/// Unchecked, as what changes is used on its loop only; the rest is constant or atomic.
@safe package final class ListenerChannel: PolledSocket, Channel, @unchecked Sendable {
    private var ownPipeline: ChannelPipeline!
    private let group: EpollEventLoopGroup
    private let settings: SocketSettings
    private let closePromise: EventLoopPromise<Void>
    private let active = Atomic<Bool>(false)
    package let localAddress: SocketAddress?
    package let remoteAddress: SocketAddress? = nil
    package let parent: (any Channel)? = nil
    package let allocator = ByteBufferAllocator()
    private var isReadable = false
    private var isReadWanted = false
    private var isReadLater = false
    private(set) var autoRead = true

    /// Connections accepted in one turn of the loop.
    private static let batch = 64

    private init(
        _ descriptor: CInt,
        _ loop: EpollEventLoop,
        _ group: EpollEventLoopGroup,
        _ address: SocketAddress?,
        _ settings: SocketSettings
    ) {
        self.group = group
        self.settings = settings
        localAddress = address
        closePromise = loop.makePromise(of: Void.self)
        super.init(descriptor, loop)
        ownPipeline = ChannelPipeline(channel: self)
    }

    /// Listens, and serves each connection on one of the group's loops.
    ///
    /// - Parameters:
    ///   - settings: of each connection.
    ///   - guards: handlers of this channel; what they let through gets in.
    ///   - initializer: called on the connection's loop, adds its handlers.
    package static func bind(
        to address: SocketAddress,
        group: EpollEventLoopGroup,
        settings: SocketSettings,
        guards: @escaping @Sendable () -> [any ChannelHandler],
        initializer: @escaping @Sendable (SocketChannel) throws -> Void
    ) async throws -> ListenerChannel {
        let loop = group.nextLoop()
        return try await loop.perform {
            let descriptor = try open(address, settings)
            let bound = unsafe RawAddress { unsafe getsockname(descriptor, $0, $1) }?.address
            let channel = ListenerChannel(descriptor, loop, group, bound, settings)
            do {
                for handler in guards() { try channel.ownPipeline.syncOperations.addHandler(handler) }
                try channel.ownPipeline.syncOperations.addHandler(ConnectionStarter(initializer))
                try loop.register(channel)
            } catch {
                channel.close0(error: error, mode: .all, promise: nil)
                throw error
            }
            channel.active.store(true, ordering: .relaxed)
            channel.ownPipeline.syncOperations.fireChannelRegistered()
            channel.ownPipeline.syncOperations.fireChannelActive()
            channel.readIfAuto()
            return channel
        }.get()
    }

    /// What is set here, the kernel gives on to each connection, which then costs no call for it.
    private static func open(_ address: SocketAddress, _ settings: SocketSettings) throws(IOError) -> CInt {
        let descriptor = try SocketOpening.open(address)
        do throws(IOError) {
            try SocketOpening.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            try SocketOpening.apply(settings, to: descriptor)
            let status = unsafe address.withSockAddr { unsafe Glibc.bind(descriptor, $0, socklen_t($1)) }
            guard status == 0 else { throw IOError(errnoCode: errno, reason: "bind") }
            guard listen(descriptor, 1024) == 0 else { throw IOError(errnoCode: errno, reason: "listen") }
            return descriptor
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    package var eventLoop: any EventLoop { loop }
    package var pipeline: ChannelPipeline { ownPipeline }
    package var closeFuture: EventLoopFuture<Void> { closePromise.futureResult }
    package var isWritable: Bool { false }
    package var isActive: Bool { active.load(ordering: .relaxed) }
    package var _channelCore: any ChannelCore { self }

    // MARK: Accepting

    override func ready(_ events: UInt32) {
        isReadable = true
        accept()
    }

    override func readMore() {
        isReadLater = false
        accept()
    }

    /// One at a time, so that a guard that counts can stop after any of them.
    private func accept() {
        for _ in 0..<Self.batch where isReadable && isReadWanted && isDescriptorOpen { acceptOne() }
        planRead()
    }

    private func acceptOne() {
        isReadWanted = false
        var descriptor: CInt = -1
        let flags = CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let remote = unsafe RawAddress { address, length in
            unsafe descriptor = accept4(self.descriptor, address, length, flags)
            return descriptor
        }
        if descriptor >= 0 {
            let channel = SocketChannel(descriptor, group.nextLoop(), remote: remote?.address, settings: settings)
            ownPipeline.syncOperations.fireChannelRead(NIOAny(channel as any Channel))
            ownPipeline.syncOperations.fireChannelReadComplete()
            return readIfAuto()
        }
        switch errno {
        case EAGAIN: isReadable = false
        case EINTR, ECONNABORTED: break
        default:
            // It stays readable, and is asked again when a guard wants it to be.
            ownPipeline.syncOperations.fireErrorCaught(IOError(errnoCode: errno, reason: "accept"))
            return readIfAuto()
        }
        isReadWanted = true
    }

    private func planRead() {
        guard isReadable, isReadWanted, !isReadLater, isDescriptorOpen else { return }
        isReadLater = true
        loop.readLater(self)
    }

    private func readIfAuto() {
        if autoRead, !isReadWanted, isDescriptorOpen { ownPipeline.syncOperations.read() }
    }

    func setAutoRead(_ value: Bool) {
        autoRead = value
        readIfAuto()
    }

    override func loopEnds() { close0(error: EventLoopError.shutdown, mode: .all, promise: nil) }
}

extension ListenerChannel: ChannelCore {
    package func read0() {
        isReadWanted = true
        planRead()
    }

    package func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard isDescriptorOpen else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        closeDescriptor()
        active.store(false, ordering: .relaxed)
        promise?.succeed()
        ownPipeline.syncOperations.fireChannelInactive()
        ownPipeline.syncOperations.fireChannelUnregistered()
        loop.execute { [self] in
            removeHandlers(pipeline: ownPipeline)
            closePromise.succeed()
        }
    }

    package func localAddress0() throws -> SocketAddress {
        guard let localAddress else { throw ChannelError.operationUnsupported }
        return localAddress
    }

    package func remoteAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }
    package func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }
    package func flush0() {}
}

extension ListenerChannel: AutoReading {
    package var syncOptions: (any NIOSynchronousChannelOptions)? { LoopOptions(channel: self) }

    package func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        loop.perform { [self] in try set(option, value) }
    }

    package func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        loop.perform { [self] in try get(option) }
    }
}

/// The last of a listener's handlers: what comes this far begins.
private final class ConnectionStarter: ChannelInboundHandler {
    typealias InboundIn = any Channel
    private let initializer: @Sendable (SocketChannel) throws -> Void

    init(_ initializer: @escaping @Sendable (SocketChannel) throws -> Void) { self.initializer = initializer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let channel = unwrapInboundIn(data) as? SocketChannel else { return }
        let initializer = initializer
        guard !channel.loop.inEventLoop else { return Self.begin(channel, initializer) }
        channel.loop.execute { Self.begin(channel, initializer) }
    }

    private static func begin(_ channel: SocketChannel, _ initializer: (SocketChannel) throws -> Void) {
        do {
            try initializer(channel)
            channel.begin()
        } catch {
            channel.close0(error: error, mode: .all, promise: nil)
        }
    }
}
