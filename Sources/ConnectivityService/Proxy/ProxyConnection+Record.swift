internal import ControlProtocol
internal import HostSystem
internal import Logging
internal import NIOCore
internal import Networking
internal import Telemetry
internal import TextFormats
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
        endAdmission()
        let isOver = machine.response == .complete || machine.phase == .upgraded
        let status = refusal.map { Int($0.status) } ?? (isCut || !isOver ? 0 : exchange.status)
        metrics.counts.answered(status)
        metrics.counts.requestBytes += exchange.requestBytes
        metrics.counts.responseBytes += exchange.responseBytes
        if let refusal { count(refusal) }
        loop.recent.update(exchange.recent) { entry in
            (entry.id, entry.group, entry.ended) = (exchange.id, group, .now())
            (entry.requestBytes, entry.responseBytes) = (exchange.requestBytes, exchange.responseBytes)
            (entry.connectTime, entry.backendTime) = (exchange.rare?.connectTime, exchange.rare?.backendTime)
            entry.status = status
        }
        guard let rare = exchange.rare else { return }
        if let access = rare.access { logAccess(access, status) }
        if let span = rare.span { end(span, status) }
    }

    /// Gives it a place among the last requests.
    func listAsRecent() {
        exchange.recent = unsafe inbound.withUnsafeReadableBytes { bytes in
            // Of a head that is broken there may be nothing to name.
            let isThere = parser.target.upperBound <= bytes.count
            return unsafe loop.recent.begin(
                method: isThere ? slice(bytes, parser.method) : UnsafeRawBufferPointer(start: nil, count: 0),
                target: isThere ? slice(bytes, parser.target) : UnsafeRawBufferPointer(start: nil, count: 0),
                exchange.started
            )
        }
    }

    var accessText: String {
        unsafe inbound.withUnsafeReadableBytes { bytes in
            unsafe LogText.escaped(slice(bytes, parser.method)) + " " + LogText.target(slice(bytes, parser.target))
        }
    }

    /// Counts why a request failed, or broke off.
    func count(_ refusal: Refusal) {
        metrics.counts.refusals[RefusalKey(refusal.source, refusal.phase, refusal.proxyStatus), default: 0] += 1
    }

    func beginSpan(_ value: UnsafeRawBufferPointer) {
        guard exchange.rare?.span == nil, let parent = unsafe TraceParent(value), parent.isSampled else { return }
        var context = ServiceContext.topLevel
        context[TraceParentKey.self] = parent
        rare.span = InstrumentationSystem.tracer.startAnySpan(
            "connectivity service request",
            context: context,
            ofKind: .server
        )
    }

    func endSpan(_ status: Int) {
        if let span = exchange.rare?.span { end(span, status) }
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
        func milliseconds(_ microseconds: Int64) -> Logger.MetadataValue { "\(Double(microseconds) / 1000)" }
        var times: Logger.Metadata = [:]
        if let rare = exchange.rare, let connect = rare.connectTime, let backend = rare.backendTime {
            times = [
                "tunnel_ms": milliseconds(exchange.tunnelTime / 1000), "connect_ms": milliseconds(connect),
                "backend_ms": milliseconds(backend),
            ]
        }
        loop.logger.info(
            "access",
            metadata: [
                "request_id": "\(exchange.id.map(\.description) ?? "")", "request": "\(access)",
                "status": "\(status == 0 ? "incomplete" : String(status))",
                "client": "\(clientAddress?.text ?? "")",
                "location_id": "\(LogText.escaped(groupLocationID))",
                "request_bytes": "\(exchange.requestBytes)", "response_bytes": "\(exchange.responseBytes)",
                "ms": milliseconds((NIODeadline.now() - exchange.started).nanoseconds / 1000),
            ].merging(times) { $1 }.filter { $0.value != "" }
        )
    }

    func audit(_ refusal: Refusal, requestID: String) {
        guard loop.audit.isOn else { return }
        var request = ""
        if exchange.headLength > 0 || !parser.method.isEmpty {
            unsafe inbound.withUnsafeReadableBytes { bytes in
                guard parser.target.upperBound <= bytes.count else { return }
                request =
                    unsafe LogText.escaped(slice(bytes, parser.method)) + " "
                    + LogText.target(slice(bytes, parser.target))
            }
        }
        loop.audit.record(
            .accessDenied,
            "Denying access for \(clientAddress?.text ?? "a client") to \(request): \(refusal.cause) "
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
                source: refusal.source,
                phase: refusal.phase,
                error: "\(refusal.proxyStatus)",
                cause: refusal.cause
            )
        )
    }

    /// One of the connector, if these are the fields of one.
    func remember(refusedBy fields: FieldBlock) {
        for index in 1..<max(1, fields.count) where fields.known(index) == .proxy {
            let value = unsafe String(decoding: fields.value(index), as: UTF8.self)
            guard let report = RefusalReport(proxyStatus: value) else { continue }
            unsafe remember(status: fields.value(0).reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }, report)
        }
    }

    private func remember(status: Int, _ report: RefusalReport) {
        loop.recent.update(exchange.recent) { $0.report = report }
        var (method, target) = ("", "")
        if let head = exchange.rare?.head, exchange.headLength == 0 {
            for index in 0..<head.count {
                let (name, value) = unsafe (head.name(index), head.value(index))
                if unsafe Bytes.isExactly(name, ":method") { method = unsafe LogText.escaped(value) }
                if unsafe Bytes.isExactly(name, ":authority") { target = unsafe "http://" + LogText.escaped(value) }
                if unsafe Bytes.isExactly(name, ":path") { unsafe target += LogText.target(value) }
            }
        } else {
            unsafe inbound.withUnsafeReadableBytes { bytes in
                guard parser.target.upperBound <= bytes.count else { return }
                method = unsafe LogText.escaped(slice(bytes, parser.method))
                target = unsafe LogText.target(slice(bytes, parser.target))
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
