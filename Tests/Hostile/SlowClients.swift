import ConnectorTestSupport
import Foundation
import Synchronization

/// Clients that send one byte now and then, or nothing, or read nothing.
final class SlowClients: Sendable {
    let sockets: [Socket]
    private let isStopping = Atomic<Bool>(false)
    private let done = DispatchGroup()
    private let closed = Mutex<[Int: Double]>([:])

    /// - Parameters:
    ///   - first: what each sends at once.
    ///   - interval: seconds between two bytes after that; nil for silence.
    init(_ count: Int, port: Int, from source: String = "127.0.0.1", first: String, interval: Double?) throws {
        sockets = try (0..<count).map { _ in
            let socket = try Socket(connectingTo: port, from: source)
            socket.send(first)
            return socket
        }
        let start = DispatchTime.now()
        done.enter()
        Thread.detachNewThread { [self] in
            var next = interval
            while !isStopping.load(ordering: .relaxed) {
                let seconds = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
                if let due = next, seconds >= due {
                    for socket in sockets { socket.send("x") }
                    next = due + (interval ?? 0)
                }
                for (index, socket) in sockets.enumerated() where closed.withLock({ $0[index] == nil }) {
                    // An answer that ends the connection is an end as well.
                    if socket.isReadable(within: 0) { closed.withLock { $0[index] = seconds } }
                }
                Thread.sleep(forTimeInterval: 0.02)
            }
            done.leave()
        }
    }

    var closedCount: Int { closed.withLock { $0.count } }
    /// Seconds after which the last one was cut.
    var lastClosed: Double { closed.withLock { $0.values.max() ?? 0 } }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        done.wait()
        for socket in sockets { socket.close() }
    }
}
