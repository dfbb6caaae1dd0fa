internal import AccessPolicy
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import TunnelCore

/// The connector's answers where the policy or the request itself stands in the way; texts as SAP's product has them.
enum PolicyRefusal {
    static func system(_ authority: UnsafeRawBufferPointer, _ parsed: RequestAuthority) -> Refusal {
        let host = LogText.escaped(authority[parsed.host])
        return Refusal(
            status: 403,
            source: .policy,
            phase: .system,
            cause: AccessDenial.systemNotExposed.reason,
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
        cause: "extended CONNECT is not supported yet",
        proxyStatus: "http_upgrade_failed",
        text: "This version of the connector does not carry other protocols than HTTP yet."
    )

    static func upgradeNotBuilt(_ system: SystemMapping) -> Refusal {
        Refusal(
            status: 501,
            source: .internal,
            phase: .upgrade,
            cause: "protocol upgrades are not supported yet",
            proxyStatus: "http_upgrade_failed",
            text: "The policy allows a protocol upgrade on \(system.virtualAddress), but this version of the connector "
                + "does not carry upgraded connections yet."
        )
    }
}

/// The connector's answers where the internal host fails.
enum BackendRefusal {
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
        let (cause, token, phase) = explain(error)
        return Refusal(
            status: 502,
            source: .backend,
            phase: phase,
            cause: cause,
            proxyStatus: token,
            text: "Unable to open connection to backend system \(system.virtualAddress): \(cause). Check in the cloud "
                + "connector that the internal host is up and reachable."
        )
    }

    static func closedUnanswered(_ error: (any Error)?, _ system: SystemMapping) -> Refusal {
        Refusal(
            status: 502,
            source: .backend,
            phase: .responseHead,
            cause: "the internal host closed the connection without an answer",
            proxyStatus: "connection_terminated",
            text: "The backend system \(system.virtualAddress) closed the connection without an answer."
        )
    }

    static func invalidResponse(_ error: HTTP1Error, _ system: SystemMapping, isBody: Bool) -> Refusal {
        Refusal(
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

    /// What a failed connection attempt means, in words that say what to do.
    static func explain(_ error: any Error) -> (cause: String, token: StaticString, phase: Refusal.Phase) {
        switch error {
        case let error as TLSError:
            return (error.description, error.proxyStatus, .tls)
        case let error as NIOConnectionError:
            if error.dnsAError != nil || error.dnsAAAAError != nil, error.connectionErrors.isEmpty {
                return ("the name \(error.host) cannot be resolved", "dns_error", .connect)
            }
            guard let last = error.connectionErrors.last else {
                return ("no address of \(error.host) could be reached", "destination_unavailable", .connect)
            }
            return explain(last.error)
        case ChannelError.connectTimeout(let limit):
            return (
                "no connection within \(limit.nanoseconds / 1_000_000_000) seconds", "connection_timeout", .connect
            )
        case let error as IOError:
            switch error.errnoCode {
            case ECONNREFUSED: return ("connection refused", "connection_refused", .connect)
            case EHOSTUNREACH, ENETUNREACH:
                return ("no route to the internal host", "destination_ip_unroutable", .connect)
            case ETIMEDOUT: return ("connection timed out", "connection_timeout", .connect)
            case EMFILE, ENFILE:
                return ("the connector has no file descriptors left", "connection_limit_reached", .connect)
            default:
                return (String(cString: strerror(error.errnoCode)).lowercased(), "destination_unavailable", .connect)
            }
        default:
            return ("\(error)", "destination_unavailable", .connect)
        }
    }
}

extension SystemMapping.InternalProtocol {
    var isHTTP: Bool { self == .http || self == .https }
    var isTLS: Bool { self == .https || self == .tcps }
}
