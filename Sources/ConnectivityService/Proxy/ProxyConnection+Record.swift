internal import ControlProtocol
internal import Logging
internal import NIOCore
internal import Telemetry
internal import Tracing
internal import TunnelCore

/// What remains of a request: counts, a line in the access log, a record in the audit log.
extension ProxyConnection {
    /// Counts a request once, at its end.
    ///
    /// - Parameters:
    ///   - refusal: set where we answered it ourselves.
    ///   - isCut: the response could not be completed.
    func settle(_ refusal: Refusal? = nil, isCut: Bool = false) {
        guard exchange.isOpen || refusal != nil else { return }
        exchange.isOpen = false
        let status = refusal.map { Int($0.status) } ?? (isCut || !exchange.isResponseComplete ? 0 : exchange.status)
        metrics.counts.answered(status)
        metrics.counts.requestOctets += exchange.requestOctets
        metrics.counts.responseOctets += exchange.responseOctets
        if let refusal { metrics.counts.refusals[refusal.source.rawValue, default: 0] += 1 }
        guard let rare = exchange.rare else { return }
        if let access = rare.access { logAccess(access, status) }
        if let span = rare.span { end(span, status) }
    }

    func beginSpan(_ value: UnsafeRawBufferPointer) {
        guard exchange.rare?.span == nil, let parent = TraceParent(value), parent.isSampled else { return }
        var context = ServiceContext.topLevel
        context[TraceParentKey.self] = parent
        rare.span = InstrumentationSystem.tracer.startAnySpan(
            "connectivity service request",
            context: context,
            ofKind: .server
        )
    }

    private func end(_ span: any Span, _ status: Int) {
        span.updateAttributes { attributes in
            attributes["http.response.status_code"] = status
            attributes["connector.location_id"] = LogText.escaped(groupLocationID)
            attributes["connector.tunnel_us"] = Int(exchange.tunnelTime / 1000)
        }
        if status == 0 || status >= 500 { span.setStatus(SpanStatus(code: .error)) }
        span.end()
        exchange.rare?.span = nil
    }

    private func logAccess(_ access: String, _ status: Int) {
        let milliseconds = Double((NIODeadline.now() - exchange.started).nanoseconds / 1000) / 1000
        loop.logger.info(
            "access",
            metadata: [
                "request": "\(access)", "status": "\(status == 0 ? "incomplete" : String(status))",
                "client": "\(context?.remoteAddress?.text ?? "")",
                "location_id": "\(LogText.escaped(groupLocationID))",
                "request_octets": "\(exchange.requestOctets)", "response_octets": "\(exchange.responseOctets)",
                "ms": "\(milliseconds)",
            ]
        )
    }

    func audit(_ refusal: Refusal, requestID: String) {
        guard loop.audit.isOn else { return }
        var request = ""
        if exchange.headLength > 0 || !parser.method.isEmpty {
            inbound.withUnsafeReadableBytes { octets in
                guard parser.target.upperBound <= octets.count else { return }
                request =
                    LogText.escaped(slice(octets, parser.method)) + " " + LogText.target(slice(octets, parser.target))
            }
        }
        loop.audit.record(
            .accessDenied,
            "Denying access for \(context?.remoteAddress?.text ?? "a client") to \(request): \(refusal.cause) "
                + "[requestId=\(requestID)]"
        )
    }

    // MARK: Recent refusals

    /// One of our own.
    func remember(_ refusal: Refusal) {
        remember(
            status: Int(refusal.status),
            RefusalReport(
                side: "connectivity-service",
                source: refusal.source.rawValue,
                phase: refusal.phase.rawValue,
                cause: refusal.cause
            )
        )
    }

    /// One of the connector, if these are the fields of one.
    func remember(refusedBy fields: FieldBlock) {
        for index in 1..<max(1, fields.count) where fields.known(index) == .proxy {
            let value = String(decoding: fields.value(index), as: UTF8.self)
            guard let report = RefusalReport(proxyStatus: value) else { continue }
            remember(status: fields.value(0).reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }, report)
        }
    }

    private func remember(status: Int, _ report: RefusalReport) {
        var (method, target) = ("", "")
        if let head = exchange.rare?.head, exchange.headLength == 0 {
            for index in 0..<head.count {
                let (name, value) = (head.name(index), head.value(index))
                if Octets.isExactly(name, ":method") { method = LogText.escaped(value) }
                if Octets.isExactly(name, ":authority") { target = "http://" + LogText.escaped(value) }
                if Octets.isExactly(name, ":path") { target += LogText.target(value) }
            }
        } else {
            inbound.withUnsafeReadableBytes { octets in
                guard parser.target.upperBound <= octets.count else { return }
                method = LogText.escaped(slice(octets, parser.method))
                target = LogText.target(slice(octets, parser.target))
            }
        }
        loop.refusals.record(
            RecentRefusals.Entry(
                time: WallClock.seconds(),
                subaccount: groupSubaccount.isEmpty ? loop.configuration.subaccount : groupSubaccount,
                locationID: LogText.escaped(groupLocationID),
                method: method.bounded(40),
                target: target.bounded(512),
                status: status,
                source: report.source,
                phase: report.phase,
                cause: report.cause.bounded(300),
                side: report.side
            )
        )
    }
}
