internal import AccessPolicy
internal import NIOCore
internal import Telemetry
internal import TunnelCore

extension ProxyConnection {
    /// Takes as much of `inbound` as the phase allows.
    func process() {
        // Called again from within, it leaves the rest to the call that is under way.
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        while true {
            switch phase {
            case .head:
                guard inbound.readableBytes > 0 else { return }
                guard readHead() else { return }
            case .body:
                guard inbound.readableBytes > 0 else { return }
                readBody()
                if phase == .body { return }
            case .waiting:
                return updateReading()
            case .lingering, .closed:
                return
            }
        }
    }

    /// - Returns: whether a head was complete, so that there may be more to do.
    private func readHead() -> Bool {
        do throws(HTTP1Error) {
            let wasIdle = parser.isIdle
            let isComplete = try inbound.withUnsafeReadableBytes { (octets) throws(HTTP1Error) in
                try parser.parse(octets)
            }
            guard isComplete else {
                if wasIdle { deadline = loop.sweeper.tick + loop.ticks.requestHead }
                return false
            }
        } catch {
            // Nothing of the request before counts any more, not even that it was a HEAD.
            exchange = Exchange()
            refuse(Refusal(error))
            return true
        }
        exchange = Exchange()
        exchange.minorVersion = parser.minorVersion
        exchange.headLength = parser.headLength
        exchange.isOpen = true
        exchange.started = .now()
        if loop.configuration.accessLog { rare.access = accessText }
        sendRequest()
        return true
    }

    private var accessText: String {
        inbound.withUnsafeReadableBytes { octets in
            LogText.escaped(slice(octets, parser.method)) + " " + LogText.target(slice(octets, parser.target))
        }
    }

    /// Sends the request whose head is parsed, or answers it.
    func sendRequest() {
        let octets = inbound
        let wasBound = binding != nil
        do throws(Refusal) {
            try octets.withUnsafeReadableBytes { (octets) throws(Refusal) in
                let framing = try prepareRequest(octets)
                try openStream(loop.fields, framing.body == .none)
                // The octets of the head make room for the body; should the tunnel refuse, it must go out again.
                if framing.body != .none { rare.head = loop.fields.copy() }
                begin(framing)
            }
        } catch {
            if !wasBound { binding = nil }
            refuse(error)
        }
    }

    private func begin(_ framing: HTTP1HeadParser.RequestFraming) {
        deadline = loop.sweeper.tick + loop.ticks.requestBody
        switch framing.body {
        case .none:
            exchange.isRequestComplete = true
            phase = .waiting
            deadline = loop.sweeper.tick + loop.ticks.exchange
        case .length(let length):
            exchange.requestRemaining = length
            dropHead()
            phase = .body
        case .chunked:
            exchange.chunks = ChunkedDecoder()
            dropHead()
            phase = .body
        case .untilClose:
            preconditionFailure("a request body never ends with the connection")
        }
    }

    /// The head's octets are no longer needed.
    func dropHead() {
        guard exchange.headLength > 0 else { return }
        inbound.moveReaderIndex(forwardBy: exchange.headLength)
        exchange.headLength = 0
        parser.reset()
    }

    // MARK: Head

    /// Checks the head and fills `loop.fields` with the request as it travels through the tunnel.
    private func prepareRequest(_ octets: UnsafeRawBufferPointer) throws(Refusal) -> HTTP1HeadParser.RequestFraming {
        if loop.audit.isBlocking { throw Self.auditFailed }
        let method = slice(octets, parser.method)
        exchange.isHead = Octets.isExactly(method, "HEAD")
        if let refusal = refusal(forMethod: method) { throw refusal }
        let target = slice(octets, parser.target)
        let parts: RequestTarget.Parts
        do throws(RequestTargetError) {
            parts = try RequestTarget.Parts(target.assumingMemoryBound(to: UInt8.self).span)
        } catch {
            throw error == .unsupportedScheme && target.starts(with: "https".utf8)
                ? Self.httpsRefusal : Refusal(badRequest: error.rawValue)
        }
        let framing: HTTP1HeadParser.RequestFraming
        do throws(HTTP1Error) { framing = try parser.requestFraming(octets) } catch { throw Refusal(error) }
        exchange.isKeptAlive = framing.isKeptAlive

        let fields = loop.fields
        fields.removeAll()
        fields.append(":method", method)
        fields.append(":scheme", "http")
        let authority = try authority(parts, target, framing, octets)
        fields.append(":authority", authority)
        if parts.needsLeadingSlash {
            let rest = slice(target, parts.originForm)
            withUnsafeTemporaryAllocation(byteCount: rest.count + 1, alignment: 1) { path in
                path[0] = UInt8(ascii: "/")
                UnsafeMutableRawBufferPointer(rebasing: path[1...]).copyMemory(from: rest)
                fields.append(":path", UnsafeRawBufferPointer(path))
            }
        } else {
            fields.append(":path", slice(target, parts.originForm))
        }
        try appendFields(octets, framing)
        try checkBinding(authority)
        return framing
    }

    static let auditFailed = Refusal(
        status: 503,
        source: .internal,
        phase: .request,
        cause: "the audit log cannot be written, and requests are not to pass without it",
        proxyStatus: "proxy_internal_error",
        text: "The request was refused because it cannot be audited. The operator's log says why.",
        retryAfter: 5
    )

    private func refusal(forMethod method: UnsafeRawBufferPointer) -> Refusal? {
        if Octets.isExactly(method, "CONNECT") { return Self.httpsRefusal }
        // TRACE would echo what other hops added; methods in lower case are no registered ones, only misread ones.
        let hasLowerCase = method.contains { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") }
        if hasLowerCase || Octets.isExactly(method, "TRACE") || Octets.isExactly(method, "TRACK") {
            return Refusal(HTTP1Error.unsupportedMethod)
        }
        return nil
    }

    static let httpsRefusal = Refusal(
        status: 405,
        source: .client,
        phase: .request,
        cause: "HTTPS proxying is not supported",
        proxyStatus: "http_request_denied",
        text: "HTTPS proxying is not supported: use http:// in the URL, also where the internal system speaks HTTPS."
    )

    /// Host and port of the target; of `Host` where the target has none. Both must agree (RFC 9112 section 3.2).
    private func authority(
        _ parts: RequestTarget.Parts,
        _ target: UnsafeRawBufferPointer,
        _ framing: HTTP1HeadParser.RequestFraming,
        _ octets: UnsafeRawBufferPointer
    ) throws(Refusal) -> UnsafeRawBufferPointer {
        var host: (RequestAuthority, UnsafeRawBufferPointer)?
        if let range = framing.host {
            let text = slice(octets, range)
            do throws(RequestTargetError) {
                host = (try RequestAuthority(text.assumingMemoryBound(to: UInt8.self).span, in: 0..<text.count), text)
            } catch {
                throw Refusal(badRequest: error.rawValue)
            }
        }
        guard let authority = parts.authority else {
            guard let host else { throw Refusal(HTTP1Error.missingHost) }
            return host.1
        }
        if let host {
            let isSame = RequestAuthority.sameSystem(
                authority,
                in: target.assumingMemoryBound(to: UInt8.self).span,
                host.0,
                in: host.1.assumingMemoryBound(to: UInt8.self).span
            )
            guard isSame else { throw Refusal(HTTP1Error.hostMismatch) }
        }
        // From the host to where path and query begin: "host" or "host:port".
        return slice(target, authority.host.lowerBound..<parts.originForm.lowerBound)
    }

    private func appendFields(
        _ octets: UnsafeRawBufferPointer,
        _ framing: HTTP1HeadParser.RequestFraming
    ) throws(Refusal) {
        let fields = loop.fields
        var locationID: UnsafeRawBufferPointer?
        var credentials = RequestCredentials()
        for index in 0..<parser.fieldCount {
            let field = parser[index]
            if field.known == .locationID {
                try set(&locationID, slice(octets, field.value), "SAP-Connectivity-SCC-Location_ID")
                continue
            }
            // The names have no underscore, and what has one is not what it looks like.
            if field.known.isCredential, !field.hasUnderscore {
                try take(field.known, slice(octets, field.value), &credentials)
                continue
            }
            if field.known == .traceParent, loop.configuration.isTracing { beginSpan(slice(octets, field.value)) }
            guard field.known.isForwardedInRequest, field.known == .other || !field.hasUnderscore else { continue }
            if framing.nominatesFields, field.known == .other, parser.isNominated(field, octets) { continue }
            fields.append(slice(octets, field.name), slice(octets, field.value), known: field.known)
        }
        if framing.isWebSocketUpgrade { fields.append("sap-connectivity-upgrade", "websocket") }
        if let pin { pin.value.withUnsafeBytes { fields.append("sap-connectivity-pin", $0) } }
        try authorize(credentials)
        try selectGroup(locationID)
    }

    private func take(
        _ field: KnownField,
        _ value: UnsafeRawBufferPointer,
        _ credentials: inout RequestCredentials
    ) throws(Refusal) {
        switch field {
        case .userToken: try set(&credentials.user, value, "SAP-Connectivity-Authentication")
        case .technicalUserToken:
            try set(&credentials.technicalUser, value, "SAP-Connectivity-Technical-Authentication")
        default:
            // Without tokens it says nothing.
            guard loop.configuration.tokens != nil else { return }
            try set(&credentials.authorization, value, "Proxy-Authorization")
        }
    }

    private func set(
        _ slot: inout UnsafeRawBufferPointer?,
        _ value: UnsafeRawBufferPointer,
        _ name: StaticString
    ) throws(Refusal) {
        guard slot == nil else {
            throw Refusal(
                status: 400,
                source: .client,
                phase: .request,
                cause: "more than one \(name)",
                proxyStatus: "http_request_error",
                text: "The request has more than one \(name) header."
            )
        }
        slot = value
    }

    private func selectGroup(_ locationID: UnsafeRawBufferPointer?) throws(Refusal) {
        let locationID = locationID ?? UnsafeRawBufferPointer(start: nil, count: 0)
        let isSame = groupLocationID.withUnsafeBytes { Octets.isEqual($0, locationID) }
        let subaccount = subaccount
        if group != nil, isSame, groupSubaccount == subaccount { return }
        if loop.configuration.isStrict, binding != nil, !isSame || groupSubaccount != subaccount { throw otherTunnel }
        groupLocationID = Array(locationID)
        groupSubaccount = subaccount
        pin = nil
        onlyTunnelVersion = -1
        defer { metrics = loop.metrics(of: group) }
        group = loop.registry.group(
            ConnectorIdentity(
                subaccount: subaccount,
                locationID: String(decoding: locationID, as: UTF8.self)
            )
        )
    }

    // MARK: Tunnel

    func openStream(_ fields: FieldBlock, _ isEnd: Bool) throws(Refusal) {
        guard let context else { return }
        if let only = chooseOnlyTunnel() {
            exchange.tunnel = only.tunnel
            if open(on: only.handler, fields, isEnd) { return }
            exchange.refusedBy.append(only.tunnel.id)
        }
        while true {
            guard let tunnel = pinnedTunnel ?? group?.pick(on: context.eventLoop, excluding: exchange.refusedBy) else {
                throw exchange.refusedBy.isEmpty ? noTunnel : busyTunnel
            }
            exchange.tunnel = tunnel
            guard tunnel.eventLoop === context.eventLoop else {
                stream = StreamRelay.open(
                    tunnel,
                    fields,
                    isEnd: isEnd,
                    receiver: self,
                    clientLoop: context.eventLoop,
                    another: { [weak self] in self?.anotherTunnel() }
                )
                return
            }
            if open(on: tunnel.handler.value, fields, isEnd) { return }
            pin = nil
            exchange.refusedBy.append(tunnel.id)
        }
    }

    /// For a request that the chosen tunnel could not take any more; at most three times.
    private func anotherTunnel() -> RegisteredTunnel? {
        guard let context, let refused = exchange.tunnel, exchange.refusedBy.count < 3 else { return nil }
        exchange.refusedBy.append(refused.id)
        pin = nil
        exchange.tunnel = group?.pick(on: context.eventLoop, excluding: exchange.refusedBy)
        return exchange.tunnel
    }

    /// - Returns: whether the tunnel took the request.
    private func open(on handler: TunnelHandler, _ fields: FieldBlock, _ isEnd: Bool) -> Bool {
        let session = handler.session
        guard handler.isUsable,
            session.streamCount < session.peerMaxConcurrentStreams + loop.configuration.maxWaiting
        else { return false }
        stream = try? session.openStream(fields, isEnd: isEnd, receiver: self)
        return stream != nil
    }

    /// The usual case without a look at the group: one tunnel on this loop, and nothing has changed.
    private func chooseOnlyTunnel() -> (tunnel: RegisteredTunnel, handler: TunnelHandler)? {
        guard let group, let context, pin == nil, exchange.refusedBy.isEmpty else { return nil }
        let version = group.version
        if version != onlyTunnelVersion {
            onlyTunnelVersion = version
            onlyTunnel = group.only(on: context.eventLoop).map { ($0, $0.handler.value) }
        }
        return onlyTunnel
    }

    private var pinnedTunnel: RegisteredTunnel? {
        guard let pin, let group, group.contains(pin.tunnel.id) else { return nil }
        return pin.tunnel
    }

    private var noTunnel: Refusal {
        let locationID = LogText.escaped(groupLocationID)
        return Refusal(
            status: 503,
            source: .tunnel,
            phase: .tunnel,
            cause: "no connector is connected for this subaccount and location ID",
            proxyStatus: "destination_unavailable",
            text: "There is no SAP Cloud Connector (SCC) connected to your subaccount matching the requested tunnel "
                + "for subaccount \"\(LogText.escaped(groupSubaccount.utf8))\" and SCC location ID \"\(locationID)\". "
                + "Check that the Cloud Connector runs and that the location ID is the one it has.",
            retryAfter: 5
        )
    }

    private var busyTunnel: Refusal {
        Refusal(
            status: 503,
            source: .tunnel,
            phase: .tunnel,
            cause: "all tunnels of the connector are busy or draining",
            proxyStatus: "connection_limit_reached",
            text: "All tunnels of the Cloud Connector are busy. Try again shortly.",
            retryAfter: 1
        )
    }

    // MARK: Body

    private func readBody() {
        deadline = loop.sweeper.tick + loop.ticks.requestBody
        if exchange.chunks == nil {
            let count = min(exchange.requestRemaining, inbound.readableBytes)
            inbound.readWithUnsafeReadableBytes { octets in
                stream?.send(body: UnsafeRawBufferPointer(rebasing: octets[..<count]))
                return count
            }
            exchange.requestRemaining -= count
            exchange.requestOctets += count
            if exchange.requestRemaining == 0 { finishRequest() }
        } else {
            readChunks()
        }
        updateReading()
    }

    private func readChunks() {
        var isFinished = false
        do throws(HTTP1Error) {
            let octets = inbound
            let consumed = try octets.withUnsafeReadableBytes { (octets) throws(HTTP1Error) -> Int in
                exchange.chunks!.consumed = 0
                while true {
                    switch try exchange.chunks!.next(octets) {
                    case .data(let range):
                        exchange.requestOctets += range.count
                        stream?.send(body: slice(octets, range))
                    case .trailer(let name, let value): keepTrailer(name, value)
                    case .needMore: return exchange.chunks!.consumed
                    case .finished:
                        isFinished = true
                        return exchange.chunks!.consumed
                    }
                }
            }
            inbound.moveReaderIndex(forwardBy: consumed)
        } catch {
            abandonStream()
            refuse(Refusal(error))
            return
        }
        if isFinished { finishRequest() }
    }

    private func keepTrailer(_ name: Range<Int>, _ value: Range<Int>) {
        exchange.chunks!.trailerLine.withUnsafeBytes { line in
            let name = slice(line, name)
            let identified = KnownField.identify(name)
            guard identified.field.isForwardedInTrailers else { return }
            let trailers = exchange.trailers ?? FieldBlock(capacity: 256, fields: 8)
            trailers.append(name, slice(line, value))
            exchange.trailers = trailers
        }
    }

    private func finishRequest() {
        exchange.isRequestComplete = true
        stream?.finish(trailers: exchange.trailers)
        phase = .waiting
        deadline = loop.sweeper.tick + loop.ticks.exchange
        if exchange.isResponseComplete { finishExchange() }
    }
}

@inline(__always)
func slice(_ octets: UnsafeRawBufferPointer, _ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: octets[range])
}
