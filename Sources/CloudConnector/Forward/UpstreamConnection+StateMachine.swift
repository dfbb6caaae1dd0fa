extension UpstreamConnection {
    /// What one connection to an internal host is used for, one exchange after the other.
    ///
    ///     connecting ──▶ idle ──begin──▶ head ──▶ body ──▶ idle …
    ///         └───────────┴───────────────┴────────┴──▶ closed
    ///
    /// Interim responses stay in `head`. Whose turn it is decides on the time limit: until the request has ended, progress
    /// counts; then the internal host owes a head.
    enum StateMachine: ~Copyable {
        case connecting
        case idle(History)
        case head(Exchange)
        case body(Exchange)
        case closed

        /// What outlives an exchange.
        struct History: Equatable {
            /// Exchanges so far.
            var uses = 0
            /// Its system is no longer exposed: what is in progress may end, nothing new begins.
            var isRetired = false
        }

        struct Exchange: Equatable {
            var history: History
            var isRequestSent: Bool
            var hasAnswered = false
            var interimCount = 0
            var isKeptAlive = false
        }

        // MARK: Facts

        var isReusable: Bool {
            switch self {
            case .idle: true
            default: false
            }
        }

        /// Whether an exchange is in progress.
        var isBusy: Bool {
            switch self {
            case .head: true
            case .body: true
            default: false
            }
        }

        var isReadingBody: Bool {
            switch self {
            case .body: true
            default: false
            }
        }

        var isClosed: Bool {
            switch self {
            case .closed: true
            default: false
            }
        }

        var isRequestSent: Bool {
            switch self {
            case .head(let exchange): exchange.isRequestSent
            case .body(let exchange): exchange.isRequestSent
            default: true
            }
        }

        /// Whether it is the internal host's turn, and it owes the head of its response.
        var awaitsHead: Bool {
            switch self {
            case .head(let exchange): exchange.isRequestSent
            default: false
            }
        }

        // MARK: Request

        mutating func connected() {
            switch consume self {
            case .connecting: self = .idle(History())
            case .closed: self = .closed
            default: preconditionFailure("a connection is opened once")
            }
        }

        mutating func begun(isRequestComplete: Bool) {
            switch consume self {
            case .idle(var history):
                history.uses += 1
                self = .head(Exchange(history: history, isRequestSent: isRequestComplete))
            default: preconditionFailure("only an unused connection takes a request")
            }
        }

        mutating func requestEnded() {
            switch consume self {
            case .head(var exchange):
                exchange.isRequestSent = true
                self = .head(exchange)
            case .body(var exchange):
                exchange.isRequestSent = true
                self = .body(exchange)
            case .connecting: self = .connecting
            case .idle(let history): self = .idle(history)
            case .closed: self = .closed
            }
        }

        // MARK: Response

        /// Bytes are here.
        ///
        /// - Returns: false where nobody asked: what follows cannot be trusted to answer anything.
        mutating func received() -> Bool {
            switch consume self {
            case .head(var exchange):
                exchange.hasAnswered = true
                self = .head(exchange)
                return true
            case .body(let exchange):
                self = .body(exchange)
                return true
            default:
                self = .closed
                return false
            }
        }

        enum HeadAction: Equatable {
            /// Another head follows.
            case passInterim
            case passFinal
            /// The connection is WebSocket's from here on.
            case switchProtocols
            /// Nobody asked for another protocol.
            case refuseUpgrade
            case refuseInterim
        }

        /// A whole head is here.
        ///
        /// - Parameters:
        ///   - maxInterim: interim responses that one exchange may have.
        ///   - isUpgrade: another protocol was asked for.
        mutating func headReceived(status: Int, maxInterim: Int, isUpgrade: Bool = false) -> HeadAction {
            switch consume self {
            case .head(var exchange):
                guard status != 101 else {
                    self = .closed
                    return isUpgrade ? .switchProtocols : .refuseUpgrade
                }
                guard status < 200 else {
                    self = .head(exchange)
                    return .passFinal
                }
                exchange.interimCount += 1
                guard exchange.interimCount <= maxInterim else {
                    self = .closed
                    return .refuseInterim
                }
                self = .head(exchange)
                return .passInterim
            default: preconditionFailure("a head is read where one is due")
            }
        }

        /// The final head has been sent on.
        mutating func bodyFollows(isKeptAlive: Bool) {
            switch consume self {
            case .head(var exchange):
                exchange.isKeptAlive = isKeptAlive
                self = .body(exchange)
            default: preconditionFailure("a body follows a head")
            }
        }

        enum EndAction: Equatable { case keep, close }

        /// The response has been read to its end.
        ///
        /// - Parameters:
        ///   - isRequestComplete: a body that the internal host did not wait for would be taken for the next request.
        ///   - hasMore: bytes follow that nobody asked for.
        mutating func responseEnded(isRequestComplete: Bool, hasMore: Bool) -> EndAction {
            switch consume self {
            case .body(let exchange):
                guard isRequestComplete, exchange.isKeptAlive, !hasMore, !exchange.history.isRetired else {
                    self = .closed
                    return .close
                }
                self = .idle(exchange.history)
                return .keep
            default:
                self = .closed
                return .close
            }
        }

        // MARK: End

        /// Opened for a request that is gone: whoever takes it next finds it as old as any other.
        ///
        /// - Returns: false where nobody may.
        mutating func keptUnused() -> Bool {
            switch consume self {
            case .idle(var history) where !history.isRetired:
                history.uses = max(history.uses, 1)
                self = .idle(history)
                return true
            default:
                self = .closed
                return false
            }
        }

        /// Its system is no longer exposed.
        ///
        /// - Returns: whether it is to be closed now.
        mutating func retired() -> Bool {
            switch consume self {
            case .head(var exchange):
                exchange.history.isRetired = true
                self = .head(exchange)
                return false
            case .body(var exchange):
                exchange.history.isRetired = true
                self = .body(exchange)
                return false
            default:
                self = .closed
                return true
            }
        }

        /// We close it, whatever it is used for.
        ///
        /// - Returns: false where that has been done.
        mutating func closing() -> Bool {
            switch consume self {
            case .closed:
                self = .closed
                return false
            default:
                self = .closed
                return true
            }
        }

        enum ClosedAction: Equatable {
            case none
            /// The end of the connection is the end of the body.
            case finishResponse
            /// Within the response.
            case failIncomplete
            case failUnanswered(wasReused: Bool)
        }

        /// The channel is gone.
        ///
        /// - Parameters:
        ///   - isOrderly: without an error, and with TLS's own end where there is TLS (RFC 8446 section 6.1).
        ///   - bodyEndsSo: the response has no other end.
        mutating func channelClosed(isOrderly: Bool, bodyEndsSo: Bool) -> ClosedAction {
            switch consume self {
            case .head(let exchange):
                self = .closed
                return exchange.hasAnswered
                    ? .failIncomplete : .failUnanswered(wasReused: exchange.history.uses > 1)
            case .body:
                self = .closed
                return isOrderly && bodyEndsSo ? .finishResponse : .failIncomplete
            default:
                self = .closed
                return .none
            }
        }

        enum TimeoutAction: Equatable {
            /// Nobody needs it.
            case close
            case fail(isBody: Bool, isItsTurn: Bool)
        }

        mutating func timedOut() -> TimeoutAction {
            switch consume self {
            case .head(let exchange):
                self = .closed
                return .fail(isBody: false, isItsTurn: exchange.isRequestSent)
            case .body(let exchange):
                self = .closed
                return .fail(isBody: true, isItsTurn: exchange.isRequestSent)
            default:
                self = .closed
                return .close
            }
        }
    }
}
