internal import AccessPolicy
internal import Logging
internal import NIOCore
internal import Telemetry
internal import TextFormats
internal import Tracing
internal import TunnelCore

/// What remains of a request: counts, a line in the access log, a record in the audit log.
extension ForwardedRequest {
    /// Counts a request once, at its end.
    ///
    /// - Parameters:
    ///   - status: 0 where there was no complete answer.
    ///   - refused: of an answer of ours, what its log line says.
    func settle(_ status: Int, _ refusal: Refusal? = nil, _ refused: Logger.Metadata? = nil) {
        guard !isSettled else { return }
        isSettled = true
        remember(status, refusal, refused)
        metrics.counts.answered(status)
        metrics.counts.requestBytes += requestBytes
        metrics.counts.responseBytes += responseBytes
        if usagePlace >= 0 { metrics.used(usagePlace, requestBytes, responseBytes, at: started) }
        if let permit {
            loop.asked(metrics, method, permit.target.path, at: started, isRefused: false)
        } else if let denied {
            loop.asked(metrics, method, denied.path, at: started, isRefused: true)
        }
        if loop.accessLog {
            logAccess(status, level: .info, refused)
        } else if LogLevelSwitch.level <= .debug {
            logAccess(status, level: .debug, refused)
        }
        if let span { end(span, status) }
    }

    private func remember(_ status: Int, _ refusal: Refusal?, _ refused: Logger.Metadata?) {
        let took = (NIODeadline.now() - started).nanoseconds
        if took > loop.slowest.threshold, let permit { loop.slowest.add(slow(permit, took)) }
        loop.recent.add { entry in
            (entry.id, entry.method, entry.permit) = (requestID, method, permit)
            (entry.started, entry.took, entry.status) = (started, took, status)
            (entry.connectTime, entry.backendTime) = (connectTime, backendTime)
            (entry.requestBytes, entry.responseBytes) = (requestBytes, responseBytes)
            entry.report = refusal.map { report($0) }
            entry.target = refusal == nil ? "" : Self.target(refused)
        }
    }

    private func slow(_ permit: Permit, _ took: Int64) -> SlowestForwards.Entry {
        SlowestForwards.Entry(
            system: permit.system,
            path: permit.target.path,
            took: took,
            connectTime: connectTime,
            backendTime: backendTime,
            requestBytes: requestBytes,
            responseBytes: responseBytes
        )
    }

    private func report(_ refusal: Refusal) -> RefusalReport {
        RefusalReport(
            side: "cloud-connector",
            source: refusal.source,
            phase: refusal.phase,
            error: "\(refusal.proxyStatus)",
            cause: refusal.cause
        )
    }

    private static func target(_ refused: Logger.Metadata?) -> String {
        let host = refused?["virtual_host"].map { "http://\($0)" } ?? ""
        return host + (refused?["path"].map { "\($0)" } ?? "")
    }

    func beginSpan(_ parent: TraceParent) {
        guard parent.isSampled else { return }
        var context = ServiceContext.topLevel
        context[TraceParentKey.self] = parent
        span = InstrumentationSystem.tracer.startAnySpan("connector forward", context: context, ofKind: .client)
    }

    private func end(_ span: any Span, _ status: Int) {
        span.updateAttributes { attributes in
            attributes["http.request.method"] = "\(method)"
            attributes["http.response.status_code"] = status
            attributes["connector.virtual_host"] = permit?.system.virtualAddress ?? ""
            attributes["connector.connect_us"] = Int(connectTime / 1000)
            attributes["connector.backend_us"] = Int(backendTime / 1000)
        }
        if status == 0 || status >= 500 { span.setStatus(SpanStatus(code: .error)) }
        span.end()
    }

    private func logAccess(_ status: Int, level: Logger.Level, _ refused: Logger.Metadata?) {
        var metadata: Logger.Metadata = [
            "method": "\(method)", "status": "\(status == 0 ? "incomplete" : String(status))",
            "request_bytes": "\(requestBytes)", "response_bytes": "\(responseBytes)",
            "connect_ms": "\(Self.milliseconds(connectTime))", "backend_ms": "\(Self.milliseconds(backendTime))",
            "ms": "\(Self.milliseconds((NIODeadline.now() - started).nanoseconds))",
        ]
        if let permit {
            metadata["virtual_host"] = "\(permit.system.virtualAddress)"
            metadata["path"] = "\(LogText.escaped(permit.target.path))"
        }
        if let refused {
            for key in ["virtual_host", "path", "request_id"] { metadata[key] = refused[key] }
        } else if let requestID {
            metadata["request_id"] = "\(requestID)"
        }
        loop.logger.log(level: level, "access", metadata: metadata)
    }

    private static func milliseconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds / 1000) / 1000 }

    func auditAllowed(_ permit: Permit) {
        loop.audit.record(
            .accessAllowed,
            "Allowing access to resource \(LogText.escaped(permit.target.path)) on system "
                + "\(permit.system.virtualAddress) [\(method)]"
        )
    }
}
