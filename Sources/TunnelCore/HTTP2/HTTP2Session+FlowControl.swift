internal import CNghttp2
package import NIOCore

/// Credit for the peer, and windows that grow with a consumer that is fast.
extension HTTP2Session {
    func returnCredit(_ bytes: Int, of stream: HTTP2Stream) {
        guard !stream.isClosed else { return }
        let count = min(bytes, stream.uncredited)
        stream.uncredited -= count
        unsafe nghttp2_session_consume(session, stream.id, count)
        grow(stream, count)
        needsFlush()
    }

    /// Learns how long an answer takes at best. What stood behind bulk data says little about the way, so a longer time
    /// counts only a little.
    package func measured(roundTrip: TimeAmount) {
        let nanoseconds = min(roundTrip.nanoseconds, 2_000_000_000)
        let best = self.roundTrip.nanoseconds
        self.roundTrip = .nanoseconds(nanoseconds < best || best == 0 ? nanoseconds : best + (nanoseconds - best) / 16)
    }

    /// Doubles the window of a stream whose consumer has taken a whole window within a tenth of a second, or two round
    /// trips where the way is long, as long as the budget lasts.
    private func grow(_ stream: HTTP2Stream, _ bytes: Int) {
        stream.receivedSinceGrowth += bytes
        guard stream.receivedSinceGrowth >= stream.window, !stream.isRemoteEnded else { return }
        let limit = max(100_000_000, 2 * roundTrip.nanoseconds)
        let isFast = (now - stream.growthStart).nanoseconds < limit
        stream.receivedSinceGrowth = 0
        stream.growthStart = now
        let increase = min(stream.window, configuration.maxStreamWindow - stream.window)
        guard isFast, increase > 0, windowGrowth + increase <= configuration.windowBudget else { return }
        stream.window += increase
        windowGrowth += increase
        unsafe nghttp2_session_set_local_window_size(
            session,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            stream.id,
            Int32(stream.window)
        )
    }
}
