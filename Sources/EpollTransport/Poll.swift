internal import CEpoll
internal import Glibc
internal import NIOCore

/// The kernel's side of an event loop: epoll(7), and eventfd(2) to wake it.
///
/// Unchecked, as only its loop waits, in memory that nobody else sees; `wake` is a call of the kernel, for any thread.
@safe final class Poll: @unchecked Sendable {
    /// Of the wake-up, in the place of a socket's key.
    static let wakeupKey = UInt64.max
    private static let capacity = 128

    private let epoll: CInt
    private let wakeup: CInt
    private let events: UnsafeMutablePointer<epoll_event>

    init() throws(IOError) {
        epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw IOError(errnoCode: errno, reason: "epoll_create1") }
        wakeup = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeup >= 0 else {
            Glibc.close(epoll)
            throw IOError(errnoCode: errno, reason: "eventfd")
        }
        unsafe events = .allocate(capacity: Self.capacity)
        try add(wakeup, Self.wakeupKey)
    }

    deinit { unsafe events.deallocate() }

    /// Everything that can be told of a socket, told once each time that it becomes true.
    func add(_ descriptor: CInt, _ key: UInt64) throws(IOError) {
        var event = unsafe epoll_event()
        unsafe event.events = CEpoll_in | CEpoll_out | CEpoll_peerEnded | CEpoll_edge
        unsafe event.data.u64 = key
        guard unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
            throw IOError(errnoCode: errno, reason: "epoll_ctl")
        }
    }

    /// - Parameters:
    ///   - timeout: milliseconds; -1 for as long as it takes.
    ///   - body: gets key and events of each.
    func wait(_ timeout: CInt, _ body: (UInt64, UInt32) -> Void) {
        let count = unsafe epoll_wait(epoll, events, CInt(Self.capacity), timeout)
        guard count > 0 else { return }
        for index in 0..<Int(count) { unsafe body(events[index].data.u64, events[index].events) }
    }

    /// From any thread. The counter is never read: its edge is what wakes.
    func wake() {
        var one: UInt64 = 1
        unsafe _ = write(wakeup, &one, 8)
    }

    func close() {
        Glibc.close(epoll)
        Glibc.close(wakeup)
    }
}
