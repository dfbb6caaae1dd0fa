internal import Dispatch
internal import Glibc

/// Signals, as something to wait for: from now on these arrive here and nowhere else, as long as this object lives.
package final class Signals: Sendable {
    package let stream: AsyncStream<Int32>
    // Made here, and cancelled in deinit; nobody else sees them.
    nonisolated(unsafe) private let sources: [any DispatchSourceSignal]

    package init(_ numbers: [Int32]) {
        signal(SIGPIPE, SIG_IGN)
        let queue = DispatchQueue(label: "signals")
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        self.stream = stream
        unsafe sources = numbers.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
    }

    deinit { for source in unsafe sources { source.cancel() } }

    /// Returns at the first SIGTERM or SIGINT.
    package static func waitForTermination() async {
        let signals = Signals([SIGTERM, SIGINT])
        for await _ in signals.stream { break }
    }
}
