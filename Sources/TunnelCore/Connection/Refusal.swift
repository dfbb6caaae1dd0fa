package import TextFormats

/// An answer that we give ourselves: who failed, in which phase, and what can be done.
///
/// Both ends of the tunnel use it; the status and text are those of SAP's product where it has any.
package struct Refusal: Error, Sendable {
    package typealias Source = RefusalSource
    package typealias Phase = RefusalPhase

    package var status: UInt16
    package var source: Source
    package var phase: Phase
    /// What happened, in a few words; from our own texts, never a client's bytes.
    package var cause: String
    /// For the log of the side that answers only: names and addresses of the inside.
    package var detail = ""
    /// The error token of RFC 9209 section 2.3.
    package var proxyStatus: StaticString
    /// The body for the client, plain text.
    package var text: String
    /// Seconds after which another attempt makes sense.
    package var retryAfter: Int?

    package init(
        status: UInt16,
        source: Source,
        phase: Phase,
        cause: String,
        proxyStatus: StaticString,
        text: String,
        retryAfter: Int? = nil
    ) {
        self.status = status
        self.source = source
        self.phase = phase
        self.cause = cause
        self.proxyStatus = proxyStatus
        self.text = text
        self.retryAfter = retryAfter
    }

    /// What every log line about it says.
    package var metadata: [String: String] {
        var result = [
            "status": "\(status)", "source": source.rawValue, "phase": phase.rawValue, "error": "\(proxyStatus)",
            "cause": cause,
        ]
        if !detail.isEmpty { result["detail"] = detail }
        return result
    }

    /// `Proxy-Status` (RFC 9209): which side, which error, and the details as a string.
    package func proxyStatusField(by side: StaticString) -> String {
        // Structured strings hold visible ASCII and space only, with quotes and backslashes escaped (RFC 9651).
        var details = ""
        for scalar in cause.unicodeScalars.prefix(256) {
            switch scalar {
            case "\"", "\\": details += "\\" + String(Character(scalar))
            case " "..."~": details.unicodeScalars.append(scalar)
            default: details += "?"
            }
        }
        return
            "\(side); error=\(proxyStatus); details=\"source=\(source.rawValue) phase=\(phase.rawValue): \(details)\""
    }

    /// For a request that is refused with 400 before any policy is asked.
    package init(badRequest cause: String) {
        self.init(
            status: 400,
            source: .client,
            phase: .request,
            cause: cause,
            proxyStatus: "http_request_error",
            text: "The request was refused: \(cause)."
        )
    }

    /// For a request that HTTP itself does not allow, or that is larger than allowed here.
    package init(_ error: HTTP1Error, _ limits: HTTP1Limits) {
        let limit: String? =
            switch error {
            case .startLineTooLong: "\(limits.startLine) bytes, proxy.max-request-line"
            case .fieldLineTooLong: "\(limits.fieldLine) bytes, proxy.max-header-line"
            case .headTooLarge: "\(limits.head) bytes, proxy.max-header-size"
            case .tooManyFields: "\(limits.fields), proxy.max-headers"
            default: nil
            }
        let cause = error.rawValue + (limit.map { " (\($0))" } ?? "")
        self.init(
            status: error.status,
            source: .client,
            phase: .request,
            cause: cause,
            proxyStatus: error.status == 405 ? "http_request_denied" : "http_request_error",
            text: "The request was refused: \(cause)."
        )
    }
}
