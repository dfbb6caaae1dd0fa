import ConnectorTestSupport
import Foundation
import Synchronization

/// Fifty requests a second of a program that has nothing to do with an attack, and how they fare.
final class Meter: Sendable {
    struct Result: Sendable, CustomStringConvertible {
        var sent = 0
        var answered = 0
        /// Milliseconds.
        var times: [Double] = []

        func percentile(_ part: Double) -> Double {
            guard !times.isEmpty else { return 0 }
            return times.sorted()[min(times.count - 1, Int(Double(times.count) * part))]
        }

        var description: String {
            "\(answered) of \(sent) answered, p50 \(percentile(0.5)) ms, p99 \(percentile(0.99)) ms"
        }
    }

    private let result = Mutex(Result())
    private let isStopping = Atomic<Bool>(false)
    private let done = DispatchGroup()
    private let port: Int

    init(_ rig: HostileRig) {
        port = rig.proxyPort
        done.enter()
        Thread.detachNewThread { [self] in
            run()
            done.leave()
        }
    }

    /// What it is like when nothing else goes on, for so many seconds.
    static func idle(_ rig: HostileRig, seconds: Double = 1.5) -> Result {
        let meter = Meter(rig)
        Thread.sleep(forTimeInterval: seconds)
        return meter.stop()
    }

    func stop() -> Result {
        isStopping.store(true, ordering: .relaxed)
        done.wait()
        return result.withLock { $0 }
    }

    private func run() {
        var socket: Socket?
        while !isStopping.load(ordering: .relaxed) {
            let start = DispatchTime.now()
            result.withLock { $0.sent += 1 }
            if socket == nil { socket = try? Socket(connectingTo: port) }
            socket?.send("GET http://backend.test/m HTTP/1.1\r\nHost: backend.test\r\n\r\n")
            let answer = socket?.receive(through: "/m 0") ?? ""
            let time = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e6
            if answer.hasPrefix("HTTP/1.1 200") {
                result.withLock {
                    $0.answered += 1
                    $0.times.append(time)
                }
            } else {
                socket = nil
            }
            Thread.sleep(forTimeInterval: max(0, 0.02 - time / 1000))
        }
    }
}

extension Meter.Result {
    /// All are answered, and the slowest take no more than twice what they take in peace; on a machine that is busy with other
    /// tests, a quarter of a second is forgiven. A loop that is held for as long shows.
    func isUnharmed(_ idle: Meter.Result) -> Bool {
        answered == sent && (Sanitizer.isOn || percentile(0.99) <= max(2 * idle.percentile(0.99), 250))
    }
}
