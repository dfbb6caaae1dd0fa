internal import Cryptography
internal import HostSystem
internal import Logging
internal import NIOCore
internal import Networking
internal import TextFormats
internal import TunnelCore

/// Our own answers.
extension ProxyConnection {
    /// Answers a request ourselves. The connection goes on where the request's end is known.
    func refuse(_ refusal: Refusal) {
        if refusal.status == 429, !isItsTurn(refusal) { return }
        if isUpgrade, inbound.readableBytes > exchange.headLength { exchange.isKeptAlive = false }
        let action = machine.refused(
            isBodiless: isBodiless(refusal),
            mayContinue: exchange.isKeptAlive && !isInputClosed && !loop.isDraining
        )
        guard action != .none else { return }
        let requestID = logFailure(refusal)
        settle(refusal)
        guard case .answer(let isKeptAlive) = action else { return abort() }
        write(refusal, requestID: requestID, isKeptAlive: isKeptAlive)
        flushOutput()
        guard isKeptAlive else { return lingerAndClose() }
        stream = nil
        exchange.place = nil
        if refusal.status == 429 { pause() }
        beginNext()
    }

    /// A request without a body whose tunnel could not be found, or that was one too many: its bytes end with its head.
    private func isBodiless(_ refusal: Refusal) -> Bool {
        let isUnderstood = refusal.source == .tunnel || refusal.status == 429
        guard machine.phase == .head, isUnderstood, exchange.headLength > 0 else { return false }
        let framing = unsafe inbound.withUnsafeReadableBytes { try? unsafe parser.requestFraming($0) }
        return framing?.body == BodyFraming.none
    }

    private func write(_ refusal: Refusal, requestID: RequestID, isKeptAlive: Bool) {
        var head = "HTTP/1.1 \(refusal.status) \(ReasonPhrase.of(Int(refusal.status)))\r\n"
        head += "content-type: text/plain; charset=utf-8\r\ncontent-length: \(refusal.text.utf8.count + 1)\r\n"
        head +=
            "proxy-status: \(refusal.proxyStatusField(by: "connectivity-service"))\r\nx-request-id: \(requestID)\r\n"
        head += "date: \(WallClock.httpDate())\r\n"
        if refusal.status == 407 {
            head += "proxy-authenticate: Bearer realm=\"connectivity\"\r\n"
            head += "proxy-authenticate: Basic realm=\"connectivity\"\r\n"
        }
        if refusal.status == 405 { head += "allow: \(Self.someMethods)\r\n" }
        if let seconds = refusal.retryAfter { head += "retry-after: \(seconds)\r\n" }
        head += isKeptAlive ? "\r\n" : "connection: close\r\n\r\n"
        output.write(head)
        if !exchange.isHead { output.write(refusal.text + "\n") }
    }

    /// In `Allow`, which has to name some; every other method in capitals passes too, but not CONNECT and TRACE.
    private static let someMethods =
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, "
        + "LOCK, UNLOCK, REPORT, SEARCH, MERGE"

    /// One line for each request that failed here; the connector writes its own for those it refuses.
    ///
    /// - Returns: the ID in it.
    @discardableResult
    func logFailure(_ refusal: Refusal) -> RequestID {
        let id = exchange.id ?? exchange.rare?.ownID ?? loop.requestIDs.next()
        exchange.id = id
        var omitted = 0
        if refusal.status == 429 {
            // They come by the thousand, and are all alike.
            guard let count = loop.limitedLog.take(now: exchange.started) else { return id }
            omitted = count
        }
        let requestID = "\(id)"
        if refusal.source == .client || refusal.source == .policy { audit(refusal, requestID: requestID) }
        remember(refusal)
        var metadata: Logger.Metadata = refusal.metadata.mapValues { "\($0)" }
        metadata["request_id"] = "\(requestID)"
        if omitted > 0 { metadata["not_logged"] = "\(omitted)" }
        if group != nil || !groupSubaccount.isEmpty {
            metadata["subaccount"] = "\(LogText.escaped(groupSubaccount.utf8))"
            metadata["location_id"] = "\(LogText.escaped(groupLocationID))"
        }
        if let remote = clientAddress { metadata["client"] = "\(remote.text)" }
        if exchange.headLength > 0 || !parser.method.isEmpty {
            unsafe inbound.withUnsafeReadableBytes { bytes in
                guard parser.target.upperBound <= bytes.count else { return }
                metadata["method"] = unsafe "\(LogText.escaped(slice(bytes, parser.method)))"
                metadata["target"] = unsafe "\(LogText.target(slice(bytes, parser.target)))"
            }
        }
        loop.logger.warning("request failed", metadata: metadata)
        return id
    }
}

extension HeadWriter {
    mutating func requestID(_ id: RequestID) {
        unsafe write("x-request-id: ")
        unsafe withUnsafeTemporaryAllocation(byteCount: RequestID.capacity, alignment: 8) { buffer in
            let count = unsafe id.write(to: buffer.baseAddress!)
            unsafe write(UnsafeRawBufferPointer(start: buffer.baseAddress, count: count))
        }
        unsafe write("\r\n")
    }
}
