internal import AccessPolicy
internal import Logging
internal import NIOCore
internal import Telemetry
internal import Tracing
internal import TunnelCore

/// What remains of a request: counts, a line in the access log, a record in the audit log.
extension ForwardedRequest {
    /// Counts a request once, at its end.
    ///
    /// - Parameters:
    ///   - status: 0 where there was no complete answer.
    ///   - refused: of an answer of ours, what its log line says.
    func settle(_ status: Int, _ refused: Logger.Metadata? = nil) {
        guard !isSettled else { return }
        isSettled = true
        metrics.counts.answered(status)
        metrics.counts.requestOctets += requestOctets
        metrics.counts.responseOctets += responseOctets
        if loop.accessLog {
            logAccess(status, level: .info, refused)
        } else if LogLevelSwitch.level <= .debug {
            logAccess(status, level: .debug, refused)
        }
        if let span { end(span, status) }
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
            "request_octets": "\(requestOctets)", "response_octets": "\(responseOctets)",
            "connect_ms": "\(Self.milliseconds(connectTime))", "backend_ms": "\(Self.milliseconds(backendTime))",
            "ms": "\(Self.milliseconds((NIODeadline.now() - started).nanoseconds))",
        ]
        if let permit {
            metadata["virtual_host"] = "\(permit.system.virtualAddress)"
            metadata["path"] = "\(LogText.escaped(permit.target.path))"
        }
        if let refused {
            for key in ["virtual_host", "path", "request_id"] { metadata[key] = refused[key] }
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
