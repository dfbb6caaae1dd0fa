internal import AccessPolicy
internal import AvailabilityCheck
internal import Cryptography
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Networking
internal import TextFormats
internal import TunnelCore

/// The connector's answers where the policy or the request itself stands in the way; texts as SAP's product has them.
enum PolicyRefusal {
    static func system(
        _ authority: UnsafeRawBufferPointer,
        _ parsed: RequestAuthority,
        _ policy: AccessPolicy
    ) -> Refusal {
        let host = unsafe LogText.escaped(authority[parsed.host])
        let name = unsafe authority.assumingMemoryBound(to: UInt8.self).span.extracting(parsed.host)
        // Requests and connections have mappings of their own.
        let other = policy.system(host: name, port: parsed.port).map {
            ": it is exposed as \($0.protocol.rawValue) only"
        }
        return Refusal(
            status: 403,
            source: .policy,
            phase: .system,
            cause: AccessDenial.systemNotExposed.reason + (other ?? ""),
            proxyStatus: "http_request_denied",
            text: "Access denied to system \(host):\(parsed.port). In case this was a valid request, ensure to expose "
                + "the system correctly in your cloud connector."
        )
    }

    static func resource(_ denial: AccessDenial, _ target: RequestTarget, _ system: SystemMapping) -> Refusal {
        let text =
            "Access denied to resource \(target.pathText) on system \(system.virtualAddress). In case this was a valid "
            + "request, ensure to expose the resource correctly in your cloud connector."
        var phase = Refusal.Phase.resource
        if case .upgradeNotAllowed = denial { phase = .upgrade }
        return Refusal(
            status: 403,
            source: .policy,
            phase: phase,
            cause: system.nearMiss(target, denial).map { "\(denial.reason): \($0)" } ?? denial.reason,
            proxyStatus: "http_request_denied",
            text: text
        )
    }

    static let auditFailed = Refusal(
        status: 503,
        source: .internal,
        phase: .request,
        cause: "the audit log cannot be written, and requests are not to pass without it",
        proxyStatus: "proxy_internal_error",
        text: "The request was refused because the Cloud Connector cannot audit it. Its log says why."
    )

    static let protocolNotBuilt = Refusal(
        status: 501,
        source: .internal,
        phase: .upgrade,
        cause: "the only protocol that extended CONNECT carries is websocket",
        proxyStatus: "http_upgrade_failed",
        text: "The connector carries no other protocol than WebSocket in the place of HTTP."
    )

    /// The policy would have let it through.
    static let brokenUpgrade = Refusal(
        status: 400,
        source: .client,
        phase: .upgrade,
        cause:
            "the request for WebSocket is not a GET without a body and with one Sec-WebSocket-Key of 16 bytes in Base64",
        proxyStatus: "http_upgrade_failed",
        text: "A request for WebSocket is a GET without a body, with one Sec-WebSocket-Key of 16 bytes in Base64 "
            + "(RFC 6455 section 4.1)."
    )
}

/// The connector's answers where the internal host fails.
package enum BackendRefusal {
    static func tooManyConnections(_ system: SystemMapping, _ limit: Int) -> Refusal {
        Refusal(
            status: 503,
            source: .internal,
            phase: .connect,
            cause: "the connector has \(limit) connections to internal hosts open, and may have no more",
            proxyStatus: "connection_limit_reached",
            text: "The Cloud Connector has too many connections open to connect to \(system.virtualAddress) now. Try "
                + "again shortly."
        )
    }

    static func connect(_ error: any Error, _ system: SystemMapping) -> Refusal {
        let failure = BackendFailure(error, AvailabilityTarget(system))
        var refusal = Refusal(
            status: 502,
            source: .backend,
            phase: failure.phase,
            cause: failure.cause,
            proxyStatus: failure.token,
            text:
                "Unable to open connection to backend system \(system.virtualAddress): \(failure.cause). "
                + "\(failure.publicAdvice)."
        )
        refusal.detail = (failure.fullCause == failure.cause ? "" : failure.fullCause + "; ") + failure.advice
        return refusal
    }

    /// In TLS 1.3 a server says only after the handshake that it does not want the client.
    static func closedUnanswered(_ error: (any Error)?, _ system: SystemMapping) -> Refusal {
        if let error = error as? TLSError, error.code != .truncated { return connect(error, system) }
        return Refusal(
            status: 502,
            source: .backend,
            phase: .responseHead,
            cause: "the internal host closed the connection without an answer",
            proxyStatus: "connection_terminated",
            text: "The backend system \(system.virtualAddress) closed the connection without an answer."
        )
    }

    /// What it was that did not fit, and the setting for it.
    private static func limit(_ error: HTTP1Error, _ limits: HTTP1Limits) -> (text: String, token: StaticString)? {
        switch error {
        case .tooManyFields:
            (
                "it has more than \(limits.fields) header lines (responses.max-headers)",
                "http_response_header_section_size"
            )
        case .fieldLineTooLong:
            (
                "a header line is longer than \(limits.fieldLine) bytes (responses.max-header-line)",
                "http_response_header_size"
            )
        case .headTooLarge:
            (
                "its headers are larger than \(limits.head) bytes (responses.max-header-size)",
                "http_response_header_section_size"
            )
        case .trailersTooLarge:
            (
                "its trailers are larger than \(ChunkedDecoder.trailerLimit) bytes",
                "http_response_trailer_section_size"
            )
        default: nil
        }
    }

    static func tooManyInterimResponses(_ system: SystemMapping, _ limit: Int) -> Refusal {
        Refusal(
            status: 502,
            source: .backend,
            phase: .responseHead,
            cause: "the internal host sent more than \(limit) interim responses",
            proxyStatus: "http_protocol_error",
            text: "The backend system \(system.virtualAddress) sent more than \(limit) interim responses (1xx)."
        )
    }

    static func invalidResponse(
        _ error: HTTP1Error,
        _ system: SystemMapping,
        _ limits: HTTP1Limits,
        isBody: Bool
    ) -> Refusal {
        if let limit = limit(error, limits) {
            return Refusal(
                status: 502,
                source: .backend,
                phase: isBody ? .responseBody : .responseHead,
                cause: "the internal host's response is larger than allowed: \(limit.text)",
                proxyStatus: limit.token,
                text: "The response of the backend system \(system.virtualAddress) is larger than allowed in the Cloud "
                    + "Connector: \(limit.text)."
            )
        }
        return Refusal(
            status: 502,
            source: .backend,
            phase: isBody ? .responseBody : .responseHead,
            cause: "the internal host's response is malformed: \(error.rawValue)",
            proxyStatus: "http_protocol_error",
            text: "The backend system \(system.virtualAddress) sent a malformed response: \(error.rawValue)."
        )
    }

    static func unexpectedUpgrade(_ system: SystemMapping) -> Refusal {
        Refusal(
            status: 502,
            source: .backend,
            phase: .responseHead,
            cause: "the internal host switched protocols without being asked",
            proxyStatus: "http_protocol_error",
            text: "The backend system \(system.virtualAddress) switched protocols without being asked."
        )
    }

    /// - Parameter cause: what is wrong with the 101.
    static func badUpgrade(_ cause: String, _ system: SystemMapping) -> Refusal {
        Refusal(
            status: 502,
            source: .backend,
            phase: .upgrade,
            cause: "the internal host switched to WebSocket in a wrong way: \(cause)",
            proxyStatus: "http_upgrade_failed",
            text: "The backend system \(system.virtualAddress) switched to WebSocket in a wrong way: \(cause)."
        )
    }

    static func incomplete(_ system: SystemMapping) -> Refusal {
        Refusal(
            status: 502,
            source: .backend,
            phase: .responseBody,
            cause: "the internal host closed the connection within the response",
            proxyStatus: "http_response_incomplete",
            text: "The backend system \(system.virtualAddress) closed the connection within the response."
        )
    }

    static func timeout(_ phase: Refusal.Phase, _ limit: TimeAmount, _ system: SystemMapping) -> Refusal {
        let seconds = limit.nanoseconds / 1_000_000_000
        let cause =
            phase == .responseHead
            ? "the internal host did not answer within \(seconds) seconds"
            : "the exchange with the internal host made no progress for \(seconds) seconds"
        return Refusal(
            status: 504,
            source: .backend,
            phase: phase,
            cause: cause,
            proxyStatus: "http_response_timeout",
            text: "The backend system \(system.virtualAddress) did not answer in time: \(cause)."
        )
    }
}
