internal import HostSystem
internal import Synchronization

/// Gets tickets for users whom the connector has told by their tokens: S4U2self and S4U2proxy of MS-SFU, with the connector's own keys.
///
/// What it does blocks, and may take as long as a KDC needs to be given up. Made from a configuration, and replaced with it.
package final class KerberosDelegation: Sendable {
    private let configuration: KerberosConfiguration
    /// The connector's own user, with the realm.
    private let own: String
    private let users = Mutex<[[UInt8]: Known]>([:])
    private let counts = Mutex<Counts>(Counts())
    /// Seconds since 1970, until which nobody tries after no KDC has answered, and what was said of it.
    private let pause = Mutex<(until: Int, cause: String)>((0, ""))

    /// One at a time gets the connector's own ticket, for all who need it: they have one cache.
    private let turn = Mutex<Void>(())
    private static let checks = Atomic<Int>(0)

    private struct Known {
        var credential: GSSCredential
        var until: Int
        /// For which it has tickets: no KDC is asked for these.
        var services: Set<String> = []
    }

    package struct Counts: Sendable {
        /// Users for whom the KDC was asked.
        package var users = 0
        /// Requests that got no token.
        package var refused = 0
    }

    /// Users whose tickets are kept.
    package static let limit = 1000
    /// Seconds for which a user's tickets are used: whoever is barred in the realm gets in no longer than that.
    package static let seconds = 600
    /// Seconds for which a realm whose KDCs do not answer is left alone: each try takes a thread for as long as the library waits.
    package static let pauseSeconds = 5

    package init(_ configuration: KerberosConfiguration) {
        self.configuration = configuration
        own = KerberosName.text(configuration.userName, realm: configuration.realm)
    }

    /// Has the library know the realm's KDCs. Before it, nobody is asked.
    package func activate() { KerberosProfile.shared.add(configuration) }

    package var realm: String { configuration.realm }

    package var figures: Counts { counts.withLock { $0 } }

    /// What a service gets behind `Negotiate`, once.
    package struct Token: Sendable {
        package var bytes: [UInt8]
        /// The KDC was asked for this user just now.
        package var isNew: Bool
    }

    /// - Parameters:
    ///   - user: as the token's subject names it.
    ///   - service: such as `HTTP/host`.
    ///   - now: seconds since 1970.
    package func token(for user: String, to service: String, now: Int) throws(KerberosError) -> Token {
        do throws(KerberosError) {
            let known = users.withLock { $0[Array(user.utf8)] }.flatMap { $0.until > now ? $0 : nil }
            let credential: GSSCredential
            if let known { credential = known.credential } else { credential = try ask(user, now) }
            let name = try name(of: service)
            let bytes: [UInt8]
            if known?.services.contains(service) ?? false {
                bytes = try credential.token(to: name)
            } else {
                bytes = try unlessPaused { () throws(KerberosError) in try credential.token(to: name) }
                users.withLock { users in
                    if users[Array(user.utf8)]?.credential === credential {
                        _ = users[Array(user.utf8)]?.services.insert(service)
                    }
                }
            }
            return Token(bytes: NegotiateToken.wrap(bytes), isNew: known == nil)
        } catch {
            counts.withLock { $0.refused += 1 }
            throw describe(error, user, service)
        }
    }

    /// Whether a token can be made without asking a KDC.
    package func isKnown(_ user: String, _ service: String, now: Int) -> Bool {
        users.withLock { users in
            guard let known = users[Array(user.utf8)] else { return false }
            return known.until > now && known.services.contains(service)
        }
    }

    /// Whether the connector itself gets a ticket to a service: keys, KDC and the service's name are right then.
    package func check(_ service: String) throws(KerberosError) {
        // What is known already proves nothing.
        let cache = "MEMORY:check-\(Self.checks.wrappingAdd(1, ordering: .relaxed).newValue)"
        defer { GSSCredential.destroy(cache) }
        do throws(KerberosError) {
            _ = try ownCredential(cache).token(to: name(of: service))
        } catch {
            throw describe(error, configuration.userName, service)
        }
    }

    /// What a service is called in full.
    package func fullName(of service: String) -> String { KerberosName.service(service, realm: configuration.realm) }

    private func name(of service: String) throws(KerberosError) -> GSSName {
        try GSSName(fullName(of: service), .principal)
    }

    private func ownCredential(_ cache: String? = nil) throws(KerberosError) -> GSSCredential {
        do throws(KerberosError) {
            return try GSSCredential(of: own, keytab: configuration.keytab, cache: cache)
        } catch {
            throw error.kind == .unreachable ? error : KerberosError(.ownCredential, error.cause)
        }
    }

    private func ask(_ user: String, _ now: Int) throws(KerberosError) -> GSSCredential {
        let name = KerberosName.user(user, realm: configuration.realm)
        let own = try turn.withLock { _ throws(KerberosError) in
            // Within its turn: who has waited for one who found no KDC need not try again.
            try unlessPaused { () throws(KerberosError) in try ownCredential() }
        }
        let credential: GSSCredential
        if name.isEnterprise {
            // It may lead to a realm that is not reachable from here, which says nothing of this one.
            credential = try own.impersonating(GSSName(name.text, .enterprise))
        } else {
            credential = try unlessPaused { () throws(KerberosError) in
                try own.impersonating(GSSName(name.text, .principal))
            }
        }
        counts.withLock { $0.users += 1 }
        users.withLock { users in
            if users.count >= Self.limit { users = users.filter { $0.value.until > now } }
            if users.count >= Self.limit { users = [:] }
            users[Array(user.utf8)] = Known(credential: credential, until: now + Self.seconds)
        }
        return credential
    }

    private func unlessPaused<Result>(_ body: () throws(KerberosError) -> Result) throws(KerberosError) -> Result {
        let (until, cause) = pause.withLock { $0 }
        guard until <= WallClock.seconds() else { throw KerberosError(.unreachable, cause) }
        do throws(KerberosError) {
            return try body()
        } catch {
            // From now on: to give up has taken its time.
            if error.kind == .unreachable {
                pause.withLock { $0 = (WallClock.seconds() + Self.pauseSeconds, error.cause) }
            }
            throw error
        }
    }

    /// The same, in words for whoever has to put it right.
    private func describe(_ error: KerberosError, _ user: String, _ service: String) -> KerberosError {
        let service = fullName(of: service)
        let cause =
            switch error.kind {
            case .unreachable: "no KDC of realm \(configuration.realm) answers: \(error.cause)"
            case .unknownUser: "the KDC knows no user \(user) in realm \(configuration.realm)"
            case .unknownService: "the KDC knows no service \(service)"
            case .notDelegated:
                "the KDC does not let \(own) act for others towards \(service); it needs constrained delegation to that "
                    + "service, with protocol transition, and users who may be delegated"
            case .ownCredential: "\(own) gets no ticket with the keys of \(configuration.keytab): \(error.cause)"
            case .other: "Kerberos says: \(error.cause)"
            }
        return KerberosError(error.kind, cause)
    }
}
