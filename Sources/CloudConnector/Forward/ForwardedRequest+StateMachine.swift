extension ForwardedRequest {
    /// Where one request is on its way to an internal host and back, and what follows from what happens to it.
    ///
    ///     head ──refused──────────────────────────────────────▶ done
    ///       ├──a connection was free──▶ exchanging ──response──▶ done
    ///       └──────▶ connecting ──▶ exchanging
    ///                     ▲ replay ──────┘   the connection was closed before it said anything
    ///
    /// A request that is reset while a connection is being opened for it is done, but the connection is still to come.
    enum StateMachine: ~Copyable {
        case head
        case connecting(Sending)
        case exchanging(Sending)
        /// With whether a connection is still being opened for it.
        case done(isConnecting: Bool)

        /// What is known of the request while it is on its way.
        struct Sending {
            /// The client has sent all of it.
            var isComplete: Bool
            /// Nothing is done twice by sending it twice, and it has not been sent twice yet.
            var isReplayable: Bool
        }

        /// Whether the client has sent all of the request, which is on its way.
        var isRequestComplete: Bool {
            switch self {
            case .connecting(let sending): sending.isComplete
            case .exchanging(let sending): sending.isComplete
            default: false
            }
        }

        /// Nothing more is to come of it.
        var isOver: Bool {
            switch self {
            case .done: true
            default: false
            }
        }

        // MARK: Head

        enum StartAction: Equatable { case send, connect }

        /// The policy has permitted it.
        ///
        /// - Parameters:
        ///   - hasConnection: to that internal host, unused.
        ///   - isComplete: it has no body.
        ///   - isIdempotent: by its method (RFC 9110 section 9.2.2).
        mutating func permitted(hasConnection: Bool, isComplete: Bool, isIdempotent: Bool) -> StartAction {
            let sending = Sending(isComplete: isComplete, isReplayable: isIdempotent && isComplete)
            switch consume self {
            case .head where hasConnection:
                self = .exchanging(sending)
                return .send
            default:
                self = .connecting(sending)
                return .connect
            }
        }

        /// It is not a request after all: the stream has another owner now.
        mutating func handedOver() { self = .done(isConnecting: false) }

        // MARK: Body

        enum BodyAction: Equatable {
            /// To the internal host.
            case write
            /// Until there is a connection.
            case hold
            /// Nobody wants it.
            case discard
        }

        /// A piece of its body has come, or, with `isEnd`, the end of it.
        mutating func received(isEnd: Bool) -> BodyAction {
            switch consume self {
            case .exchanging(var sending):
                sending.isComplete = sending.isComplete || isEnd
                self = .exchanging(sending)
                return .write
            case .connecting(var sending):
                sending.isComplete = sending.isComplete || isEnd
                self = .connecting(sending)
                return .hold
            case .head:
                self = .head
                return .discard
            case .done(let isConnecting):
                self = .done(isConnecting: isConnecting)
                return .discard
            }
        }

        // MARK: Connecting

        enum ConnectedAction: Equatable {
            case begin
            /// The request has gone; another one may use the connection. Its place among the tunnel's requests is free.
            case keepUnused
        }

        mutating func connected() -> ConnectedAction {
            switch consume self {
            case .connecting(let sending):
                self = .exchanging(sending)
                return .begin
            default:
                self = .done(isConnecting: false)
                return .keepUnused
            }
        }

        enum ConnectFailedAction: Equatable { case refuse, givePlaceBack }

        mutating func connectFailed() -> ConnectFailedAction {
            switch consume self {
            case .connecting:
                self = .done(isConnecting: false)
                return .refuse
            default:
                self = .done(isConnecting: false)
                return .givePlaceBack
            }
        }

        // MARK: End

        enum ResetAction: Equatable {
            case none
            /// The internal host learns of it by a closed connection.
            case abandon
            /// So many connections may be on their way for requests that are gone: it keeps its place until this one is.
            case keepPlace
        }

        /// The client has given up, or the tunnel is gone.
        mutating func reset() -> ResetAction {
            switch consume self {
            case .connecting:
                self = .done(isConnecting: true)
                return .keepPlace
            case .done(let isConnecting):
                self = .done(isConnecting: isConnecting)
                return .none
            default:
                self = .done(isConnecting: false)
                return .abandon
            }
        }

        enum ClosedAction: Equatable {
            case none
            /// Once more, on a new connection (RFC 9112 section 9.3.1).
            case replay
            case refuse
        }

        /// The internal host has closed the connection before it said anything.
        ///
        /// - Parameter wasReused: it may have been closed just when the request went out.
        mutating func closedUnanswered(wasReused: Bool, hasAllThatWasSent: Bool) -> ClosedAction {
            switch consume self {
            case .exchanging(var sending):
                guard wasReused, hasAllThatWasSent, sending.isReplayable else {
                    self = .done(isConnecting: false)
                    return .refuse
                }
                sending.isReplayable = false
                self = .connecting(sending)
                return .replay
            case .head:
                self = .head
                return .none
            case .connecting(let sending):
                self = .connecting(sending)
                return .none
            case .done(let isConnecting):
                self = .done(isConnecting: isConnecting)
                return .none
            }
        }

        /// The response has come to its end.
        mutating func responseEnded() { self = .done(isConnecting: false) }

        /// An answer of ours is due.
        ///
        /// - Returns: false where the request is over already.
        mutating func refused() -> Bool {
            switch consume self {
            case .done(let isConnecting):
                self = .done(isConnecting: isConnecting)
                return false
            default:
                self = .done(isConnecting: false)
                return true
            }
        }
    }
}
