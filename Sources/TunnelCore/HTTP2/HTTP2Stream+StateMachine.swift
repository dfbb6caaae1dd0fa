extension HTTP2Stream {
    /// What each side of a stream has said, and may say still (RFC 9113 section 5.1, as seen by what uses a session; what frames
    /// may travel, nghttp2 knows).
    ///
    ///     local:   head ──▶ body ──finish──▶ ending ──its last byte──▶ ended
    ///                │        └───abort────▶ aborting ──its last byte──▶ reset
    ///                └──a head that is all──▶ ended
    ///     remote:  head ──▶ body ──▶ ended
    ///
    /// The two go on independently; closing ends both.
    enum StateMachine: ~Copyable {
        case open(Local, Remote)
        case closed(Local, Remote)

        enum Local: Equatable {
            /// The final head is still to be sent.
            case head
            case body
            /// The end is queued behind what is left of the body.
            case ending
            /// A reset is queued there: what was sent is not all.
            case aborting
            case ended
        }

        enum Remote: Equatable { case head, body, ended }

        /// - Parameter local: `.body` for a request, whose head opens the stream; `.ended` if that is all.
        init(local: Local = .head) { self = .open(local, .head) }

        // MARK: Facts

        var isClosed: Bool {
            switch self {
            case .open: false
            case .closed: true
            }
        }

        private var local: Local {
            switch self {
            case .open(let local, _): local
            case .closed(let local, _): local
            }
        }

        private var remote: Remote {
            switch self {
            case .open(_, let remote): remote
            case .closed(_, let remote): remote
            }
        }

        /// Whether a final response head is queued or sent; for the service, the request.
        var hasSentHead: Bool { local != .head }
        /// Whether our END_STREAM, or a reset in its place, is queued or sent.
        var isLocalEnded: Bool { local == .ending || local == .aborting || local == .ended }
        var isEndQueued: Bool { local == .ending }
        var hasReceivedHead: Bool { remote != .head }
        var isRemoteEnded: Bool { remote == .ended }

        // MARK: What we send

        /// - Returns: false where it may not be sent any more.
        mutating func sendsHead(isEnd: Bool) -> Bool {
            switch consume self {
            case .open(.head, let remote):
                self = .open(isEnd ? .ended : .body, remote)
                return true
            case .open(let local, let remote):
                self = .open(local, remote)
                return false
            case .closed(let local, let remote):
                self = .closed(local, remote)
                return false
            }
        }

        /// A request, which opens the stream.
        mutating func opensWithHead(isEnd: Bool) { _ = sendsHead(isEnd: isEnd) }

        var maySendInterim: Bool { !isClosed && local == .head }
        var maySendBody: Bool { !isClosed && !isLocalEnded }

        /// - Returns: false where there is nothing to end.
        mutating func finishes() -> Bool { ends(.ending) }
        /// What is queued goes out, and then a reset.
        mutating func aborts() -> Bool { ends(.aborting) }

        private mutating func ends(_ how: Local) -> Bool {
            let mayEnd = maySendBody
            switch consume self {
            case .open(let local, let remote):
                self = .open(mayEnd ? how : local, remote)
                return mayEnd
            case .closed(let local, let remote):
                self = .closed(local, remote)
                return false
            }
        }

        enum WriteAction: Equatable {
            case write(isEnd: Bool)
            /// Nothing is there, and more may come.
            case wait
            case reset
        }

        /// nghttp2 asks for so many bytes of the body.
        func writes(_ count: Int, of queued: Int) -> WriteAction {
            switch local {
            case .ending: .write(isEnd: count == queued)
            case .aborting where queued == 0: .reset
            default: queued == 0 ? .wait : .write(isEnd: false)
            }
        }

        // MARK: What the peer sends

        mutating func receivedHead() {
            switch consume self {
            case .open(let local, .head): self = .open(local, .body)
            case .open(let local, let remote): self = .open(local, remote)
            case .closed(let local, let remote): self = .closed(local, remote)
            }
        }

        mutating func receivedEnd() {
            switch consume self {
            case .open(let local, _): self = .open(local, .ended)
            case .closed(let local, let remote): self = .closed(local, remote)
            }
        }

        // MARK: End

        /// - Returns: false where that was so before.
        mutating func closes() -> Bool {
            switch consume self {
            case .open(let local, let remote):
                self = .closed(local, remote)
                return true
            case .closed(let local, let remote):
                self = .closed(local, remote)
                return false
            }
        }

        /// Whether the stream was closed because all was said.
        ///
        /// - Parameter needsBoth: a response is complete for who asked, whatever became of the rest of the request.
        func isComplete(needsBoth: Bool) -> Bool { isRemoteEnded && (!needsBoth || isLocalEnded) }
    }
}
