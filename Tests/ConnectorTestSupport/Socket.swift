internal import Glibc
internal import Synchronization

/// A blocking TCP socket on loopback with one time limit for everything.
package final class Socket: Sendable {
    /// Seconds. One variable for slow machines.
    package static let timeout = 60

    package let descriptor: Int32
    private struct State {
        var isClosed = false
        /// Threads that are within a system call.
        var users = 0
    }
    private let state = Mutex(State())

    package struct SocketError: Error, CustomStringConvertible {
        package var description: String
        init(_ operation: String) { description = "\(operation): \(String(cString: strerror(errno)))" }
    }

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: Self.timeout, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    }

    deinit { close() }

    /// - Parameter source: an address of loopback to come from; several of them stand for several clients.
    package convenience init(connectingTo port: Int, from source: String = "127.0.0.1") throws {
        self.init(descriptor: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var own = sockaddr_in()
        own.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, source, &own.sin_addr)
        let isBound = withUnsafePointer(to: &own) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                source == "127.0.0.1" || bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isBound else { throw SocketError("bind to \(source)") }
        var address = Self.loopback(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw SocketError("connect to \(port)") }
    }

    static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// Ends the connection for all threads. The descriptor lives until the last of them has noticed: its number would be
    /// that of another test's socket at once.
    package func close() {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.isClosed = true
            if state.users == 0 { Glibc.close(descriptor) } else { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// - Returns: nil where the socket is closed.
    private func use<Result>(_ body: () -> Result) -> Result? {
        let isOpen = state.withLock { state in
            if !state.isClosed { state.users += 1 }
            return !state.isClosed
        }
        guard isOpen else { return nil }
        defer {
            state.withLock { state in
                state.users -= 1
                if state.isClosed, state.users == 0 { Glibc.close(descriptor) }
            }
        }
        return body()
    }

    /// Closes so that the peer sees a reset.
    package func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    package func finishSending() { _ = use { shutdown(descriptor, Int32(SHUT_WR)) } }

    package func limitReceiveBuffer(_ bytes: Int32) {
        var bytes = bytes
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, 4)
    }

    /// - Returns: whether all was sent.
    @discardableResult
    package func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = use {
                bytes.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
            }
            guard let count, count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Sends as much as the peer takes, and gives up when it has taken nothing for so many seconds.
    ///
    /// - Returns: bytes that were taken.
    package func sendWithoutWaiting(_ bytes: [UInt8], for seconds: Int) -> Int {
        var sent = 0
        while sent < bytes.count {
            var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard (use { poll(&poller, 1, Int32(seconds * 1000)) } ?? -1) > 0 else { break }
            let count = use {
                bytes.withUnsafeBytes {
                    Glibc.send(
                        descriptor,
                        $0.baseAddress! + sent,
                        min(bytes.count - sent, 65536),
                        Int32(MSG_NOSIGNAL | MSG_DONTWAIT)
                    )
                }
            }
            guard let count, count > 0 else { break }
            sent += count
        }
        return sent
    }

    @discardableResult
    package func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// - Returns: at most `limit` bytes; empty at the end; nil for a reset or after the time limit.
    package func receive(_ limit: Int = 65536) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = use { buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, limit, 0) } }
        guard let count, count >= 0 else { return nil }
        return Array(buffer[..<count])
    }

    /// Waits for something to read.
    package func isReadable(within milliseconds: Int) -> Bool {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return (use { poll(&poller, 1, Int32(milliseconds)) } ?? -1) > 0
    }

    package func receiveToEnd() -> (bytes: [UInt8], isReset: Bool) {
        var all: [UInt8] = []
        while let piece = receive() {
            if piece.isEmpty { return (all, false) }
            all += piece
        }
        return (all, true)
    }

    /// Reads until the bytes end with what `isComplete` wants, or the peer is done.
    package func receive(until isComplete: ([UInt8]) -> Bool) -> [UInt8] {
        var all: [UInt8] = []
        while !isComplete(all), let piece = receive(), !piece.isEmpty { all += piece }
        return all
    }

    package func receive(through text: String) -> String {
        let end = Array(text.utf8)
        return String(
            decoding: receive { $0.count >= end.count && $0.suffix(end.count).elementsEqual(end) },
            as: UTF8.self
        )
    }
}

/// Accepts connections on loopback and hands each to a closure on a thread of its own.
package final class TestServer: Sendable {
    private let descriptor: Int32
    package let port: Int
    private let connections = Mutex<[Socket]>([])
    private let counter = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)

    /// - Parameter port: 0 for any free one.
    package init(port: Int = 0, _ serve: @escaping @Sendable (Socket, _ number: Int) -> Void) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var address = Socket.loopback(port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 && listen(descriptor, 256) == 0
                    && getsockname(descriptor, address, &length) == 0
            }
        }
        precondition(isBound, "cannot listen: \(String(cString: strerror(errno)))")
        self.port = Int(UInt16(bigEndian: address.sin_port))
        Self.thread { [self] in
            while true {
                let accepted = accept(descriptor, nil, nil)
                // Closed by the thread that uses it, for the reason given at `Socket.close`.
                guard accepted >= 0 else { return _ = close(descriptor) }
                let socket = Socket(descriptor: accepted)
                connections.withLock { $0.append(socket) }
                if isStopped.load(ordering: .relaxed) { socket.close() }
                let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
                Self.thread { serve(socket, number) }
            }
        }
    }

    /// Stops listening and closes all connections.
    package func stop() {
        // Only once: the number may be somebody else's by now.
        guard !isStopped.exchange(true, ordering: .relaxed) else { return }
        shutdown(descriptor, Int32(SHUT_RDWR))
        for connection in connections.withLock({ $0 }) { connection.close() }
    }

    package var connectionCount: Int { counter.load(ordering: .relaxed) }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(body))
        var thread = pthread_t()
        pthread_create(
            &thread,
            nil,
            { argument in
                Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            },
            box.toOpaque()
        )
        pthread_detach(thread)
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
