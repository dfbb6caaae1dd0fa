internal import TunnelCore

extension ProxyConnection {
    /// Where a client connection is with its requests, one after the other, and what follows from what happens.
    ///
    ///     head ──▶ body ──▶ waiting ──▶ head …           pipelined requests wait
    ///       │       │          │
    ///       │       │          └─refused by its tunnel──▶ head: sent again
    ///       │                  ├─switched to WebSocket──▶ upgraded
    ///       └───────┴──────────┴──▶ lingering ──▶ closed   after an answer that ends the connection
    ///
    /// The response may begin while the body still comes. One that is over before the request is ends the connection: the rest
    /// of the request is of no use to anyone.
    enum StateMachine: ~Copyable {
        /// No request, or a part of its head.
        case head
        /// The head went down a tunnel, and the body follows.
        case body(Response)
        /// The request is complete.
        case waiting(Response)
        /// The client is left time to read what was written.
        case lingering
        /// Bytes go both ways, and no request comes any more.
        case upgraded
        case closed

        enum Response: Equatable { case none, started, complete }

        /// What the driver looks at.
        enum Phase: Equatable { case head, body, waiting, lingering, upgraded, closed }

        var phase: Phase {
            switch self {
            case .head: .head
            case .body: .body
            case .waiting: .waiting
            case .lingering: .lingering
            case .upgraded: .upgraded
            case .closed: .closed
            }
        }

        /// Of the exchange in progress.
        var response: Response {
            switch self {
            case .body(let response): response
            case .waiting(let response): response
            default: .none
            }
        }

        // MARK: Request

        /// Its head went down a tunnel.
        mutating func requestOpened(hasBody: Bool) {
            self = hasBody ? .body(.none) : .waiting(.none)
        }

        /// The last byte of its body went, too.
        mutating func requestEnded() {
            switch consume self {
            case .body(let response): self = .waiting(response)
            case .waiting(let response): self = .waiting(response)
            case .lingering: self = .lingering
            case .upgraded: self = .upgraded
            case .closed: self = .closed
            case .head: self = .head
            }
        }

        enum InputEndedAction: Equatable {
            case none
            /// Nothing was begun.
            case close
            /// The request will never be complete.
            case refuse
        }

        /// The client has sent its last byte; it may still read.
        mutating func inputEnded(hasBytes: Bool) -> InputEndedAction {
            switch consume self {
            case .head:
                self = .head
                return hasBytes ? .refuse : .close
            case .body(let response):
                self = .body(response)
                return .refuse
            case .waiting(let response):
                self = .waiting(response)
                return .none
            case .lingering:
                self = .lingering
                return .close
            case .upgraded:
                self = .upgraded
                return .none
            case .closed:
                self = .closed
                return .none
            }
        }

        // MARK: Response

        /// Its final head is here.
        ///
        /// - Returns: false where it is of no use.
        mutating func responseStarted() -> Bool {
            switch consume self {
            case .body(.none):
                self = .body(.started)
                return true
            case .waiting(.none):
                self = .waiting(.started)
                return true
            case .body(let response):
                self = .body(response)
                return false
            case .waiting(let response):
                self = .waiting(response)
                return false
            case .head:
                self = .head
                return false
            case .lingering:
                self = .lingering
                return false
            case .upgraded:
                self = .upgraded
                return false
            case .closed:
                self = .closed
                return false
            }
        }

        enum ResponseEndedAction: Equatable {
            case none
            case finish
            /// An early answer: the connection ends with it.
            case cutShort
        }

        mutating func responseEnded() -> ResponseEndedAction {
            switch consume self {
            case .waiting(.started):
                self = .waiting(.complete)
                return .finish
            case .body(.started):
                self = .body(.complete)
                return .cutShort
            case .waiting(let response):
                self = .waiting(response)
                return .none
            case .body(let response):
                self = .body(response)
                return .none
            case .head:
                self = .head
                return .none
            case .lingering:
                self = .lingering
                return .none
            case .upgraded:
                self = .upgraded
                return .none
            case .closed:
                self = .closed
                return .none
            }
        }

        /// Both sides have switched to another protocol.
        mutating func switched() { self = .upgraded }

        /// The exchange is over, and the connection goes on with the next request.
        mutating func nextRequest() { self = .head }

        // MARK: Failures

        enum StreamFailedAction: Equatable {
            case none
            /// The response cannot be completed, and the client must not take it for complete.
            case abort
            /// Never processed, and nothing of it is lost: another tunnel may take it (RFC 9113 section 8.7).
            case resend
            /// The same, where the tunnel gives back what it has of the body.
            case sendElsewhere
            case refuse
        }

        /// - Parameters:
        ///   - hasHead: the head of the request is still there.
        ///   - hasUnsent: nothing of the body has gone.
        ///   - attempts: tunnels that have refused it.
        mutating func streamFailed(
            _ failure: StreamError,
            hasHead: Bool,
            hasUnsent: Bool,
            attempts: Int
        ) -> StreamFailedAction {
            let isRetried = failure == .refused && attempts < Self.maxAttempts
            switch consume self {
            case .waiting(.none) where isRetried && hasHead:
                self = .head
                return .resend
            case .waiting(.none):
                self = .waiting(.none)
                return isRetried && hasUnsent ? .sendElsewhere : .refuse
            case .body(.none):
                self = .body(.none)
                return isRetried && hasUnsent ? .sendElsewhere : .refuse
            case .waiting(let response):
                self = .waiting(response)
                return response == .started ? .abort : .none
            case .body(let response):
                self = .body(response)
                return response == .started ? .abort : .none
            case .head:
                self = .head
                return .none
            case .lingering:
                self = .lingering
                return .none
            case .upgraded:
                self = .upgraded
                return .none
            case .closed:
                self = .closed
                return .none
            }
        }

        /// Tunnels that one request may be sent down.
        static let maxAttempts = 3

        enum RefusedAction: Equatable {
            /// The connection is ending already.
            case none
            /// A part of the response has gone.
            case abort
            case answer(isKeptAlive: Bool)
        }

        /// An answer of ours is due. Where the connection is kept alive, the next request comes next.
        ///
        /// - Parameters:
        ///   - isBodiless: known of a request whose head is here: it ends with its head.
        ///   - mayContinue: neither side wants the connection to end.
        mutating func refused(isBodiless: Bool, mayContinue: Bool) -> RefusedAction {
            switch consume self {
            case .head:
                self = .head
                return .answer(isKeptAlive: isBodiless && mayContinue)
            case .waiting(.none):
                self = mayContinue ? .head : .waiting(.none)
                return .answer(isKeptAlive: mayContinue)
            case .waiting(let response):
                self = .waiting(response)
                return .abort
            case .body(.none):
                self = .body(.none)
                return .answer(isKeptAlive: false)
            case .body(let response):
                self = .body(response)
                return .abort
            case .lingering:
                self = .lingering
                return .none
            case .upgraded:
                self = .upgraded
                return .none
            case .closed:
                self = .closed
                return .none
            }
        }

        // MARK: Time and end

        enum TimedOutAction: Equatable { case close, refuseHead, refuseBody, refuseWaiting, abort }

        /// - Parameter isIdle: nothing of a request has come.
        mutating func timedOut(isIdle: Bool) -> TimedOutAction {
            switch consume self {
            case .head:
                self = .head
                return isIdle ? .close : .refuseHead
            case .body(let response):
                self = .body(response)
                return .refuseBody
            case .waiting(let response):
                self = .waiting(response)
                return response == .none ? .refuseWaiting : .abort
            case .lingering:
                self = .lingering
                return .close
            case .upgraded:
                self = .upgraded
                return .close
            case .closed:
                self = .closed
                return .close
            }
        }

        /// - Returns: false where that was so before.
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

        /// - Returns: false where the connection is closed.
        mutating func lingers() -> Bool {
            switch consume self {
            case .closed:
                self = .closed
                return false
            default:
                self = .lingering
                return true
            }
        }
    }
}
