internal import Cryptography
internal import NIOCore
internal import TextFormats
internal import TunnelCore

/// What the internal host answers.
extension UpstreamConnection {
    func readResponse() {
        do throws(HTTP1Error) {
            while inbound.readableBytes > 0, machine.isBusy {
                if machine.isReadingBody { return try readBody() }
                guard try readHead() else { return }
            }
        } catch {
            let limits = loop.configuration.responseLimits
            end(BackendRefusal.invalidResponse(error, system, limits, isBody: machine.isReadingBody))
        }
    }

    /// - Returns: whether a head was complete.
    private func readHead() throws(HTTP1Error) -> Bool {
        guard let request else { return false }
        let isComplete = try unsafe inbound.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) in
            try unsafe parser.parse(bytes)
        }
        guard isComplete else { return false }
        let action = machine.headReceived(
            status: Int(parser.status),
            maxInterim: loop.configuration.maxInterim,
            isUpgrade: request.webSocketKey != nil
        )
        switch action {
        case .switchProtocols:
            try switchProtocols(request)
            return false
        case .refuseUpgrade:
            end(BackendRefusal.unexpectedUpgrade(system))
            return false
        case .refuseInterim:
            end(BackendRefusal.tooManyInterimResponses(system, loop.configuration.maxInterim))
            return false
        case .passInterim, .passFinal: break
        }
        let isInterim = action == .passInterim
        let framing = try unsafe inbound.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) in
            let framing = try unsafe parser.responseFraming(bytes, isHead: request.isHead)
            if framing.body == .chunked {
                // While nothing has been sent on, what is wrong with a chunk can still be answered.
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[parser.headLength...])
                try unsafe HTTP1BodyReader(framing.body, of: .response).check(rest)
            }
            if !isInterim { request.answered(Int(parser.status)) }
            unsafe ResponseHead.write(parser, bytes, framing, self, request)
            return framing
        }
        inbound.moveReaderIndex(forwardBy: parser.headLength)
        parser.reset()
        if isInterim {
            request.stream.send(interim: loop.fields)
            return true
        }
        machine.bodyFollows(isKeptAlive: framing.isKeptAlive)
        body = HTTP1BodyReader(framing.body, of: .response)
        keepAlive = framing.keepAlive
        request.stream.send(head: loop.fields, isEnd: framing.body == .none)
        if framing.body == .none { complete() }
        return true
    }

    /// The response cannot go on, nor can the connection.
    func end(_ refusal: Refusal) {
        let failed = request
        request = nil
        _ = machine.closing()
        letGo()
        failed?.responseFailed(refusal)
    }

    /// Sends on what there is of the body: large pieces as they are, small ones copied.
    private func readBody() throws(HTTP1Error) {
        guard let stream = request?.stream else { return }
        let input = inbound
        let consumed = try unsafe input.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) -> Int in
            body.rewind()
            while case .data(let range) = try unsafe body.next(bytes) {
                request?.responseBytes += range.count
                if range.count >= Self.largePiece,
                    let piece = input.getSlice(at: input.readerIndex + range.lowerBound, length: range.count)
                {
                    stream.send(body: piece)
                } else {
                    unsafe stream.send(body: UnsafeRawBufferPointer(rebasing: bytes[range]))
                }
            }
            return body.consumed
        }
        inbound.moveReaderIndex(forwardBy: consumed)
        if body.isFinished {
            stream.finish(trailers: body.trailers)
            complete()
        } else {
            isReadHeld = stream.isCongested
        }
    }

    /// The response has been read to its end.
    private func complete() {
        guard let request else { return }
        resumeReading()
        let isPrivate = request.hasConnectionAuthentication && pin == nil
        let action = machine.responseEnded(
            isRequestComplete: request.isRequestComplete,
            hasMore: inbound.readableBytes > 0 || body.isLenient
        )
        request.responseComplete()
        self.request = nil
        guard action == .keep else { return letGo() }
        // Bound to one client that could not get a pin.
        guard !isPrivate else { return close() }
        keep()
    }

    /// For the next request, no longer than the internal host has announced, less the second that a request may need to get
    /// there (RFC 9112 section 9.3).
    private func keep() {
        output.release()
        parser.reset()
        idleSince = .now()
        var limit = pin == nil ? loop.configuration.poolIdle : loop.configuration.pinnedIdle
        if let keepAlive { limit = min(limit, .seconds(Int64(min(keepAlive, 86400)) - 1)) }
        guard limit > .zero else { return close() }
        usableUntil = idleSince + limit
        deadline = loop.sweeper.deadline(in: limit)
        if pin == nil, !loop.keep(self) { close() }
    }
}
