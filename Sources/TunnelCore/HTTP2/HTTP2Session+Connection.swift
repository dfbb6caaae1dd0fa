internal import CNghttp2

/// What is said about the connection as a whole: pings, and the end of it.
extension HTTP2Session {
    /// Asks the other end for a sign of life; the answer brings the payload back (RFC 9113 section 6.7).
    package func ping(_ payload: UInt64) {
        budget.earn(FrameBudget.Cost.control)
        unsafe withUnsafeBytes(of: payload) { bytes in
            _ = unsafe nghttp2_submit_ping(
                session,
                UInt8(NGHTTP2_FLAG_NONE.rawValue),
                bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            )
        }
        needsFlush()
    }

    /// Asks the peer to open no new streams, and goes on accepting those that are already on their way: the first half
    /// of a shutdown without loss (RFC 9113 section 6.8). The connector's side only.
    package func announceShutdown() {
        precondition(role == .server)
        unsafe nghttp2_submit_shutdown_notice(session)
        needsFlush()
    }

    /// Says that no new stream is wanted; streams in flight go on.
    ///
    /// - Parameter reason: for the peer's log; cut at 256 bytes.
    package func goAway(_ code: HTTP2ErrorCode = .noError, reason: String = "") {
        isDraining = true
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        let reason = Array(reason.utf8.prefix(256))
        unsafe nghttp2_submit_goaway(
            session,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            last,
            code.rawValue,
            reason,
            reason.count
        )
        needsFlush()
    }

    func received(_ goAway: GoAway) {
        isDraining = true
        delegate?.session(self, receivedGoAway: goAway)
    }

    /// Whether the peer takes CONNECT with `:protocol` (RFC 8441 section 3).
    package var peerAllowsExtendedConnect: Bool {
        unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1
    }

    func isOpened(_ id: Int32) -> Bool { unsafe nghttp2_session_find_stream(session, id) != nil }
}
