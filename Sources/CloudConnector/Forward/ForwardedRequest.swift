internal import AccessPolicy
internal import Cryptography
internal import HostSystem
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Telemetry
internal import TextFormats
internal import Tracing
internal import TunnelCore

/// One request from the tunnel: decided on, then sent to an internal host, and its response sent back. Where it is on its way,
/// `ForwardedRequest.StateMachine` knows.
final class ForwardedRequest: StreamReceiver, ResponseReceiver {
    let loop: ConnectorLoop
    let stream: HTTP2Stream
    private let tunnel: any RequestTunnel
    private(set) var permit: Permit?
    private(set) var isHead = false
    private var machine = StateMachine.head
    private var upstream: (any RequestConnection)?
    var method = RequestMethod.other([])
    private var pin: String?
    /// As the service and the client know it.
    var requestID: RequestID?
    private var wantsTimes = false
    /// NTLM and Negotiate authenticate a connection, not a request.
    private(set) var hasConnectionAuthentication = false
    private var hasChunkedBody = false
    private(set) var upgrade: Upgrade?
    /// Of its user.
    private var field = UserField.absent
    var isRequestComplete: Bool { machine.isRequestComplete }
    private var uncredited = 0
    /// The request, until there is a connection to write it to.
    var pending: ByteBuffer?

    // What is counted, in nanoseconds and bytes.
    var metrics: SystemMetrics
    /// Of the resource that has admitted it, in `metrics.usage`; negative for none.
    private(set) var usagePlace = -1
    /// What no resource has admitted.
    private(set) var denied: RequestTarget?
    var started: NIODeadline = .uptimeNanoseconds(0)
    private var connectStarted: NIODeadline = .uptimeNanoseconds(0)
    private var sent: NIODeadline = .uptimeNanoseconds(0)
    private(set) var connectTime: Int64 = 0
    private(set) var backendTime: Int64 = 0
    private var status = 0
    var isSettled = false
    /// Only for requests that somebody traces.
    var span: (any Span)?
    var requestBytes = 0
    var responseBytes = 0

    init(loop: ConnectorLoop, stream: HTTP2Stream, tunnel: any RequestTunnel) {
        self.loop = loop
        self.stream = stream
        self.tunnel = tunnel
        self.metrics = loop.unknown
    }

    /// Only our own service knows what to do with the times; another edge would hand them to the client. One request
    /// in sixteen is enough for a histogram; the service's access log asks for each.
    var reportsTimes: Bool { tunnel.takesTimes() || wantsTimes }

    // MARK: Request

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        let request = RequestSummary(fields)
        if request.isControl {
            machine.handedOver()
            isSettled = true
            stream.receiver = tunnel.openControl(stream)
            return
        }
        if request.isConnect {
            machine.handedOver()
            isSettled = true
            let connection = ForwardedConnection(loop: loop, stream: stream, tunnel: tunnel)
            stream.receiver = connection
            connection.begin(request)
            return
        }
        started = .now()
        unsafe requestID = RequestID(request.tag)
        wantsTimes = request.wantsTimes
        if loop.isTracing, let parent = unsafe TraceParent(request.traceParent) { beginSpan(parent) }
        do throws(Refusal) {
            let permit = try decide(request, isEnd)
            self.permit = permit
            let entry = loop.entry(permit.system)
            metrics = entry.metrics
            usagePlace = entry.places[permit.resourceIndex]
            if loop.audit.recordsAllowed { auditAllowed(permit) }
            var field = UserField.absent
            if permit.system.authentication.isOn || request.hasUser {
                switch try user(request, permit) {
                case .known(let known): field = known
                case .unknown(let users, let key):
                    _ = machine.permitted(
                        hasConnection: false,
                        isComplete: isEnd || request.isUpgrade,
                        isIdempotent: method.isIdempotent
                    )
                    return identify(users, key, fields, permit, isEnd: isEnd)
                }
            }
            let mustBeFresh = !(isEnd && method.isIdempotent)
            let connection =
                request.isUpgrade
                ? nil : pinnedConnection(permit) ?? entry.idle.take(at: started, mustBeFresh: mustBeFresh)
            let action = machine.permitted(
                hasConnection: connection != nil,
                isComplete: isEnd || request.isUpgrade,
                isIdempotent: method.isIdempotent
            )
            switch action {
            case .send:
                do throws(Refusal) {
                    try mayGoOut(on: connection!, field, permit)
                } catch {
                    connection!.keepUnused()
                    throw error
                }
                upstream = connection
                sent = started
                connection!.begin(self, permit)
                writeHead(fields, request, permit, isEnd: isEnd, field, to: &connection!.output)
                if request.isUpgrade { connection!.flush() }
            case .connect:
                var head = OutputBuffer()
                writeHead(fields, request, permit, isEnd: isEnd, field, to: &head)
                pending = head.take()
                connect(permit)
            }
        } catch {
            refuse(error, request)
        }
    }

    /// - Parameter field: kept, because the request may have to go out again, on a connection that has to be good for it.
    private func writeHead(
        _ fields: FieldBlock,
        _ request: RequestSummary,
        _ permit: Permit,
        isEnd: Bool,
        _ field: UserField,
        to output: inout OutputBuffer
    ) {
        self.field = field
        RequestHead.write(
            fields,
            request,
            permit,
            isEnd: isEnd,
            webSocketKey: webSocketKey,
            user: field,
            reserved: loop.userFields,
            to: &output
        )
    }

    /// Asks the policy. Nothing is sent anywhere without the permit that comes out here.
    private func decide(_ request: RequestSummary, _ isEnd: Bool) throws(Refusal) -> Permit {
        method = unsafe request.isWebSocket ? .get : RequestMethod(request.method)
        if case .head = method { isHead = true }
        guard !loop.audit.isBlocking else { throw PolicyRefusal.auditFailed }
        guard !request.hasProtocol || request.isWebSocket else { throw PolicyRefusal.protocolNotBuilt }
        hasChunkedBody = !isEnd && !request.hasContentLength && !request.isWebSocket
        hasConnectionAuthentication = request.hasConnectionAuthentication
        pin = request.pin
        let decision = unsafe ForwardingDecision.make(
            loop.policy,
            authority: request.authority,
            path: request.path,
            isOptions: unsafe Bytes.isExactly(request.method, "OPTIONS"),
            isUpgrade: request.isUpgrade
        )
        switch decision {
        case .permitted(let permit):
            guard !request.isBrokenUpgrade else {
                metrics = loop.entry(permit.system).metrics
                throw PolicyRefusal.brokenUpgrade
            }
            if request.isWebSocket { upgrade = unsafe Upgrade(authority: Array(request.authority)) }
            return permit
        case .denied(let denial, let target, let system):
            metrics = loop.entry(system).metrics
            denied = target
            throw PolicyRefusal.resource(denial, target, system)
        case .noSystem(let parsed): throw unsafe PolicyRefusal.system(request.authority, parsed, loop.policy)
        case .malformed(let error): throw Refusal(badRequest: error.rawValue)
        }
    }

    private func pinnedConnection(_ permit: Permit) -> UpstreamConnection? {
        guard let pin, let connection = loop.pinned.connection(pin), connection.system === permit.system else {
            return nil
        }
        return connection
    }

    func streamReceived(interim fields: FieldBlock) {}

    func streamReceived(body: UnsafeRawBufferPointer) {
        uncredited += body.count
        requestBytes += body.count
        if let upgrade { return unsafe upgrade.early += Array(body) }
        switch machine.received(isEnd: false) {
        case .write: unsafe upstream!.write(body, isChunked: hasChunkedBody)
        case .hold:
            // At most one window, because no credit goes back before there is a connection.
            unsafe BodyWriter.write(body, isChunked: hasChunkedBody, to: &pending!)
        case .discard: returnCredit()
        }
    }

    func streamReceivedEnd(trailers: FieldBlock?) {
        if let upgrade { return upgrade.isEarlyEnd = true }
        let action = machine.received(isEnd: true)
        upstream?.requestEnded()
        guard hasChunkedBody else { return }
        let trailers = trailers.flatMap { $0.isReserved(loop.userFields) ? nil : $0 }
        switch action {
        case .write: upstream!.finishChunks(trailers)
        case .hold: BodyWriter.finish(trailers, to: &pending!)
        case .discard: break
        }
    }

    func streamBatchEnded() {
        upstream?.flush()
    }

    func streamBecameWritable() { upstream?.resumeReading() }

    func streamFailed(_ failure: StreamError) {
        switch machine.reset() {
        case .none: return
        case .keepPlace: tunnel.keepPlace()
        case .abandon: break
        }
        pending = nil
        upstream?.abandon()
        upstream = nil
        settle(0)
    }

    func returnCredit() {
        guard uncredited > 0 else { return }
        stream.returnCredit(uncredited)
        uncredited = 0
    }

    // MARK: Connecting

    private func connect(_ permit: Permit) {
        guard loop.hasRoom() else {
            return refuse(BackendRefusal.tooManyConnections(permit.system, loop.configuration.maxConnections))
        }
        connectStarted = .now()
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        UpstreamConnection.connect(permit, loop: loop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let connection): bound.value.connected(connection.value)
            case .failure(let error): bound.value.connectFailed(error)
            }
        }
    }

    /// - Parameter isNew: it was opened for this request.
    private func connected(_ connection: any RequestConnection, isNew: Bool = true) {
        guard machine.connected() == .begin, let permit else {
            tunnel.givePlaceBack()
            return connection.keepUnused()
        }
        if let connection = connection as? UpstreamConnection {
            do throws(Refusal) { try mayGoOut(on: connection, field, permit) } catch {
                connection.keepUnused()
                return refuse(error)
            }
            connection.owner = field.owner
        }
        upstream = connection
        sent = .now()
        if isNew {
            connectTime = (sent - connectStarted).nanoseconds
            metrics.connect.record(connectTime)
        }
        connection.begin(self, permit)
        if let pending {
            connection.write(pending)
            self.pending = nil
        }
        connection.flush()
    }

    /// The user is known: the request goes out like any other.
    func identified(_ fields: FieldBlock, _ permit: Permit, isEnd: Bool, _ field: UserField) {
        guard !machine.isOver else { return identificationFailed(nil) }
        var head = OutputBuffer()
        let request = RequestSummary(fields)
        writeHead(fields, request, permit, isEnd: isEnd, field, to: &head)
        // What the program says of a logon stays behind.
        if field.isAuthorization { hasConnectionAuthentication = false }
        var whole = head.take() ?? ByteBuffer()
        if var body = pending { whole.writeBuffer(&body) }
        pending = whole
        let mustBeFresh = !(machine.isRequestComplete && method.isIdempotent)
        let entry = loop.entry(permit.system)
        var free: UpstreamConnection?
        if request.isUpgrade {
            // On a new connection, which it keeps.
        } else if let owner = field.owner {
            free = entry.take(of: owner, at: .now(), mustBeFresh: mustBeFresh)
        } else {
            free = pinnedConnection(permit) ?? entry.idle.take(at: .now(), mustBeFresh: mustBeFresh)
        }
        if let connection = free {
            connected(connection, isNew: false)
        } else {
            connect(permit)
        }
    }

    /// - Parameter refusal: nil for a request that is over.
    func identificationFailed(_ refusal: Refusal?) {
        switch machine.connectFailed() {
        case .givePlaceBack: tunnel.givePlaceBack()
        case .refuse: if let refusal { answer(refusal) }
        }
    }

    private func connectFailed(_ error: any Error) {
        switch machine.connectFailed() {
        case .givePlaceBack: tunnel.givePlaceBack()
        case .refuse:
            if let permit { answer(BackendRefusal.connect(error, permit.system)) }
        }
    }

    /// The connection was closed by the internal host before it said anything.
    ///
    /// A connection from the pool may have been closed just when the request went out; where nothing can be done twice
    /// by it, the request goes out again on a new one (RFC 9112 section 9.3.1).
    func upstreamClosedUnanswered(_ sent: ByteBuffer?, wasReused: Bool, error: (any Error)?) {
        guard let permit else { return }
        switch machine.closedUnanswered(wasReused: wasReused, hasAllThatWasSent: sent != nil) {
        case .none: break
        case .replay:
            upstream = nil
            pending = sent
            connect(permit)
        case .refuse:
            upstream = nil
            answer(BackendRefusal.closedUnanswered(error, permit.system))
        }
    }

    // MARK: Response

    func machineSwitched() {
        machine.handedOver()
        upstream = nil
    }

    func responseComplete() {
        machine.responseEnded()
        upstream = nil
        returnCredit()
        settle(status)
    }

    /// The final head of the response is here.
    func answered(_ status: Int) {
        self.status = status
        backendTime = (NIODeadline.now() - sent).nanoseconds
        metrics.backend.record(backendTime)
    }

    /// The response cannot go on: before its head with an answer of ours, after it by a reset.
    func responseFailed(_ refusal: Refusal) {
        upstream = nil
        refuse(refusal)
    }

    /// - Parameter request: known while the request's head is at hand.
    private func refuse(_ refusal: Refusal, _ request: RequestSummary? = nil) {
        if machine.refused() { answer(refusal, request) }
    }
}
