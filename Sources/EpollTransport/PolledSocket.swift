internal import Glibc
package import NIOCore

/// A descriptor that an event loop waits for, and what neither of its channels does when SwiftNIO asks.
///
/// Unchecked, as it belongs to its loop: another thread makes it, hands it over, and holds on to it at most.
@safe package class PolledSocket: @unchecked Sendable {
    final let loop: EpollEventLoop
    final private(set) var descriptor: CInt
    /// Its place in the loop; nil before and after.
    final var slot: UInt32?

    /// - Parameter descriptor: non-blocking; from now on owned.
    init(_ descriptor: CInt, _ loop: EpollEventLoop) {
        self.descriptor = descriptor
        self.loop = loop
    }

    deinit { closeDescriptor() }

    /// - Parameter events: as epoll(7) has them.
    func ready(_ events: UInt32) {}

    /// Its turn to read what is there, after the sockets that have just become ready.
    func readMore() {}

    /// The loop is about to end.
    func loopEnds() {}

    final var isDescriptorOpen: Bool { descriptor >= 0 }

    final func closeDescriptor() {
        guard descriptor >= 0 else { return }
        loop.forget(self)
        Glibc.close(descriptor)
        descriptor = -1
    }

    /// SO_ERROR, which it takes away.
    final var pendingError: CInt {
        var value: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        return unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &value, &size) == 0 ? value : errno
    }

    final var boundAddress: SocketAddress? {
        unsafe RawAddress { unsafe getsockname(descriptor, $0, $1) }?.address
    }
}

extension PolledSocket {
    package func register0(promise: EventLoopPromise<Void>?) { promise?.fail(ChannelError.operationUnsupported) }
    package func registerAlreadyConfigured0(promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }
    package func bind0(to: SocketAddress, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }
    package func connect0(to: SocketAddress, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }
    package func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }
    package func channelRead0(_ data: NIOAny) {}
    package func errorCaught0(error: any Error) {}
}

/// A `sockaddr` as calls take and give it.
struct RawAddress {
    private var storage = sockaddr_storage()

    /// - Parameter fill: one of the calls that write an address; nil where it fails.
    init?(_ fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt) {
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe fill($0, &length) }
        }
        guard status >= 0 else { return nil }
    }

    /// Nil for families other than those of IP.
    var address: SocketAddress? {
        switch CInt(storage.ss_family) {
        case AF_INET:
            return unsafe withUnsafeBytes(of: storage) { unsafe SocketAddress($0.loadUnaligned(as: sockaddr_in.self)) }
        case AF_INET6:
            return unsafe withUnsafeBytes(of: storage) { unsafe SocketAddress($0.loadUnaligned(as: sockaddr_in6.self)) }
        default: return nil
        }
    }
}
