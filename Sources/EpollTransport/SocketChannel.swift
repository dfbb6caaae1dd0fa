internal import CEpoll
internal import Glibc
package import NIOCore
internal import Synchronization

/// A TCP connection on an `EpollEventLoop`, with SwiftNIO's pipeline on top: handlers do not know the difference.
///
/// Its memory while nothing happens is this object and the pipeline. Bytes are read into a buffer of the loop, and written from
/// the buffers of handlers.
///
/// Unchecked, as what changes is used on its loop only; what others may ask for is constant or atomic.
@safe package final class SocketChannel: PolledSocket, Channel, @unchecked Sendable {
    enum State { case new, connecting, active, closed }
    enum OutputEnd {
        case open
        /// After what still has to be sent.
        case wanted(EventLoopPromise<Void>?)
        case ended
    }

    private(set) var ownPipeline: ChannelPipeline!
    let closePromise: EventLoopPromise<Void>
    let writable = Atomic<Bool>(true)
    let active = Atomic<Bool>(false)
    package let remoteAddress: SocketAddress?
    package let localAddress: SocketAddress? = nil
    package let parent: (any Channel)? = nil
    package let allocator = ByteBufferAllocator()

    var settings: SocketSettings
    var readSize: ReadSize
    var state = State.new
    var output = OutgoingBytes()
    /// The kernel has said that it takes no more.
    var isBlocked = false
    /// There is something to read, as far as epoll has said.
    var isReadable = false
    var isReadWanted = false
    var isReadLater = false
    /// The peer has ended its side, or broken the connection: reads go on until they say so.
    var isEndSeen = false
    var isInputClosed = false
    /// Since when what is still to be sent is the last: nothing, or a promise to keep then.
    var outputEnd: OutputEnd = .open
    var isSending = false
    private var connected: EventLoopPromise<Void>?

    func takeConnected() -> EventLoopPromise<Void>? { connected.take() }

    init(_ descriptor: CInt, _ loop: EpollEventLoop, remote: SocketAddress?, settings: SocketSettings) {
        closePromise = loop.makePromise(of: Void.self)
        remoteAddress = remote
        self.settings = settings
        readSize = ReadSize(settings.readSize)
        super.init(descriptor, loop)
        ownPipeline = ChannelPipeline(channel: self)
    }

    package var eventLoop: any EventLoop { loop }
    package var pipeline: ChannelPipeline { ownPipeline }
    package var closeFuture: EventLoopFuture<Void> { closePromise.futureResult }
    package var isWritable: Bool { writable.load(ordering: .relaxed) }
    /// Whether it is on its way to its peer. On the loop only.
    package var isConnecting: Bool { state == .new || state == .connecting }
    package var isActive: Bool { active.load(ordering: .relaxed) }
    package var _channelCore: any ChannelCore { self }

    /// Bytes that are read at once. On the loop only.
    package func setReadSize(_ size: Int) {
        settings.readSize = size
        readSize = ReadSize(size)
    }

    // MARK: Start

    /// Of a connection that is there: registers it and tells its handlers.
    func begin() {
        do throws(IOError) {
            try loop.register(self)
        } catch {
            return close0(error: error, mode: .all, promise: nil)
        }
        becomeActive()
    }

    private func becomeActive() {
        state = .active
        active.store(true, ordering: .relaxed)
        ownPipeline.syncOperations.fireChannelRegistered()
        ownPipeline.syncOperations.fireChannelActive()
        readIfAuto()
    }

    /// - Parameter promise: kept once the connection is there and its handlers know.
    func connect(_ address: SocketAddress, _ promise: EventLoopPromise<Void>) {
        do throws(IOError) {
            try loop.register(self)
            let status = unsafe address.withSockAddr { unsafe Glibc.connect(descriptor, $0, socklen_t($1)) }
            guard status == 0 || errno == EINPROGRESS else { throw IOError(errnoCode: errno, reason: "connect") }
            state = .connecting
            connected = promise
        } catch {
            close0(error: error, mode: .all, promise: nil)
            promise.fail(error)
        }
    }

    private func connectEnded() {
        let error = pendingError
        let promise = connected.take()
        guard error == 0 else {
            let failure = IOError(errnoCode: error, reason: "connect")
            close0(error: failure, mode: .all, promise: nil)
            promise?.fail(failure)
            return
        }
        becomeActive()
        promise?.succeed()
    }

    // MARK: What epoll says

    override func ready(_ events: UInt32) {
        if state == .connecting {
            guard events & (CEpoll_out | CEpoll_error | CEpoll_hangUp) != 0 else { return }
            connectEnded()
            guard state == .active else { return }
        }
        if events & (CEpoll_error | CEpoll_hangUp | CEpoll_peerEnded) != 0 {
            isEndSeen = true
            isReadable = true
        }
        if events & CEpoll_out != 0, isBlocked {
            isBlocked = false
            send()
        }
        if events & CEpoll_in != 0 { isReadable = true }
        if isReadable, isReadWanted, state == .active { readOnce() }
        // A broken connection is found out although nobody wants to read.
        if events & (CEpoll_error | CEpoll_hangUp) != 0, !isReadWanted, state == .active { breakOff() }
    }

    override func readMore() {
        isReadLater = false
        if isReadable, isReadWanted, state == .active { readOnce() }
    }

    private func breakOff() {
        let error = pendingError
        // Both sides have ended in order: the rest of what came is read when somebody wants it.
        guard error != 0 else { return }
        fail(IOError(errnoCode: error, reason: "read"))
    }

    override func loopEnds() { close0(error: EventLoopError.shutdown, mode: .all, promise: nil) }
}
