internal import AccessPolicy
internal import HostSystem
internal import NIOCore
internal import NIOPosix
internal import PrincipalPropagation
internal import TunnelCore

/// The users of one event loop: whose token was looked at need not be looked at again for a while.
final class KnownUsers {
    let propagation: UserPropagation
    private var byToken: [Key: Known] = [:]

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

    init(_ propagation: UserPropagation) { self.propagation = propagation }

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

    /// Looks at a token and makes a certificate: some hundred microseconds, which no event loop is to spend.
    func make(
        _ key: Key,
        _ form: UserAuthentication.Form,
        on eventLoop: any EventLoop,
        _ done: @escaping (Result<(UserPropagation.Outcome, [UInt8]), PropagationError>) -> Void
    ) {
        let bound = NIOLoopBound((self, done), eventLoop: eventLoop)
        let propagation = self.propagation
        NIOThreadPool.singleton.submit { _ in
            let result: Result<UserPropagation.Outcome, PropagationError>
            do throws(PropagationError) {
                result = .success(
                    try propagation.certificate(
                        for: key.token,
                        isTechnical: key.isTechnical,
                        now: WallClock.seconds()
                    )
                )
            } catch {
                result = .failure(error)
            }
            eventLoop.execute {
                let (users, done) = bound.value
                done(result.map { ($0, users.keep($0.certificate, key, form)) })
            }
        }
    }
}
