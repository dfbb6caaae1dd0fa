internal import NIOCore
internal import TextFormats
internal import TunnelCore

/// Which tunnel a request goes down.
extension ProxyConnection {
    func openStream(_ fields: FieldBlock, _ isEnd: Bool) throws(Refusal) {
        guard let context else { return }
        if let usage = group?.usage {
            guard usage.heldBytes <= loop.configuration.tenants.heldBytes else { throw tenantHoldsTooMuch }
        }
        if let only = chooseOnlyTunnel() {
            exchange.tunnel = only.tunnel
            if open(on: only.handler, fields, isEnd) { return }
            passOver(only.tunnel)
        }
        while true {
            guard
                let tunnel = pinnedTunnel ?? group?.pick(on: context.eventLoop, excluding: exchange.refusedBy)
                    ?? tunnelToPeer
            else { throw exchange.refusedBy.isEmpty ? noTunnel : busyTunnel }
            exchange.tunnel = tunnel
            if tunnel.peer != nil {
                if hand(fields, over: tunnel, isEnd) { return }
                pin = nil
                exchange.refusedBy.append(tunnel.id)
                continue
            }
            exchange.place = Replica.Place(tunnel.replica)
            guard tunnel.eventLoop === context.eventLoop else {
                stream = StreamRelay.open(
                    tunnel,
                    fields,
                    isEnd: isEnd,
                    isTunnel: isUpgrade,
                    receiver: self,
                    clientLoop: context.eventLoop,
                    another: { [weak self] in self?.anotherTunnel() }
                )
                return
            }
            if open(on: tunnel.handler.value, fields, isEnd) { return }
            pin = nil
            passOver(tunnel)
        }
    }

    /// Where a request would wait for too long, the other tunnels of the same connector are no better.
    private func passOver(_ tunnel: RegisteredTunnel) {
        exchange.refusedBy.append(tunnel.id)
        guard exchange.rare?.expectedWait != nil, let group else { return }
        exchange.refusedBy += group.all().filter { $0.replica === tunnel.replica && $0 !== tunnel }.map(\.id)
    }

    // MARK: Other services

    /// The connector has no tunnel here that could take the request, and one at another service.
    private var tunnelToPeer: RegisteredTunnel? {
        // Below zero are those that lead to services.
        guard let group, exchange.refusedBy.count(where: { $0 < 0 }) < StateMachine.maxAttempts else { return nil }
        let names = loop.registry.directory.services(with: group.identity)
        return names.isEmpty ? nil : loop.peers.tunnel(to: names, excluding: exchange.refusedBy)
    }

    private func hand(_ fields: FieldBlock, over tunnel: RegisteredTunnel, _ isEnd: Bool) -> Bool {
        guard let group, let place = loop.peers.place(on: tunnel, for: group),
            open(on: tunnel.handler.value, PeerHead.hand(fields, to: group.identity), isEnd)
        else { return false }
        exchange.place = place
        loop.peers.sentCount += 1
        return true
    }

    /// For a request that the chosen tunnel could not take any more; at most three times.
    private func anotherTunnel() -> RegisteredTunnel? {
        guard let context, let refused = exchange.tunnel, exchange.refusedBy.count < StateMachine.maxAttempts else {
            return nil
        }
        exchange.refusedBy.append(refused.id)
        pin = nil
        exchange.tunnel = group?.pick(on: context.eventLoop, excluding: exchange.refusedBy)
        exchange.place = (exchange.tunnel?.replica).flatMap(Replica.Place.init)
        return exchange.tunnel
    }

    /// - Returns: whether the tunnel took the request.
    private func open(on handler: TunnelHandler, _ fields: FieldBlock, _ isEnd: Bool) -> Bool {
        let session = handler.session
        guard handler.isUsable,
            session.streamCount < session.peerMaxConcurrentStreams + loop.configuration.maxWaiting
        else { return false }
        guard !isUpgrade || handler.hasRoomForConnection else { return false }
        if session.streamCount >= session.peerMaxConcurrentStreams, let group { loop.shedStalled(of: group) }
        let limit = loop.configuration.times.queue
        if let wait = handler.expectedWait(limit), wait > Double(limit.nanoseconds) / 1e9 {
            rare.expectedWait = wait
            return false
        }
        let opened = try? session.openStream(fields, isEnd: isEnd, receiver: self)
        opened?.isTunnel = isUpgrade
        stream = opened
        return opened != nil
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
        guard let pin, let group else { return nil }
        if let peer = pin.tunnel.peer { return loop.peers.link(peer) === pin.tunnel ? pin.tunnel : nil }
        return group.contains(pin.tunnel.id) ? pin.tunnel : nil
    }

    private var noTunnel: Refusal {
        let elsewhere = group.map { loop.registry.directory.services(with: $0.identity) } ?? []
        if let peer = elsewhere.first {
            let cause = loop.peers.failure(of: peer) ?? "it takes no requests now"
            return Refusal(
                status: 503,
                source: .tunnel,
                phase: .tunnel,
                cause: "the connector is connected to the service \(elsewhere.joined(separator: ", ")) only: \(cause)",
                proxyStatus: "destination_unavailable",
                text:
                    "The Cloud Connector is connected to another instance of the connectivity service, which cannot be "
                    + "reached from here. Try again shortly.",
                retryAfter: 1
            )
        }
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
        if let wait = exchange.rare?.expectedWait {
            let seconds = Int(min(wait, 60).rounded(.up))
            return Refusal(
                status: 503,
                source: .tunnel,
                phase: .tunnel,
                cause: wait < 3600
                    ? "all places of the connector's tunnels are taken, and a request would wait for \(Int(wait)) seconds"
                    : "all places of the connector's tunnels are taken, and none has become free of late",
                proxyStatus: "connection_limit_reached",
                text:
                    "The systems behind the Cloud Connector answer more slowly than they are asked. Try again after the time in "
                    + "Retry-After.",
                retryAfter: seconds
            )
        }
        return Refusal(
            status: 503,
            source: .tunnel,
            phase: .tunnel,
            cause: "all tunnels of the connector are busy or draining",
            proxyStatus: "connection_limit_reached",
            text: "All tunnels of the Cloud Connector are busy. Try again shortly.",
            retryAfter: 1
        )
    }

    /// Clients that take nothing of their responses fill the service's memory.
    private var tenantHoldsTooMuch: Refusal {
        Refusal(
            status: 503,
            source: .client,
            phase: .request,
            cause: "the subaccount's clients have not taken \((tenant?.heldBytes ?? 0) >> 20) MiB of responses",
            proxyStatus: "connection_limit_reached",
            text:
                "The programs of this subaccount have not read the responses to earlier requests. Read or abort them, and "
                + "try again.",
            retryAfter: 5
        )
    }
}
