import Glibc
import NIOCore
import NIOEmbedded
import Testing

@testable import EpollTransport

/// What a connection has to send, over a pair of sockets that is small enough to be full.
struct OutgoingBytesTests {
    private final class SocketPair {
        let own: CInt
        let peer: CInt

        init() {
            var pair: [CInt] = [0, 0]
            let type = CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
            precondition(socketpair(AF_UNIX, type, 0, &pair) == 0)
            (own, peer) = (pair[0], pair[1])
            var size: CInt = 4096
            setsockopt(own, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
        }

        deinit {
            close(own)
            close(peer)
        }

        /// Everything that is there, and closes nothing.
        func drain() -> [UInt8] {
            var result: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = recv(peer, &buffer, buffer.count, 0)
                guard count > 0 else { return result }
                result += buffer[..<count]
            }
        }
    }

    private static func buffer(_ count: Int, _ byte: UInt8) -> ByteBuffer { ByteBuffer(repeating: byte, count: count) }

    @Test("Only what was flushed goes, and what was written since waits for the next flush")
    func flush() {
        let pair = SocketPair()
        var output = OutgoingBytes()
        var completed: [EventLoopPromise<Void>] = []
        output.append(Self.buffer(3, 1), nil)
        output.flush()
        output.append(Self.buffer(2, 2), nil)
        #expect(output.send(to: pair.own, &completed) == .done)
        #expect(pair.drain() == [1, 1, 1] && output.count == 2)
        output.flush()
        #expect(output.send(to: pair.own, &completed) == .done)
        #expect(pair.drain() == [2, 2] && output.isEmpty)
    }

    @Test("A socket that is full blocks, and goes on where it stopped, piece by piece and in order")
    func full() {
        let pair = SocketPair()
        var output = OutgoingBytes()
        var completed: [EventLoopPromise<Void>] = []
        var expected: [UInt8] = []
        for piece in 0..<100 {
            output.append(Self.buffer(1000 + piece, UInt8(piece)), nil)
            expected += [UInt8](repeating: UInt8(piece), count: 1000 + piece)
        }
        output.flush()
        var received: [UInt8] = []
        var blocked = 0
        while output.send(to: pair.own, &completed) == .blocked {
            blocked += 1
            received += pair.drain()
            #expect(output.count == expected.count - received.count)
        }
        received += pair.drain()
        #expect(received == expected && blocked > 3 && output.isEmpty && output.count == 0)
    }

    @Test("Promises are kept in order, those of empty pieces with what stands before them")
    func promises() throws {
        let pair = SocketPair()
        let loop = EmbeddedEventLoop()
        var output = OutgoingBytes()
        var completed: [EventLoopPromise<Void>] = []
        let promises = (0..<3).map { _ in loop.makePromise(of: Void.self) }
        output.append(ByteBuffer(), promises[0])
        output.append(Self.buffer(5, 7), promises[1])
        output.append(ByteBuffer(), promises[2])
        output.flush()
        #expect(output.send(to: pair.own, &completed) == .done)
        #expect(completed.count == 3)
        for promise in completed { promise.succeed() }
        for promise in promises { try promise.futureResult.wait() }
        #expect(pair.drain().count == 5)
    }

    @Test("A connection that is broken says so with its number, and what is given up is given back to whoever waits")
    func broken() {
        let pair = SocketPair()
        shutdown(pair.own, CInt(SHUT_WR))
        let loop = EmbeddedEventLoop()
        var output = OutgoingBytes()
        var completed: [EventLoopPromise<Void>] = []
        let promise = loop.makePromise(of: Void.self)
        output.append(Self.buffer(1, 1), promise)
        output.append(Self.buffer(1, 1), nil)
        output.flush()
        #expect(output.send(to: pair.own, &completed) == .failed(EPIPE))
        let waiting = output.removeAll()
        #expect(completed.isEmpty && waiting.count == 1 && output.count == 0)
        for promise in waiting { promise.fail(ChannelError.ioOnClosedChannel) }
    }
}
