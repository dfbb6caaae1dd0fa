/// An answer that we give ourselves: who failed, in which phase, and what can be done.
///
/// Both ends of the tunnel use it; the status and text are those of SAP's product where it has any.
package struct Refusal: Error, Sendable {
    /// Who is at fault.
    package enum Source: String, Sendable { case client, policy, tunnel, backend, `internal` }
    /// What was being done when it failed.
    package enum Phase: String, Sendable {
        case request, system, resource, upgrade, tunnel, connect, tls, send, responseHead = "response-head"
        case responseBody = "response-body"
    }

    package var status: UInt16
    package var source: Source
    package var phase: Phase
    /// What happened, in a few words; from our own texts, never a client's octets.
    package var cause: String
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

    /// For a request that HTTP itself does not allow.
    package init(_ error: HTTP1Error) {
        self.init(
            status: error.status,
            source: .client,
            phase: .request,
            cause: error.rawValue,
            proxyStatus: error.status == 405 ? "http_request_denied" : "http_request_error",
            text: "The request was refused: \(error.rawValue)."
        )
    }
}

/// Makes IDs that tie an answer to its log line: unique for years, and nothing to guess from.
package struct RequestIDGenerator: Sendable {
    private let prefix: UInt32
    private var counter: UInt32

    package init(prefix: UInt32 = .random(in: 0 ... .max)) {
        self.prefix = prefix
        self.counter = 0
    }

    /// Sixteen hexadecimal digits.
    package mutating func next() -> String {
        counter &+= 1
        let digits = String(UInt64(prefix) << 32 | UInt64(counter), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
