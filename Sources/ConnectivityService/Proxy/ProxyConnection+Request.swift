internal import AccessPolicy
internal import Cryptography
internal import NIOCore
internal import Networking
internal import Telemetry
internal import TextFormats
internal import TunnelCore

extension ProxyConnection {
    /// Takes as much of `inbound` as the phase allows.
    func process() {
        // Called again from within, it leaves the rest to the call that is under way.
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        while true {
            switch machine.phase {
            case .head:
                guard inbound.readableBytes > 0, turn == nil else { return }
                guard readHead() else { return }
            case .body:
                guard inbound.readableBytes > 0 else { return }
                readBody()
                if machine.phase == .body { return }
            case .waiting:
                return updateReading()
            case .lingering, .upgraded, .closed:
                return
            }
        }
    }

    /// - Returns: whether a head was complete, so that there may be more to do.
    private func readHead() -> Bool {
        do throws(HTTP1Error) {
            let wasIdle = parser.isIdle
            let isComplete = try unsafe inbound.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) in
                try unsafe parser.parse(bytes)
            }
            guard isComplete else {
                if wasIdle { deadline = loop.sweeper.tick + loop.ticks.requestHead }
                return false
            }
        } catch {
            // Nothing of the request before counts any more, not even that it was a HEAD.
            exchange = Exchange()
            exchange.started = .now()
            listAsRecent()
            refuse(Refusal(error, loop.configuration.limits))
            return true
        }
        exchange = Exchange()
        exchange.minorVersion = parser.minorVersion
        exchange.headLength = parser.headLength
        exchange.isOpen = true
        exchange.started = .now()
        listAsRecent()
        if loop.configuration.accessLog { rare.access = accessText }
        let isConnect = unsafe inbound.withUnsafeReadableBytes { unsafe self.isConnect($0) }
        if isConnect { openInside() } else { sendRequest() }
        return true
    }

    /// Sends the request whose head is parsed, or answers it.
    func sendRequest() {
        let bytes = inbound
        let wasBound = binding != nil
        do throws(Refusal) {
            try unsafe bytes.withUnsafeReadableBytes { (bytes) throws(Refusal) in
                let framing = try unsafe prepareRequest(bytes)
                try admit()
                try openStream(loop.fields, framing.body == .none && !isUpgrade)
                // The bytes of the head make room for the body; should the tunnel refuse, it must go out again.
                if framing.body != .none { rare.head = loop.fields.copy() }
                begin(framing)
            }
        } catch {
            if !wasBound { binding = nil }
            refuse(error)
        }
    }

    private func begin(_ framing: HTTP1HeadParser.RequestFraming) {
        deadline = loop.sweeper.tick + loop.ticks.bodyGrace
        bodyRemainder = 0
        machine.requestOpened(hasBody: framing.body != .none)
        guard framing.body != .none else {
            deadline = loop.sweeper.tick + loop.ticks.responseHead
            return
        }
        body = HTTP1BodyReader(framing.body, of: .request)
        dropHead()
    }

    /// The head's bytes are no longer needed.
    func dropHead() {
        guard exchange.headLength > 0 else { return }
        inbound.moveReaderIndex(forwardBy: exchange.headLength)
        exchange.headLength = 0
        parser.reset()
    }

    // MARK: Head

    /// Checks the head and fills `loop.fields` with the request as it travels through the tunnel.
    private func prepareRequest(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> HTTP1HeadParser.RequestFraming {
        if loop.audit.isBlocking { throw Self.auditFailed }
        if loop.memory.isShort { throw Self.noMemory }
        let method = unsafe slice(bytes, parser.method)
        exchange.isHead = unsafe Bytes.isExactly(method, "HEAD")
        if let refusal = unsafe refusal(forMethod: method) { throw refusal }
        let target = unsafe slice(bytes, parser.target)
        let parts: RequestTarget.Parts
        do throws(RequestTargetError) {
            parts = try unsafe RequestTarget.Parts(target.assumingMemoryBound(to: UInt8.self).span)
        } catch {
            throw unsafe error == .unsupportedScheme && target.starts(with: "https".utf8)
                ? Self.httpsRefusal : Refusal(badRequest: error.rawValue)
        }
        let framing: HTTP1HeadParser.RequestFraming
        do throws(HTTP1Error) { framing = try unsafe parser.requestFraming(bytes) } catch {
            throw Refusal(error, loop.configuration.limits)
        }
        exchange.isKeptAlive = framing.isKeptAlive

        let fields = loop.fields
        fields.removeAll()
        if framing.isWebSocketUpgrade {
            unsafe beginUpgrade(bytes, method, framing)
        } else {
            unsafe fields.append(":method", method)
        }
        fields.append(":scheme", "http")
        let authority = try unsafe authority(parts, target, framing, bytes)
        if let inside { try unsafe authorityInside(inside, named: authority) }
        unsafe fields.append(":authority", authority)
        let isOptions = unsafe Bytes.isExactly(method, "OPTIONS")
        if parts.isAsterisk, !isOptions {
            throw Refusal(badRequest: RequestTargetError.asteriskWithoutOptions.rawValue)
        }
        if isOptions, parts.authority != nil, parts.originForm.isEmpty {
            // The last proxy sends "*" (RFC 9112 section 3.2.4).
            fields.append(":path", "*")
        } else if parts.needsLeadingSlash {
            let rest = unsafe slice(target, parts.originForm)
            unsafe withUnsafeTemporaryAllocation(byteCount: rest.count + 1, alignment: 1) { path in
                unsafe path[0] = UInt8(ascii: "/")
                unsafe UnsafeMutableRawBufferPointer(rebasing: path[1...]).copyMemory(from: rest)
                unsafe fields.append(":path", UnsafeRawBufferPointer(path))
            }
        } else {
            unsafe fields.append(":path", slice(target, parts.originForm))
        }
        try unsafe appendFields(bytes, framing)
        try unsafe checkBinding(authority)
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

    static let noMemory = Refusal(
        status: 503,
        source: .internal,
        phase: .request,
        cause: "the service is short of memory",
        proxyStatus: "connection_limit_reached",
        text: "The connectivity service is short of memory and takes no new requests. Try again shortly.",
        retryAfter: 5
    )

    private func refusal(forMethod method: UnsafeRawBufferPointer) -> Refusal? {
        if unsafe Bytes.isExactly(method, "CONNECT") { return Self.connectRefusal }
        // TRACE would echo what other hops added; methods in lower case are not registered ones, only misread ones.
        let hasLowerCase = unsafe method.contains { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") }
        if unsafe hasLowerCase || Bytes.isExactly(method, "TRACE") || Bytes.isExactly(method, "TRACK") {
            return Refusal(HTTP1Error.unsupportedMethod, loop.configuration.limits)
        }
        return nil
    }

    /// Host and port of the target; of `Host` where the target has none. A `Host` beside a target that has them does not
    /// count (RFC 9112 section 3.2.2), but must be one.
    private func authority(
        _ parts: RequestTarget.Parts,
        _ target: UnsafeRawBufferPointer,
        _ framing: HTTP1HeadParser.RequestFraming,
        _ bytes: UnsafeRawBufferPointer
    ) throws(Refusal) -> UnsafeRawBufferPointer {
        var host: UnsafeRawBufferPointer?
        if let range = framing.host {
            let text = unsafe slice(bytes, range)
            if parts.authority != nil, range.isEmpty { return unsafe whole(parts, target) }
            do throws(RequestTargetError) {
                _ = try unsafe RequestAuthority(text.assumingMemoryBound(to: UInt8.self).span, in: 0..<text.count)
                unsafe host = text
            } catch {
                throw Refusal(badRequest: error.rawValue)
            }
        }
        if parts.authority != nil { return unsafe whole(parts, target) }
        guard let host = unsafe host else { throw Refusal(HTTP1Error.missingHost, loop.configuration.limits) }
        return unsafe host
    }

    /// From the host to where path and query begin: "host" or "host:port".
    private func whole(_ parts: RequestTarget.Parts, _ target: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        unsafe slice(target, (parts.authority?.host.lowerBound ?? 0)..<parts.originForm.lowerBound)
    }

    func appendFields(
        _ bytes: UnsafeRawBufferPointer,
        _ framing: HTTP1HeadParser.RequestFraming
    ) throws(Refusal) {
        let fields = loop.fields
        var locationID: UnsafeRawBufferPointer?
        var credentials = unsafe RequestCredentials()
        if !loop.configuration.proxyPeers.ranges.isEmpty { unsafe noteClient(bytes) }
        for index in 0..<parser.fieldCount {
            let field = parser[index]
            let value = unsafe slice(bytes, field.value)
            // Cases, not comparisons: those of another module's enumeration are calls.
            switch field.known {
            case .other:
                if framing.nominatesFields, unsafe parser.isNominated(field, bytes) { continue }
            case .contentLength where isUpgrade:
                // Of no bytes; in the tunnel it would be that of the whole connection.
                continue
            case .locationID:
                try unsafe set(&locationID, value, "SAP-Connectivity-SCC-Location_ID")
                continue
            case let known where known.isCredential && !field.hasUnderscore:
                // The names have no underscore, and what has one is not what it looks like.
                try unsafe take(known, value, &credentials)
                continue
            case .traceParent where loop.configuration.isTracing:
                unsafe beginSpan(value)
            case .requestID, .correlationID:
                if exchange.rare?.ownID == nil, let id = unsafe RequestID(value) { rare.ownID = id }
            default: break
            }
            guard Self.isForwarded(field) else { continue }
            unsafe fields.append(slice(bytes, field.name), value, known: field.known)
        }
        let id = exchange.rare?.ownID ?? loop.requestIDs.next()
        exchange.id = id
        fields.append(id)
        if loop.configuration.accessLog { fields.append("sap-connectivity-time", "1") }
        if framing.isWebSocketUpgrade, !isUpgrade { fields.append("sap-connectivity-upgrade", "websocket") }
        if let pin { unsafe pin.value.withUnsafeBytes { unsafe fields.append("sap-connectivity-pin", $0) } }
        try unsafe authorize(credentials)
        try unsafe selectGroup(locationID)
    }

    private static func isForwarded(_ field: HTTP1HeadParser.Field) -> Bool {
        if case .other = field.known { return true }
        return !field.hasUnderscore && (field.known.isForwardedInRequest || field.known.tellsOfProxies)
    }

    private func take(
        _ field: KnownField,
        _ value: UnsafeRawBufferPointer,
        _ credentials: inout RequestCredentials
    ) throws(Refusal) {
        switch field {
        case .userToken: try unsafe set(&credentials.user, value, "SAP-Connectivity-Authentication")
        case .technicalUserToken:
            try unsafe set(&credentials.technicalUser, value, "SAP-Connectivity-Technical-Authentication")
        default:
            // Without tokens it says nothing.
            guard loop.configuration.tokens != nil else { return }
            try unsafe set(&credentials.authorization, value, "Proxy-Authorization")
        }
    }

    private func set(
        _ slot: inout UnsafeRawBufferPointer?,
        _ value: UnsafeRawBufferPointer,
        _ name: StaticString
    ) throws(Refusal) {
        guard unsafe slot == nil else {
            throw Refusal(
                status: 400,
                source: .client,
                phase: .request,
                cause: "more than one \(name)",
                proxyStatus: "http_request_error",
                text: "The request has more than one \(name) header."
            )
        }
        unsafe slot = value
    }

    private func selectGroup(_ locationID: UnsafeRawBufferPointer?) throws(Refusal) {
        guard unsafe locationID == nil, let inside, !inside.locationID.isEmpty else {
            return try unsafe selectGroup(named: locationID ?? UnsafeRawBufferPointer(start: nil, count: 0))
        }
        var failure: Refusal?
        unsafe inside.locationID.withUnsafeBytes { bytes in
            do throws(Refusal) { try unsafe selectGroup(named: bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func selectGroup(named locationID: UnsafeRawBufferPointer) throws(Refusal) {
        let isSame = unsafe groupLocationID.withUnsafeBytes { unsafe Bytes.isEqual($0, locationID) }
        let subaccount = subaccount
        if group != nil, isSame, groupSubaccount == subaccount { return }
        if loop.configuration.isStrict, binding != nil, !isSame || groupSubaccount != subaccount { throw otherTunnel }
        groupLocationID = unsafe Array(locationID)
        groupSubaccount = subaccount
        pin = nil
        onlyTunnelVersion = -1
        defer { metrics = loop.metrics(of: group) }
        group = unsafe loop.registry.group(
            ConnectorIdentity(
                subaccount: subaccount,
                locationID: String(decoding: locationID, as: UTF8.self)
            )
        )
        guard count(for: group?.usage) else { throw tenantAtShare }
    }

    private var tenantAtShare: Refusal {
        Refusal(
            status: 503,
            source: .client,
            phase: .request,
            cause: "the subaccount has \(loop.tenantShare) connections, and may have no more",
            proxyStatus: "connection_limit_reached",
            text:
                "The programs of this subaccount have \(loop.tenantShare) connections open, which is their share. Close "
                + "unused ones, or try again shortly.",
            retryAfter: 5
        )
    }

    // MARK: Body

    private func readBody() {
        extendDeadline(inbound.readableBytes)
        do throws(HTTP1Error) {
            let bytes = inbound
            let consumed = try unsafe bytes.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) -> Int in
                body.rewind()
                while case .data(let range) = try unsafe body.next(bytes) {
                    exchange.requestBytes += range.count
                    unsafe stream?.send(body: slice(bytes, range))
                }
                return body.consumed
            }
            inbound.moveReaderIndex(forwardBy: consumed)
        } catch {
            abandonStream()
            refuse(Refusal(error, loop.configuration.limits))
            return
        }
        if body.isFinished { finishRequest() }
        updateReading()
    }

    /// Bytes buy time, up to the limit between two of them: a body has to come at a rate, and may pause.
    private func extendDeadline(_ bytes: Int) {
        let latest = loop.sweeper.tick + loop.ticks.requestBody
        guard loop.ticks.bodyBytes > 0 else { return deadline = latest }
        bodyRemainder += bytes
        deadline = min(latest, deadline + bodyRemainder / loop.ticks.bodyBytes)
        bodyRemainder %= loop.ticks.bodyBytes
    }

    private var hasResponse: Bool { machine.response != .none }

    private func finishRequest() {
        stream?.finish(trailers: body.trailers)
        machine.requestEnded()
        deadline = loop.sweeper.tick + (hasResponse ? loop.ticks.exchange : loop.ticks.responseHead)
    }
}

@inline(__always)
func slice(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(rebasing: bytes[range])
}
