internal import AccessPolicy
internal import HostSystem
internal import Logging
internal import Telemetry
internal import TextFormats
internal import TunnelCore

/// Answers of our own.
extension ForwardedRequest {
    func answer(_ refusal: Refusal, _ request: RequestSummary? = nil) {
        pending = nil
        let requestID = requestID ?? loop.requestIDs.next()
        self.requestID = requestID
        let logged = log(refusal, request, requestID: "\(requestID)")
        let key = RefusalKey(refusal.source, refusal.phase, refusal.proxyStatus)
        metrics.counts.refusals[key, default: 0] += 1
        if !stream.hasSentHead, !isHead { responseBytes += refusal.text.utf8.count + 1 }
        settle(stream.hasSentHead ? 0 : Int(refusal.status), refusal, logged)
        guard !stream.hasSentHead else {
            stream.abort()
            return
        }
        let fields = loop.fields
        fields.removeAll()
        fields.append(status: refusal.status)
        fields.append("content-type", "text/plain; charset=utf-8")
        fields.append("content-length", String(refusal.text.utf8.count + 1))
        fields.append("proxy-status", refusal.proxyStatusField(by: "cloud-connector"))
        fields.append("x-request-id", "\(requestID)")
        fields.append("date", WallClock.httpDate())
        stream.send(head: fields, isEnd: isHead)
        if !isHead {
            var text = refusal.text + "\n"
            text.withUTF8 { unsafe stream.send(body: UnsafeRawBufferPointer($0)) }
            stream.finish(trailers: nil)
        }
        returnCredit()
    }

    private func log(_ refusal: Refusal, _ request: RequestSummary?, requestID: String) -> Logger.Metadata {
        var metadata: Logger.Metadata = refusal.metadata.mapValues { "\($0)" }
        metadata["request_id"] = "\(requestID)"
        metadata["method"] = "\(method)"
        if let permit {
            metadata["virtual_host"] = "\(permit.system.virtualAddress)"
            metadata["path"] = "\(LogText.escaped(permit.target.path))"
            metadata["internal_host"] = "\(permit.system.internalAddress)"
        } else if let request {
            metadata["virtual_host"] = unsafe "\(LogText.escaped(request.authority))"
            metadata["path"] = unsafe "\(LogText.target(request.path))"
        }
        loop.logger.warning(
            refusal.source == .policy ? "request refused" : "request failed",
            metadata: metadata
        )
        guard refusal.source == .policy || refusal.source == .client, loop.audit.isOn else { return metadata }
        let resource = metadata["path"].map { "resource \($0) on " } ?? ""
        loop.audit.record(
            .accessDenied,
            "Denying access to \(resource)system \(metadata["virtual_host"] ?? "unknown"): \(refusal.cause) "
                + "[\(method), requestId=\(requestID)]"
        )
        return metadata
    }
}
