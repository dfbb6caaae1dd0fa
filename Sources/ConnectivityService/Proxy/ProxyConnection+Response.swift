internal import Logging
internal import NIOCore
internal import Telemetry
internal import TunnelCore

extension ProxyConnection: StreamReceiver {
    func streamReceived(interim fields: FieldBlock) {
        // HTTP/1.0 clients know no interim responses (RFC 9110 section 15.2).
        guard exchange.minorVersion == 1, !exchange.isResponseStarted else { return }
        writeHead(fields, isInterim: true, isEnd: false)
        flushOutput()
    }

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        guard !exchange.isResponseStarted else { return }
        exchange.isResponseStarted = true
        if let first = fields.value(0).first, first >= UInt8(ascii: "4") { remember(refusedBy: fields) }
        exchange.rare?.head = nil
        let total = (NIODeadline.now() - exchange.started).nanoseconds
        exchange.tunnelTime = total
        metrics.total.record(total)
        dropHead()
        if phase == .waiting { deadline = loop.sweeper.tick + loop.ticks.exchange }
        writeHead(fields, isInterim: false, isEnd: isEnd)
        if isEnd { streamReceivedEnd(trailers: nil) }
    }

    func streamReceived(body: UnsafeRawBufferPointer) {
        exchange.uncredited += body.count
        exchange.responseOctets += body.count
        guard !exchange.isHead else { return }
        if exchange.isResponseChunked {
            output.write(upTo: 20) { target in
                var writer = HeadWriter(target)
                writer.hexadecimal(body.count)
                writer.write("\r\n")
                return writer.count
            }
            output.write(body)
            output.write("\r\n")
        } else {
            output.write(body)
        }
    }

    func streamReceivedEnd(trailers: FieldBlock?) {
        guard !exchange.isResponseComplete else { return }
        exchange.isResponseComplete = true
        if exchange.isResponseChunked {
            output.write("0\r\n")
            if let trailers { write(trailers: trailers) }
            output.write("\r\n")
        }
        if exchange.isRequestComplete {
            finishExchange()
        } else {
            // An early answer: the rest of the request is of no use to anyone.
            settle()
            exchange.isKeptAlive = false
            flushOutput()
            stream?.cancel(.cancel)
            stream = nil
            lingerAndClose()
        }
    }

    func streamBatchEnded() { flushOutput() }

    func streamBecameWritable() { updateReading() }

    func streamFailed(_ failure: StreamFailure) {
        let unsent = (stream as? HTTP2Stream)?.unsent
        stream = nil
        guard phase == .body || phase == .waiting, !exchange.isResponseComplete else { return }
        if exchange.isResponseStarted {
            // The connector has said why in its log if it was the backend.
            if failure == .tunnelClosed { logFailure(Self.tunnelLost, requestID: loop.requestIDs.next()) }
            flushOutput()
            abort()
        } else if failure == .refused, exchange.isRequestComplete, exchange.headLength > 0,
            let tunnel = exchange.tunnel, exchange.refusedBy.count < 3
        {
            // Never processed, and nothing of it is lost: another tunnel may take it (RFC 9113 section 8.7).
            exchange.refusedBy.append(tunnel.id)
            pin = nil
            phase = .head
            sendRequest()
            process()
        } else if failure == .refused {
            if let unsent, sendElsewhere(unsent) { return }
            refuse(Self.notProcessed)
        } else {
            refuse(Self.tunnelLost)
        }
    }

    /// A request whose tunnel was taken away before any of it was sent.
    ///
    /// - Returns: whether another tunnel has it now.
    private func sendElsewhere(_ unsent: HTTP2Stream.Unsent) -> Bool {
        guard let head = exchange.rare?.head, let tunnel = exchange.tunnel, exchange.refusedBy.count < 3 else {
            return false
        }
        exchange.refusedBy.append(tunnel.id)
        pin = nil
        guard (try? openStream(head, false)) != nil else { return false }
        for piece in unsent.body { piece.withUnsafeReadableBytes { stream?.send(body: $0) } }
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

    static let tunnelLost = Refusal(
        status: 502,
        source: .tunnel,
        phase: .responseHead,
        cause: "the tunnel closed before the response was complete",
        proxyStatus: "connection_terminated",
        text: "The tunnel to the Cloud Connector closed before the response arrived. The request may have been "
            + "processed."
    )

    /// The response is complete and so is the request: on to the next one.
    func finishExchange() {
        settle()
        stream = nil
        flushOutput()
        guard exchange.isKeptAlive, !isInputClosed else { return lingerAndClose() }
        dropHead()
        phase = .head
        deadline = loop.sweeper.tick + loop.ticks.keepAlive
        updateReading()
        if inbound.readableBytes > 0 { process() }
    }

    // MARK: Writing

    /// Hands the channel all that was written, and gives back the credit for it: only as fast as the client reads.
    func flushOutput() {
        guard let context, isWritable else { return }
        if let buffer = output.take() { context.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }
        if exchange.uncredited > 0, isWritable {
            stream?.returnCredit(exchange.uncredited)
            exchange.uncredited = 0
            if phase == .waiting { deadline = loop.sweeper.tick + loop.ticks.exchange }
        }
    }

    private func writeHead(_ fields: FieldBlock, isInterim: Bool, isEnd: Bool) {
        var hasLength = false
        var hasDate = false
        let status = fields.value(0)
        let code = status.reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }
        if !isInterim { exchange.status = code }
        output.write(upTo: fields.size + 256) { target in
            var writer = HeadWriter(target)
            writer.write("HTTP/1.1 ")
            writer.write(status)
            writer.write(" ")
            writer.write(StatusText.reason(code).octets)
            writer.write("\r\n")
            for index in 1..<max(1, fields.count) {
                let known = fields.known(index)
                switch known {
                case .pin: keepPin(fields.value(index))
                case .timing: subtract(fields.value(index))
                default: break
                }
                guard known.isForwardedInResponse else { continue }
                if known == .contentLength { hasLength = true }
                writer.field(fields.name(index), fields.value(index))
                hasDate = hasDate || fields.name(index).count == 4
            }
            if !isInterim { writeFraming(&writer, code, hasLength: hasLength, isEnd: isEnd) }
            writer.write("\r\n")
            return writer.count
        }
    }

    private func writeFraming(_ writer: inout HeadWriter, _ code: Int, hasLength: Bool, isEnd: Bool) {
        let hasBody = !exchange.isHead && code != 204 && code != 304
        if hasBody, !hasLength {
            if isEnd {
                writer.write("content-length: 0\r\n")
            } else if exchange.minorVersion == 1 {
                exchange.isResponseChunked = true
                writer.write("transfer-encoding: chunked\r\n")
            } else {
                exchange.isKeptAlive = false
            }
        }
        if !exchange.isKeptAlive || isInputClosed || loop.isDraining {
            exchange.isKeptAlive = false
            writer.write("connection: close\r\n")
        } else if exchange.minorVersion == 0 {
            writer.write("connection: keep-alive\r\n")
        }
    }

    private func keepPin(_ value: UnsafeRawBufferPointer) {
        guard let tunnel = exchange.tunnel else { return }
        pin = (tunnel, Array(value))
    }

    /// What the connector spent inside, "connect wait" in microseconds, was not spent in the tunnel.
    private func subtract(_ value: UnsafeRawBufferPointer) {
        var microseconds: Int64 = 0
        var number: Int64 = 0
        for octet in value.prefix(40) {
            if octet >= UInt8(ascii: "0"), octet <= UInt8(ascii: "9") {
                number = (number &* 10 &+ Int64(octet - UInt8(ascii: "0"))) & 0xFF_FFFF_FFFF
            } else {
                microseconds += number
                number = 0
            }
        }
        exchange.tunnelTime = max(0, exchange.tunnelTime - (microseconds + number) * 1000)
        metrics.tunnel.record(exchange.tunnelTime)
    }

    private func write(trailers: FieldBlock) {
        output.write(upTo: trailers.size + 8) { target in
            var writer = HeadWriter(target)
            for index in 0..<trailers.count where trailers.known(index).isForwardedInTrailers {
                writer.field(trailers.name(index), trailers.value(index))
            }
            return writer.count
        }
    }

    // MARK: Our own answers

    /// Answers a request ourselves. The connection goes on where the request's end is known.
    func refuse(_ refusal: Refusal) {
        guard phase != .lingering, phase != .closed else { return }
        let requestID = loop.requestIDs.next()
        logFailure(refusal, requestID: requestID)
        settle(refusal)
        guard !exchange.isResponseStarted || phase == .head else { return abort() }
        let isFramed = phase == .waiting && exchange.isRequestComplete || isBodiless(refusal)
        let isKeptAlive = isFramed && exchange.isKeptAlive && !isInputClosed && !loop.isDraining
        write(refusal, requestID: requestID, isKeptAlive: isKeptAlive)
        flushOutput()
        guard isKeptAlive else { return lingerAndClose() }
        exchange.isResponseComplete = true
        finishRefused()
    }

    /// A request without a body whose tunnel could not be found: its octets end with its head.
    private func isBodiless(_ refusal: Refusal) -> Bool {
        guard phase == .head, refusal.source == .tunnel, exchange.headLength > 0 else { return false }
        let framing = inbound.withUnsafeReadableBytes { try? parser.requestFraming($0) }
        return framing?.body == BodyFraming.none
    }

    private func finishRefused() {
        stream = nil
        dropHead()
        phase = .head
        deadline = loop.sweeper.tick + loop.ticks.keepAlive
        updateReading()
        if inbound.readableBytes > 0 { process() }
    }

    private func write(_ refusal: Refusal, requestID: String, isKeptAlive: Bool) {
        var head = "HTTP/1.1 \(refusal.status) \(StatusText.reason(Int(refusal.status)))\r\n"
        head += "content-type: text/plain; charset=utf-8\r\ncontent-length: \(refusal.text.utf8.count + 1)\r\n"
        head +=
            "proxy-status: \(refusal.proxyStatusField(by: "connectivity-service"))\r\nx-request-id: \(requestID)\r\n"
        if refusal.status == 407 { head += "proxy-authenticate: Bearer realm=\"connectivity\"\r\n" }
        if refusal.status == 405 { head += "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" }
        if let seconds = refusal.retryAfter { head += "retry-after: \(seconds)\r\n" }
        head += isKeptAlive ? "\r\n" : "connection: close\r\n\r\n"
        output.write(head)
        if !exchange.isHead { output.write(refusal.text + "\n") }
    }

    /// One line for each request that failed here; the connector writes its own for those it refuses.
    func logFailure(_ refusal: Refusal, requestID: String) {
        if refusal.source == .client || refusal.source == .policy { audit(refusal, requestID: requestID) }
        remember(refusal)
        var metadata: Logger.Metadata = [
            "request_id": "\(requestID)", "status": "\(refusal.status)", "source": "\(refusal.source.rawValue)",
            "phase": "\(refusal.phase.rawValue)", "cause": "\(refusal.cause)",
        ]
        if let remote = context?.remoteAddress { metadata["client"] = "\(remote.text)" }
        if exchange.headLength > 0 || !parser.method.isEmpty {
            inbound.withUnsafeReadableBytes { octets in
                guard parser.target.upperBound <= octets.count else { return }
                metadata["method"] = "\(LogText.escaped(slice(octets, parser.method)))"
                metadata["target"] = "\(LogText.target(slice(octets, parser.target)))"
            }
        }
        loop.logger.warning("request failed", metadata: metadata)
    }
}
