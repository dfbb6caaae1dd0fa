internal import AccessPolicy
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Telemetry
internal import Tracing
internal import TunnelCore

/// One request from the tunnel: decided on, then sent to an internal host, and its response sent back.
///
///     head ──policy──▶ refused
///       └──permit──▶ connecting ──▶ exchanging ──▶ done
final class ForwardedRequest: StreamReceiver {
    private enum State { case waitingForHead, connecting, exchanging, done }

    let loop: ConnectorLoop
    let stream: HTTP2Stream
    private let tunnel: ServedTunnel
    private(set) var permit: Permit?
    private(set) var isHead = false
    private var state = State.waitingForHead
    private var upstream: UpstreamConnection?
    var method = RequestMethod.other([])
    private var isReplayable = false
    private var pin: String?
    /// NTLM and Negotiate authenticate a connection, not a request.
    private(set) var hasConnectionAuthentication = false
    private var hasChunkedBody = false
    private(set) var isRequestComplete = false
    private var uncredited = 0
    /// The request, until there is a connection to write it to.
    private var pending: ByteBuffer?

    // What is counted, in nanoseconds and octets.
    var metrics: SystemMetrics
    var started: NIODeadline = .uptimeNanoseconds(0)
    private var connectStarted: NIODeadline = .uptimeNanoseconds(0)
    private var sent: NIODeadline = .uptimeNanoseconds(0)
    private(set) var connectTime: Int64 = 0
    private(set) var backendTime: Int64 = 0
    private var status = 0
    var isSettled = false
    /// Only for requests that somebody traces.
    var span: (any Span)?
    var requestOctets = 0
    var responseOctets = 0

    init(loop: ConnectorLoop, stream: HTTP2Stream, tunnel: ServedTunnel) {
        self.loop = loop
        self.stream = stream
        self.tunnel = tunnel
        self.metrics = loop.unknown
    }

    /// Only our own service knows what to do with the times; another edge would hand them to the client. One request
    /// in sixteen is enough for a histogram.
    var reportsTimes: Bool { tunnel.takesTimes() }

    // MARK: Request

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        isRequestComplete = isEnd
        let request = RequestSummary(fields)
        if request.isControl {
            state = .done
            isSettled = true
            stream.receiver = tunnel.openControl(stream)
            return
        }
        if request.isConnect {
            state = .done
            isSettled = true
            let connection = ForwardedConnection(loop: loop, stream: stream)
            stream.receiver = connection
            connection.begin(request)
            return
        }
        started = .now()
        if loop.isTracing, let parent = TraceParent(request.traceParent) { beginSpan(parent) }
        do throws(Refusal) {
            let permit = try decide(request)
            self.permit = permit
            let entry = loop.entry(permit.system)
            metrics = entry.metrics
            if loop.audit.recordsAllowed { auditAllowed(permit) }
            if let connection = pinnedConnection(permit) ?? loop.idleConnection(entry) {
                state = .exchanging
                upstream = connection
                sent = started
                connection.begin(self, permit)
                RequestHead.write(fields, request, permit, isEnd: isEnd, to: &connection.output)
            } else {
                var head = OutputBuffer(allocator: ByteBufferAllocator())
                RequestHead.write(fields, request, permit, isEnd: isEnd, to: &head)
                pending = head.take()
                connect(permit)
            }
        } catch {
            refuse(error, request)
        }
    }

    /// Asks the policy. Nothing is sent anywhere without the permit that comes out here.
    private func decide(_ request: RequestSummary) throws(Refusal) -> Permit {
        guard !loop.audit.isBlocking else { throw PolicyRefusal.auditFailed }
        guard !request.hasProtocol else { throw PolicyRefusal.protocolNotBuilt }
        method = RequestMethod(request.method)
        if case .head = method { isHead = true }
        isReplayable = method.isIdempotent && isRequestComplete
        hasChunkedBody = !isRequestComplete && !request.hasContentLength
        hasConnectionAuthentication = request.hasConnectionAuthentication
        pin = request.pin
        let target: RequestTarget
        let parsed: RequestAuthority
        let authorityText = request.authority.assumingMemoryBound(to: UInt8.self).span
        do throws(RequestTargetError) {
            parsed = try RequestAuthority(authorityText, in: 0..<authorityText.count)
            target = try RequestTarget(request.path.assumingMemoryBound(to: UInt8.self).span)
        } catch {
            throw Refusal(badRequest: error.rawValue)
        }
        let host = authorityText.extracting(parsed.host)
        guard let system = loop.policy.system(host: host, port: parsed.port), system.protocol.isHTTP else {
            throw PolicyRefusal.system(request.authority, parsed)
        }
        metrics = loop.entry(system).metrics
        switch loop.policy.evaluate(system: system, target: target, isUpgrade: request.isUpgrade) {
        case .deny(let denial): throw PolicyRefusal.resource(denial, target, system)
        case .allow(let permit):
            guard !request.isUpgrade else { throw PolicyRefusal.upgradeNotBuilt(system) }
            return permit
        }
    }

    private func pinnedConnection(_ permit: Permit) -> UpstreamConnection? {
        guard let pin, let connection = loop.pinned[pin], connection.system === permit.system,
            connection.isReusable
        else { return nil }
        return connection
    }

    func streamReceived(interim fields: FieldBlock) {}

    func streamReceived(body: UnsafeRawBufferPointer) {
        uncredited += body.count
        requestOctets += body.count
        switch state {
        case .exchanging: upstream!.write(body, isChunked: hasChunkedBody)
        case .connecting:
            // At most one window, because no credit goes back before there is a connection.
            BodyWriter.write(body, isChunked: hasChunkedBody, to: &pending!)
        case .waitingForHead, .done: returnCredit()
        }
    }

    func streamReceivedEnd(trailers: FieldBlock?) {
        isRequestComplete = true
        upstream?.requestEnded()
        guard hasChunkedBody else { return }
        switch state {
        case .exchanging: upstream!.finishChunks(trailers)
        case .connecting: BodyWriter.finish(trailers, to: &pending!)
        case .waitingForHead, .done: break
        }
    }

    func streamBatchEnded() {
        guard state == .exchanging else { return }
        upstream!.flush()
    }

    func streamBecameWritable() { upstream?.resumeReading() }

    func streamFailed(_ failure: StreamFailure) {
        // The client gave up, or the tunnel is gone: the internal host shall know, by a closed connection.
        guard state != .done else { return }
        state = .done
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
        state = .connecting
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

    private func connected(_ connection: UpstreamConnection) {
        guard state == .connecting, let permit else { return connection.abandon() }
        state = .exchanging
        upstream = connection
        sent = .now()
        connectTime = (sent - connectStarted).nanoseconds
        metrics.connect.record(connectTime)
        connection.begin(self, permit)
        if let pending {
            connection.write(pending)
            self.pending = nil
        }
        connection.flush()
    }

    private func connectFailed(_ error: any Error) {
        guard state == .connecting, let permit else { return }
        refuse(BackendRefusal.connect(error, permit.system))
    }

    /// The connection was closed by the internal host before it said anything.
    ///
    /// A connection from the pool may have been closed just when the request went out; where nothing can be done twice
    /// by it, the request goes out again on a new one (RFC 9112 section 9.3.1).
    func upstreamClosedUnanswered(_ sent: ByteBuffer?, wasReused: Bool, error: (any Error)?) {
        guard state == .exchanging, let permit else { return }
        upstream = nil
        if wasReused, isReplayable, let sent {
            isReplayable = false
            pending = sent
            connect(permit)
        } else {
            refuse(BackendRefusal.closedUnanswered(error, permit.system))
        }
    }

    // MARK: Response

    func responseComplete() {
        state = .done
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
        guard state != .done else { return }
        state = .done
        pending = nil
        let requestID = loop.requestIDs.next()
        let logged = log(refusal, request, requestID: requestID)
        metrics.counts.refusals[refusal.source.rawValue, default: 0] += 1
        if !stream.hasSentHead, !isHead { responseOctets += refusal.text.utf8.count + 1 }
        settle(stream.hasSentHead ? 0 : Int(refusal.status), logged)
        guard !stream.hasSentHead else {
            stream.abort()
            return
        }
        let fields = loop.fields
        fields.removeAll()
        fields.append(status: refusal.status)
        fields.append("content-type", "text/plain; charset=utf-8")
        fields.append("content-length", String(refusal.text.utf8.count + 1))
        fields.append("proxy-status", refusal.proxyStatusField(by: "cloud-connector"))
        fields.append("x-request-id", requestID)
        stream.send(head: fields, isEnd: isHead)
        if !isHead {
            var text = refusal.text + "\n"
            text.withUTF8 { stream.send(body: UnsafeRawBufferPointer($0)) }
            stream.finish(trailers: nil)
        }
        returnCredit()
    }

    private func log(_ refusal: Refusal, _ request: RequestSummary?, requestID: String) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "request_id": "\(requestID)", "status": "\(refusal.status)", "source": "\(refusal.source.rawValue)",
            "phase": "\(refusal.phase.rawValue)", "cause": "\(refusal.cause)", "method": "\(method)",
        ]
        if let permit {
            metadata["virtual_host"] = "\(permit.system.virtualAddress)"
            metadata["path"] = "\(LogText.escaped(permit.target.path))"
            metadata["internal_host"] = "\(permit.system.internalAddress)"
        } else if let request {
            metadata["virtual_host"] = "\(LogText.escaped(request.authority))"
            metadata["path"] = "\(LogText.target(request.path))"
        }
        loop.logger.warning(
            refusal.source == .policy ? "request refused" : "request failed",
            metadata: metadata
        )
        guard refusal.source == .policy || refusal.source == .client, loop.audit.isOn else { return metadata }
        let resource = metadata["path"].map { "resource \($0) on " } ?? ""
        loop.audit.record(
            .accessDenied,
            "Denying access to \(resource)system \(metadata["virtual_host"] ?? "unknown"): \(refusal.cause) "
                + "[\(method), requestId=\(requestID)]"
        )
        return metadata
    }
}
