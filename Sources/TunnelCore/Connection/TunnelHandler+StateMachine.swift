extension TunnelHandler {
    /// The life of one tunnel.
    ///
    ///     connecting ──TLS──▶ open ──▶ ending ──nghttp2 at rest──▶ closed
    ///         └───────────────────────────┴──the channel is gone──▶ closed
    ///
    /// While it is open it becomes ready with the peer's first frames, and may drain: a connector announces that first, and says it
    /// when a ping shows that the service has seen the announcement.
    enum StateMachine: ~Copyable {
        /// TLS and its checks are under way.
        case connecting
        case open(Open)
        case ending(Ending)
        case closed

        struct Open {
            var isReady = false
            var drain = Drain.none
        }

        enum Drain: Equatable {
            case none
            /// The ping whose answer proves that the peer has seen the announcement.
            case announced(ping: UInt64)
            case said
        }

        struct Ending {
            var reason: (any Error)?
            /// Whether there is somebody to say goodbye to.
            var wasOpen: Bool
            var isUnderWay = false
        }

        // MARK: Facts

        /// Whether new streams may begin, if the session takes any.
        var isOpen: Bool {
            switch self {
            case .open: true
            default: false
            }
        }

        /// Whether frames may go out: a farewell goes out while the tunnel ends.
        var mayWrite: Bool {
            switch self {
            case .open: true
            case .ending(let ending): ending.wasOpen
            default: false
            }
        }

        var isClosed: Bool {
            switch self {
            case .closed: true
            default: false
            }
        }

        var isEnding: Bool {
            switch self {
            case .ending: true
            default: false
            }
        }

        /// Whether the end is due, and has not begun.
        var mustEnd: Bool {
            switch self {
            case .ending(let ending): !ending.isUnderWay
            default: false
            }
        }

        // MARK: Events

        mutating func established() {
            switch consume self {
            case .connecting: self = .open(Open())
            case .open(let open): self = .open(open)
            case .ending(let ending): self = .ending(ending)
            case .closed: self = .closed
            }
        }

        /// The peer's SETTINGS are here.
        ///
        /// - Returns: whether they are its first.
        mutating func receivedSettings() -> Bool {
            switch consume self {
            case .open(var open):
                let isFirst = !open.isReady
                open.isReady = true
                self = .open(open)
                return isFirst
            case .connecting:
                self = .connecting
                return false
            case .ending(let ending):
                self = .ending(ending)
                return false
            case .closed:
                self = .closed
                return false
            }
        }

        enum DrainAction: Equatable {
            case none
            /// Announce it, and ask with a ping whether that was seen.
            case announce
            case sayGoodbye
            /// There is nobody yet to say anything to.
            case end
        }

        /// - Parameters:
        ///   - ping: the number of the ping that would ask.
        ///   - mayAnnounce: only the side that takes requests announces.
        mutating func drains(ping: UInt64, mayAnnounce: Bool) -> DrainAction {
            switch consume self {
            case .open(var open):
                guard open.drain == .none else {
                    self = .open(open)
                    return .none
                }
                open.drain = mayAnnounce ? .announced(ping: ping) : .said
                self = .open(open)
                return mayAnnounce ? .announce : .sayGoodbye
            case .connecting:
                self = .connecting
                return .end
            case .ending(let ending):
                self = .ending(ending)
                return .none
            case .closed:
                self = .closed
                return .none
            }
        }

        /// - Returns: whether the peer has seen the announcement by now, so that goodbye may be said. Once.
        mutating func receivedPingAnswer(_ ping: UInt64) -> Bool {
            switch consume self {
            case .open(var open):
                guard case .announced(let asked) = open.drain, ping >= asked else {
                    self = .open(open)
                    return false
                }
                open.drain = .said
                self = .open(open)
                return true
            case .connecting:
                self = .connecting
                return false
            case .ending(let ending):
                self = .ending(ending)
                return false
            case .closed:
                self = .closed
                return false
            }
        }

        // MARK: End

        /// The tunnel is to end; the first reason counts.
        mutating func wantsEnd(_ reason: (any Error)?) {
            switch consume self {
            case .connecting: self = .ending(Ending(reason: reason, wasOpen: false))
            case .open: self = .ending(Ending(reason: reason, wasOpen: true))
            case .ending(var ending):
                ending.reason = ending.reason ?? reason
                self = .ending(ending)
            case .closed: self = .closed
            }
        }

        mutating func beginsEnd() {
            switch consume self {
            case .ending(var ending):
                ending.isUnderWay = true
                self = .ending(ending)
            case .connecting: self = .connecting
            case .open(let open): self = .open(open)
            case .closed: self = .closed
            }
        }

        enum ClosedAction {
            case none
            /// All streams fail, and whoever owns the tunnel is told why.
            case tell((any Error)?)
        }

        mutating func closes() -> ClosedAction {
            switch consume self {
            case .ending(let ending):
                self = .closed
                return .tell(ending.reason)
            case .closed:
                self = .closed
                return .none
            default:
                self = .closed
                return .tell(nil)
            }
        }
    }
}
