internal import Cryptography
internal import EpollTransport
internal import NIOCore
internal import Telemetry
internal import TextFormats
internal import TunnelCore

extension ProxyConnection: StreamReceiver {
    func streamReceived(interim fields: FieldBlock) {
        // HTTP/1.0 clients know no interim responses (RFC 9110 section 15.2).
        guard exchange.minorVersion == 1, machine.response == .none else { return }
        writeHead(fields, isInterim: true, isEnd: false)
        flushOutput()
    }

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        if isUpgrade, isSwitch(fields), !isEnd { return switchProtocols(fields) }
        guard machine.responseStarted() else { return }
        if let first = unsafe fields.value(0).first, first >= UInt8(ascii: "4") { remember(refusedBy: fields) }
        exchange.rare?.head = nil
        let total = (NIODeadline.now() - exchange.started).nanoseconds
        exchange.tunnelTime = total
        metrics.total.record(total)
        dropHead()
        if machine.phase == .waiting { deadline = loop.sweeper.tick + loop.ticks.exchange }
        writeHead(fields, isInterim: false, isEnd: isEnd)
        if isEnd { streamReceivedEnd(trailers: nil) }
    }

    func streamReceived(body: UnsafeRawBufferPointer) {
        exchange.uncredited += body.count
        exchange.responseBytes += body.count
        guard !exchange.isHead else { return }
        if exchange.isResponseChunked {
            unsafe output.write(upTo: 20) { target in
                var writer = unsafe HeadWriter(target)
                unsafe writer.hexadecimal(body.count)
                unsafe writer.write("\r\n")
                return unsafe writer.count
            }
            unsafe output.write(body)
            output.write("\r\n")
        } else {
            unsafe output.write(body)
        }
    }

    func streamReceivedEnd(trailers: FieldBlock?) {
        let action = machine.responseEnded()
        guard action != .none else { return }
        if exchange.isResponseChunked {
            output.write("0\r\n")
            if let trailers { write(trailers: trailers) }
            output.write("\r\n")
        }
        if action == .finish { return finishExchange() }
        settle()
        exchange.isKeptAlive = false
        flushOutput()
        stream?.cancel(.cancel)
        stream = nil
        lingerAndClose()
    }

    func streamBatchEnded() { flushOutput() }

    func streamBecameWritable() { updateReading() }

    func streamFailed(_ failure: StreamError) {
        let unsent = (stream as? HTTP2Stream)?.unsent
        stream = nil
        let action = machine.streamFailed(
            failure,
            hasHead: exchange.headLength > 0 && exchange.tunnel != nil,
            hasUnsent: unsent != nil,
            attempts: exchange.refusedBy.count
        )
        switch action {
        case .none: break
        case .abort:
            let refusal = brokenOff(failure)
            logFailure(refusal)
            count(refusal)
            flushOutput()
            cutResponse()
        case .resend:
            if let tunnel = exchange.tunnel { exchange.refusedBy.append(tunnel.id) }
            pin = nil
            sendRequest()
            process()
        case .sendElsewhere:
            if let unsent, sendElsewhere(unsent) { return }
            refuse(Self.notProcessed)
        case .refuse: refuse(lost(failure))
        }
    }

    static func refusal(for failure: StreamError) -> Refusal {
        switch failure {
        case .refused: notProcessed
        case .tooManyInterimResponses: tooManyInterimResponses
        case .reset(let code): reset(code, phase: .responseHead)
        case .tunnelClosed: tunnelLost("the tunnel closed before the response was complete")
        case .tunnelBroken: tunnelLost("the connector broke the HTTP/2 protocol, so the tunnel was closed")
        case .tunnelSilent:
            tunnelLost("the connector has been silent for two ping intervals, so the tunnel was given up")
        }
    }

    /// Where the request went through another service, the connection to that is what was lost.
    private func lost(_ failure: StreamError) -> Refusal {
        guard let peer = exchange.tunnel?.peer else { return Self.refusal(for: failure) }
        switch failure {
        case .tunnelClosed, .tunnelBroken: return Self.tunnelLost("the connection to the service \(peer) was lost")
        case .tunnelSilent: return Self.tunnelLost("the service \(peer) has been silent for two ping intervals")
        default: return Self.refusal(for: failure)
        }
    }

    /// The cause where a part of the response has gone to the client.
    private func brokenOff(_ failure: StreamError) -> Refusal {
        guard case .reset(let code) = failure else {
            var refusal = lost(failure)
            refusal.phase = .responseBody
            return refusal
        }
        return Self.reset(code, phase: .responseBody)
    }

    /// The connector gave up on one request, and the tunnel is as it was.
    private static func reset(_ code: UInt32, phase: Refusal.Phase) -> Refusal {
        let isBackend = code == HTTP2ErrorCode.internalError.rawValue && phase == .responseBody
        let cause =
            isBackend
            ? "the internal host failed within the response; the connector's log says why"
            : "the request was reset with HTTP/2 error \(code)"
        return Refusal(
            status: 502,
            source: isBackend ? .backend : .tunnel,
            phase: phase,
            cause: cause,
            proxyStatus: isBackend ? "http_response_incomplete" : "connection_terminated",
            text: "The Cloud Connector did not complete the response: \(cause)."
        )
    }

    /// Ends a response that is not complete, so that the client keeps what it has and does not take it for all.
    private func cutResponse() {
        guard exchange.isDelimited else { return abort() }
        settle(isCut: true)
        exchange.isKeptAlive = false
        stream = nil
        hold(0)
        lingerAndClose()
    }

    /// A request whose tunnel was taken away before any of it was sent.
    ///
    /// - Returns: whether another tunnel has it now.
    private func sendElsewhere(_ unsent: HTTP2Stream.Unsent) -> Bool {
        guard let head = exchange.rare?.head, let tunnel = exchange.tunnel else { return false }
        exchange.refusedBy.append(tunnel.id)
        pin = nil
        guard (try? openStream(head, false)) != nil else { return false }
        for piece in unsent.body { unsafe piece.withUnsafeReadableBytes { unsafe stream?.send(body: $0) } }
        if unsent.isFinished { stream?.finish(trailers: unsent.trailers) }
        updateReading()
        return true
    }

    static let notProcessed = Refusal(
        status: 503,
        source: .tunnel,
        phase: .tunnel,
        cause: "the tunnel was taken away before the request was processed",
        proxyStatus: "connection_terminated",
        text: "The tunnel to the Cloud Connector was taken away before it processed the request. Send it again.",
        retryAfter: 1
    )

    static let tooManyInterimResponses = Refusal(
        status: 502,
        source: .tunnel,
        phase: .responseHead,
        cause: "the connector sent more interim responses than one request may have",
        proxyStatus: "http_protocol_error",
        text: "The Cloud Connector sent more interim responses (1xx) than one request may have."
    )

    private static func tunnelLost(_ cause: String) -> Refusal {
        Refusal(
            status: 502,
            source: .tunnel,
            phase: .responseHead,
            cause: cause,
            proxyStatus: "connection_terminated",
            text:
                "The tunnel to the Cloud Connector was lost before the response arrived: \(cause). The request may have "
                + "been processed."
        )
    }

    /// The response is complete and so is the request: on to the next one.
    func finishExchange() {
        settle()
        // A stream that might have carried a connection would tell of its end when another request is in progress.
        if isUpgrade {
            stream?.cancel(.cancel)
            // Frames that did not wait for the answer are no request.
            if inbound.readableBytes > exchange.headLength { exchange.isKeptAlive = false }
        }
        stream = nil
        exchange.place = nil
        flushOutput()
        hold(0)
        guard exchange.isKeptAlive, !isInputClosed else { return lingerAndClose() }
        beginNext()
    }

    func beginNext() {
        dropHead()
        machine.nextRequest()
        deadline = loop.sweeper.tick + loop.ticks.keepAlive
        output.release()
        updateReading()
        if inbound.readableBytes > 0 {
            process()
        } else {
            loop.buffers.giveBack(Swift.exchange(&inbound, with: ByteBuffer()))
        }
    }

    // MARK: Writing

    /// Hands the channel all that was written, and gives back the credit for it: only as fast as the client reads.
    func flushOutput() {
        guard let context else { return }
        guard isWritable else { return hold(exchange.uncredited) }
        if let buffer = output.take() { context.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }
        if exchange.uncredited > 0, isWritable {
            stream?.returnCredit(exchange.uncredited)
            exchange.uncredited = 0
            if machine.phase == .waiting { deadline = loop.sweeper.tick + loop.ticks.exchange }
        }
        hold(exchange.uncredited)
    }

    private func writeHead(_ fields: FieldBlock, isInterim: Bool, isEnd: Bool) {
        var hasLength = false
        var hasID = false
        let status = unsafe fields.value(0)
        let code = unsafe status.reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }
        if !isInterim { exchange.status = code }
        unsafe output.write(upTo: fields.size + 256 + RequestID.capacity) { target in
            var writer = unsafe HeadWriter(target)
            unsafe writer.write("HTTP/1.1 ")
            unsafe writer.write(status)
            unsafe writer.write(" ")
            unsafe writer.write(reason(fields, code))
            unsafe writer.write("\r\n")
            for index in 1..<max(1, fields.count) {
                let known = fields.known(index)
                // Cases, not comparisons: those of another module's enumeration are calls.
                switch known {
                case .other: break
                case .contentLength: hasLength = true
                case .requestID: hasID = true
                case .pin: unsafe keepPin(fields.value(index))
                case .timing: unsafe subtract(fields.value(index))
                default: break
                }
                guard known.isForwardedInResponse else { continue }
                unsafe writer.field(fields.name(index), fields.value(index))
            }
            if !isInterim {
                if !hasID, let id = exchange.id { unsafe writer.requestID(id) }
                unsafe writeFraming(&writer, code, hasLength: hasLength, isEnd: isEnd)
            }
            unsafe writer.write("\r\n")
            return unsafe writer.count
        }
    }

    /// As the internal host wrote it, where that is not the usual one.
    private func reason(_ fields: FieldBlock, _ code: Int) -> UnsafeRawBufferPointer {
        for index in 1..<max(1, fields.count) {
            guard case .reason = fields.known(index) else { continue }
            let value = unsafe fields.value(index)
            if value.count <= 256 { return unsafe value }
        }
        return unsafe ReasonPhrase.of(code).bytes
    }

    private func writeFraming(_ writer: inout HeadWriter, _ code: Int, hasLength: Bool, isEnd: Bool) {
        let hasBody = !exchange.isHead && code != 204 && code != 304
        exchange.isDelimited = hasLength || isEnd || exchange.minorVersion == 1
        if hasBody, !hasLength {
            if isEnd {
                unsafe writer.write("content-length: 0\r\n")
            } else if exchange.minorVersion == 1 {
                exchange.isResponseChunked = true
                unsafe writer.write("transfer-encoding: chunked\r\n")
            } else {
                exchange.isKeptAlive = false
            }
        }
        // An answer before the end of the request: what is left of that will not be read (RFC 9112 section 9.6).
        if machine.phase == .body { exchange.isKeptAlive = false }
        if !exchange.isKeptAlive || isInputClosed || loop.isDraining {
            exchange.isKeptAlive = false
            unsafe writer.write("connection: close\r\n")
        } else if exchange.minorVersion == 0 {
            unsafe writer.write("connection: keep-alive\r\n")
        }
    }

    private func keepPin(_ value: UnsafeRawBufferPointer) {
        guard let tunnel = exchange.tunnel else { return }
        pin = unsafe (tunnel, Array(value))
    }

    /// What the connector spent inside, "connect wait" in microseconds, was not spent in the tunnel.
    private func subtract(_ value: UnsafeRawBufferPointer) {
        var connect: Int64 = 0
        var number: Int64 = 0
        for index in 0..<min(value.count, 40) {
            let byte = unsafe value[index]
            if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                number = (number &* 10 &+ Int64(byte - UInt8(ascii: "0"))) & 0xFF_FFFF_FFFF
            } else {
                connect = number
                number = 0
            }
        }
        exchange.tunnelTime = max(0, exchange.tunnelTime - (connect + number) * 1000)
        (rare.connectTime, rare.backendTime) = (connect, number)
        metrics.tunnel.record(exchange.tunnelTime)
    }

    private func write(trailers: FieldBlock) {
        unsafe output.write(upTo: trailers.size + 8) { target in
            var writer = unsafe HeadWriter(target)
            for index in 0..<trailers.count where trailers.known(index).isForwardedInTrailers {
                unsafe writer.field(trailers.name(index), trailers.value(index))
            }
            return unsafe writer.count
        }
    }
}
