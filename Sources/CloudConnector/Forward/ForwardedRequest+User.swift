internal import AccessPolicy
internal import AvailabilityCheck
internal import Cryptography
internal import Logging
internal import NIOCore
internal import PrincipalPropagation
internal import Telemetry
internal import TextFormats
internal import TunnelCore

/// Who the user of a request is to the internal host.
extension ForwardedRequest {
    enum UserAnswer {
        case known(UserField)
        /// The token has to be looked at first.
        case unknown(KnownUsers, KnownUsers.Key)
    }

    /// It fails closed: a request that came for a user goes out for that user, or not at all; where users do not arrive, the
    /// certificate of the connection is no logon for it.
    func user(_ request: RequestSummary, _ permit: Permit) throws(Refusal) -> UserAnswer {
        let mode = permit.system.authentication.mode
        guard request.hasUser, mode.takesUsers else {
            let isNobody = mode.isRestricted || request.hasUser && permit.system.protocol.isTLS
            return .known(isNobody && loop.backendTLS.context(permit.system).hasCertificate ? .empty : .absent)
        }
        guard let users = loop.users else { throw PropagationRefusal.make(.notConfigured, permit.system) }
        guard unsafe request.user.isEmpty || request.technicalUser.isEmpty else {
            throw PropagationRefusal.make(.token("the request has a user's token and an application's"), permit.system)
        }
        let isTechnical = unsafe request.user.isEmpty
        guard let token = unsafe Self.token(isTechnical ? request.technicalUser : request.user) else {
            throw PropagationRefusal.make(.token("it is not Bearer and a token"), permit.system)
        }
        let key = KnownUsers.Key(token: token, isTechnical: isTechnical)
        // A ticket is for one request.
        if mode != .kerberos, let value = users.value(key, permit.system.authentication.form) {
            return .known(.value(value))
        }
        return .unknown(users, key)
    }

    private static func token(_ value: UnsafeRawBufferPointer) -> [UInt8]? {
        let scheme = "bearer ".utf8
        guard value.count > scheme.count else { return nil }
        guard unsafe zip(scheme, value).allSatisfy({ $0 == Bytes.lowercased($1) }) else { return nil }
        return unsafe Array(value[scheme.count...].drop { $0 == UInt8(ascii: " ") })
    }

    /// Sends the request once its user is known. What comes of its body meanwhile waits, a window at most.
    func identify(_ users: KnownUsers, _ key: KnownUsers.Key, _ fields: FieldBlock, _ permit: Permit, isEnd: Bool) {
        let copy = fields.copy()
        pending = ByteBuffer()
        let system = permit.system
        users.make(key, system.authentication, host: system.internalHost, on: loop.eventLoop) { [self] result in
            switch result {
            case .success(let arrival):
                if let record = arrival.record, loop.audit.isOn {
                    loop.audit.record(.accessAllowed, "\(record), first used on system \(system.virtualAddress)")
                }
                identified(copy, permit, isEnd: isEnd, arrival.field)
            case .failure(let error): identificationFailed(PropagationRefusal.make(error, permit.system))
            }
        }
    }

    /// A user's request goes out only where the internal host has asked for the system certificate, and got it: otherwise
    /// anybody inside could say who a user is.
    func mayGoOut(on connection: UpstreamConnection, _ field: UserField, _ permit: Permit) throws(Refusal) {
        guard case .value = field, !connection.isMutual else { return }
        throw PropagationRefusal.notMutual(permit.system)
    }
}

/// The connector's answers where a user does not get through. Their texts begin as SAP's do.
enum PropagationRefusal {
    static func make(_ error: PropagationError, _ system: SystemMapping) -> Refusal {
        let text: String
        var (status, source): (UInt16, Refusal.Source) = (403, .policy)
        switch error {
        case .token(let cause): text = "SSO token validation failed: \(cause)."
        case .noTicketService(let user, let cause):
            (status, source) = (502, .internal)
            text =
                "Unable to generate authorization token for user \(LogText.escaped(user.utf8)) on system "
                + "\(system.virtualAddress): \(cause)."
        case .subject(let user, let cause), .ticket(let user, let cause):
            text =
                "Unable to generate authorization token for user \(LogText.escaped(user.utf8)) on system "
                + "\(system.virtualAddress): \(cause)."
        case .noAuthority:
            (status, source) = (500, .internal)
            text =
                "No CA certificate available, which is required for supporting Principal Propagation. Name one in "
                + "principal-propagation.ca."
        case .notConfigured:
            (status, source) = (500, .internal)
            text =
                "The Cloud Connector has not been configured for principal propagation. Please configure it or set "
                + "authentication-mode: NONE for \(system.virtualAddress)."
        case .noKerberos:
            (status, source) = (500, .internal)
            text =
                "The Cloud Connector has not been configured for Kerberos. Please configure it or set authentication-mode: "
                + "NONE for \(system.virtualAddress)."
        case .cannotSign(let cause):
            (status, source) = (500, .internal)
            text = "Unable to generate authorization token on system \(system.virtualAddress): \(cause)."
        }
        return Refusal(
            status: status,
            source: source,
            phase: .principal,
            cause: error.cause,
            proxyStatus: status == 403
                ? "http_request_denied" : status == 502 ? "proxy_internal_error" : "proxy_configuration_error",
            text: text
        )
    }

    static func notMutual(_ system: SystemMapping) -> Refusal {
        Refusal(
            status: 502,
            source: .backend,
            phase: .principal,
            cause: "the internal host did not ask for a client certificate, or there is no system certificate",
            proxyStatus: "tls_certificate_error",
            text:
                "Principal propagation forbidden for the user on system \(system.virtualAddress), because the backend "
                + "connection is not mutually authenticated."
        )
    }
}
