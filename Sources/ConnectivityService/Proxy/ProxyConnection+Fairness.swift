internal import AccessPolicy
internal import NIOCore
internal import Networking
internal import TextFormats
internal import Tokens
internal import TunnelCore

/// What a request counts for, where something is limited.
extension ProxyConnection {
    /// The meters of the last request, which mostly are those of the next one.
    struct Metered {
        let group: TunnelGroup?
        let authority: [UInt8]
        let client: [UInt8]
        let names: MeteredNames
    }

    /// Lets the request begin.
    ///
    /// - Throws: where its subaccount, its client or its virtual host has all that it may have.
    func admit() throws(Refusal) {
        let limits = loop.configuration.tenants.fairness
        // One that is sent again on another tunnel was let in already.
        guard limits.isOn, exchange.admission == nil else { return }
        let own = limits.share(of: 1 + loop.registry.directory.otherServices)
        let now = Int64(exchange.started.uptimeNanoseconds)
        var excess: (scope: RequestMeters.Scope, Excess)?
        exchange.admission = Admission(meteredNames(now), own, now: now, excess: &excess)
        guard let excess else { return }
        loop.meters.refused(excess.scope)
        throw tooMuch(excess.scope, excess.1)
    }

    /// The request is over; what was upgraded is, when its connection is.
    func endAdmission() {
        guard let admission = exchange.admission else { return }
        exchange.admission = nil
        admission.bytes = exchange.requestBytes + exchange.responseBytes
        admission.end(now: Int64(NIODeadline.now().uptimeNanoseconds))
    }

    private func meteredNames(_ now: Int64) -> MeteredNames {
        let authority = virtualHost
        let client = principal.token.map { Array($0.token.client.utf8) } ?? address
        if let metered, metered.group === group, metered.authority == authority, metered.client == client,
            metered.names.isCurrent
        {
            return metered.names
        }
        let meters = loop.meters
        let names = MeteredNames(
            subaccount: meters.meter(.subaccount(Array(subaccount.utf8)), now: now),
            client: meters.meter(.client(client), now: now),
            virtualHost: group.map { meters.meter(.virtualHost($0.identity, authority), now: now) }
        )
        metered = Metered(group: group, authority: authority, client: client, names: names)
        return names
    }

    /// Host and port in one form, however the program has written them.
    private var virtualHost: [UInt8] {
        let fields = loop.fields
        guard let index = (0..<fields.count).first(where: { unsafe Bytes.equals(fields.name($0), ":authority") }) else {
            return []
        }
        let written = unsafe fields.value(index)
        let text = unsafe written.assumingMemoryBound(to: UInt8.self).span
        guard let parsed = try? RequestAuthority(text, in: 0..<text.count) else { return [] }
        return unsafe written[parsed.host].map { Bytes.lowercased($0) } + Array(":\(parsed.port)".utf8)
    }

    /// Without its port.
    private var address: [UInt8] { Array((clientAddress?.ipAddress ?? "").utf8) }

    // MARK: Turns

    /// Who asks for too much and does not wait would have nothing but refusals made, at the expense of all others.
    ///
    /// - Returns: whether the refusal may be answered now.
    func isItsTurn(_ refusal: Refusal) -> Bool {
        if turn != nil {
            turn = nil
            return true
        }
        guard let context else { return false }
        let turn = RefusalTurn(self, .answer(refusal))
        switch loop.turns.asks(turn, now: .now()) {
        case .now: return true
        case .later:
            self.turn = turn
            updateReading()
            loop.planTurns(on: context.eventLoop)
        case .never: abort()
        }
        return false
    }

    func pause() {
        guard let context else { return }
        let turn = RefusalTurn(self, .pause)
        self.turn = turn
        loop.turns.pauses(turn, now: .now())
        loop.planTurns(on: context.eventLoop)
    }

    /// A request is complete, and its answer has to wait: neither its client nor time ends it.
    var isAnswerDue: Bool {
        if case .answer? = turn?.phase { true } else { false }
    }

    func leaveTurn() {
        turn?.leave()
        turn = nil
    }

    fileprivate func takeTurn(_ due: RefusalTurn) {
        switch due.phase {
        case .answer(let refusal): refuse(refusal)
        case .pause: turn = nil
        }
        updateReading()
        process()
    }

    private func tooMuch(_ scope: RequestMeters.Scope, _ excess: Excess) -> Refusal {
        let who =
            switch scope {
            case .subaccount: "The programs of this subaccount"
            case .client: "This client"
            case .virtualHost: "The callers of this virtual host"
            }
        let what =
            switch excess.kind {
            case .inFlight: "have \(excess.limit) requests in flight, and may have no more"
            case .rate: "send more than \(excess.limit) requests a second"
            case .bytes: "have moved more than \(excess.limit >> 10) KiB a second"
            }
        return Refusal(
            status: 429,
            source: .client,
            phase: .request,
            cause: "limits.per-\(scope == .virtualHost ? "virtual-host" : scope.rawValue): \(what)",
            proxyStatus: "http_request_denied",
            text:
                "\(who) \(scope == .client ? what.replacing("have ", with: "has ").replacing("send ", with: "sends ") : what). "
                + "Try again after the time in Retry-After.",
            retryAfter: excess.wait
        )
    }
}

extension ProxyLoop {
    /// Has turns taken when they are due.
    func planTurns(on eventLoop: any EventLoop) {
        guard let next = turns.next else { return }
        if let planned = plannedTurns {
            guard next + RefusalTurns<RefusalTurn>.rest < planned.at else { return }
            planned.timer.cancel()
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let at = max(next, .now() + RefusalTurns<RefusalTurn>.rest)
        let timer = eventLoop.scheduleTask(deadline: at) {
            bound.value.plannedTurns = nil
            bound.value.takeTurns(.now())
            bound.value.planTurns(on: bound.eventLoop)
        }
        plannedTurns = (at, timer)
    }

    private func takeTurns(_ now: NIODeadline) {
        for _ in 0..<RefusalTurns<RefusalTurn>.batch {
            switch turns.takeDue(now: now) {
            case .answer(let turn)?, .goOn(let turn)?: turn.connection?.takeTurn(turn)
            case nil: return
            }
        }
    }
}
