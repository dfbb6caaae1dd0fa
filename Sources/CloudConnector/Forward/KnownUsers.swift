internal import AccessPolicy
internal import HostSystem
internal import JSON
internal import Kerberos
internal import NIOCore
internal import NIOPosix
internal import PrincipalPropagation
internal import TextFormats
internal import TunnelCore

/// The users of one event loop: whose token was looked at need not be looked at again for a while.
final class KnownUsers {
    let propagation: UserPropagation
    /// Nil where no users arrive by tickets.
    let delegation: KerberosDelegation?
    private var byToken: [Key: Known] = [:]
    private var principals: [Key: UserPropagation.Principal] = [:]

    /// Tokens of one loop.
    static let limit = 1000

    struct Key: Hashable, Sendable {
        var token: [UInt8]
        var isTechnical: Bool
    }

    private struct Known {
        var certificate: UserCertificate
        /// In the form that was asked for last; systems rarely want two.
        var form: UserAuthentication.Form
        var value: [UInt8]
    }

    /// What came of a user's token.
    struct Arrival: Sendable {
        var field: UserField
        /// For the audit log; nil where nothing was made for the user.
        var record: String?
    }

    init?(_ snapshot: ForwardingSnapshot) {
        guard let propagation = snapshot.users else { return nil }
        (self.propagation, delegation) = (propagation, snapshot.delegation)
    }

    /// The value of the field, if the user is known and still counts.
    func value(_ key: Key, _ form: UserAuthentication.Form) -> [UInt8]? {
        guard let known = byToken[key], known.certificate.usableUntil > WallClock.seconds() else { return nil }
        if known.form == form { return known.value }
        return keep(known.certificate, key, form)
    }

    @discardableResult
    private func keep(_ certificate: UserCertificate, _ key: Key, _ form: UserAuthentication.Form) -> [UInt8] {
        if byToken.count >= Self.limit {
            let now = WallClock.seconds()
            byToken = byToken.filter { $0.value.certificate.usableUntil > now }
            if byToken.count >= Self.limit { byToken = [:] }
        }
        let value = Array(certificate.value(form).utf8)
        byToken[key] = Known(certificate: certificate, form: form, value: value)
        return value
    }

    private func keep(_ principal: UserPropagation.Principal, _ key: Key) {
        if principals.count >= Self.limit { principals = [:] }
        principals[key] = principal
    }

    /// Finds out what a system gets for a user, by cryptography or by asking a KDC, which no event loop is to wait for.
    func make(
        _ key: Key,
        _ authentication: UserAuthentication,
        host: String,
        on eventLoop: any EventLoop,
        _ done: @escaping (Result<Arrival, PropagationError>) -> Void
    ) {
        guard authentication.mode == .kerberos else {
            return makeCertificate(key, authentication.form, on: eventLoop, done)
        }
        let service = authentication.service(of: host)
        let bound = NIOLoopBound((self, done), eventLoop: eventLoop)
        let known = principals[key].flatMap { $0.usableUntil > WallClock.seconds() ? $0 : nil }
        let (propagation, delegation) = (self.propagation, self.delegation)
        let isQuick = known.map { delegation?.isKnown($0.name, service, now: WallClock.seconds()) ?? false } ?? false
        (isQuick ? TicketThreads.quick : TicketThreads.pool).submit { _ in
            let result = Result {
                () throws(PropagationError) -> (UserPropagation.Principal, KerberosDelegation.Token) in
                guard let delegation else { throw .noKerberos }
                let now = WallClock.seconds()
                let principal: UserPropagation.Principal
                if let known {
                    principal = known
                } else {
                    principal = try propagation.principal(for: key.token, isTechnical: key.isTechnical, now: now)
                }
                return (principal, try delegation.token(principal, service))
            }
            eventLoop.execute {
                let (users, done) = bound.value
                done(
                    result.map { principal, token in
                        users.keep(principal, key)
                        return Arrival(principal, token, realm: delegation?.realm ?? "")
                    }
                )
            }
        }
    }

    private func makeCertificate(
        _ key: Key,
        _ form: UserAuthentication.Form,
        on eventLoop: any EventLoop,
        _ done: @escaping (Result<Arrival, PropagationError>) -> Void
    ) {
        let bound = NIOLoopBound((self, done), eventLoop: eventLoop)
        let propagation = self.propagation
        NIOThreadPool.singleton.submit { _ in
            let result = Result { () throws(PropagationError) in
                try propagation.certificate(for: key.token, isTechnical: key.isTechnical, now: WallClock.seconds())
            }
            eventLoop.execute {
                let (users, done) = bound.value
                done(result.map { Arrival($0, users.keep($0.certificate, key, form)) })
            }
        }
    }
}

extension KnownUsers.Arrival {
    fileprivate init(_ outcome: UserPropagation.Outcome, _ value: [UInt8]) {
        field = .value(value)
        guard outcome.isNew else { return }
        record =
            "Issued a certificate for user \(LogText.escaped(outcome.certificate.subject.utf8)) by subject pattern "
            + "\(outcome.rule), serial number \(outcome.certificate.serialNumber)"
    }

    fileprivate init(_ principal: UserPropagation.Principal, _ token: KerberosDelegation.Token, realm: String) {
        // Two realms may have users of one name.
        let owner = Array("\(realm)/\(principal.name)".utf8)
        field = .ticket(Array(Base64.encode(token.bytes).utf8), owner: owner)
        guard token.isNew else { return }
        record =
            "Got a Kerberos ticket for user \(LogText.escaped(principal.name.utf8)) by subject pattern \(principal.rule)"
    }
}

extension KerberosDelegation {
    fileprivate func token(
        _ principal: UserPropagation.Principal,
        _ service: String
    ) throws(PropagationError) -> Token {
        do throws(KerberosError) {
            return try token(for: principal.name, to: service, now: WallClock.seconds())
        } catch {
            switch error.kind {
            case .unreachable, .ownCredential: throw .noTicketService(user: principal.name, error.cause)
            default: throw .ticket(user: principal.name, error.cause)
            }
        }
    }
}
