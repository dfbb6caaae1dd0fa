internal import Cryptography
internal import Synchronization
internal import TextFormats

/// Browsers that have shown a password, each with a cookie that nobody can guess.
package final class PageSessions<Owner: Sendable>: Sendable {
    /// How long a session lasts, and how many there are at once.
    package struct Limits: Sendable {
        /// Without a request.
        package var idle: Duration
        /// Whatever happens.
        package var life: Duration
        /// Beyond which the one goes that was used the longest ago.
        package var count: Int

        package init(idle: Duration, life: Duration, count: Int) {
            (self.idle, self.life, self.count) = (idle, life, count)
        }
    }

    /// A session that is open.
    package struct Session: Sendable {
        package var owner: Owner
        /// Goes out with the page and comes back with every change.
        package var changeToken: String
        /// Until it ends, if nothing more comes.
        package var left: Duration
        fileprivate var begun: ContinuousClock.Instant
        fileprivate var used: ContinuousClock.Instant
    }

    /// A session as it has just been opened.
    package struct Opened: Sendable {
        /// The value of a `Set-Cookie` field.
        package var cookie: String
        package var changeToken: String
    }

    /// The cookie's name.
    package let name: String
    private let limits: @Sendable () -> Limits
    /// By a digest of the secret, which says nothing about how near a guess was.
    private let sessions = Mutex<[[UInt8]: Session]>([:])

    /// - Parameter limits: asked for each time, since a configuration may change them.
    package init(cookie name: String, _ limits: @autoclosure @escaping @Sendable () -> Limits) {
        self.name = name
        self.limits = limits
    }

    package func open(_ owner: Owner, isTLS: Bool, now: ContinuousClock.Instant = .now) throws -> Opened {
        let secret = Hexadecimal.text(try SecureRandom.bytes(32))
        let token = Hexadecimal.text(try SecureRandom.bytes(16))
        let limits = limits()
        sessions.withLock { sessions in
            sessions = sessions.filter { Self.isAlive($0.value, limits, now) }
            if sessions.count >= limits.count, let oldest = sessions.min(by: { $0.value.used < $1.value.used }) {
                sessions[oldest.key] = nil
            }
            sessions[SHA256.digest(secret.utf8)] = Session(
                owner: owner,
                changeToken: token,
                left: limits.idle,
                begun: now,
                used: now
            )
        }
        let cookie = "\(name)=\(secret); Path=/; HttpOnly; SameSite=Strict" + (isTLS ? "; Secure" : "")
        return Opened(cookie: cookie, changeToken: token)
    }

    private static func isAlive(_ session: Session, _ limits: Limits, _ now: ContinuousClock.Instant) -> Bool {
        session.used > now - limits.idle && session.begun > now - limits.life
    }

    /// The session that one of a request's cookies names.
    ///
    /// - Parameters:
    ///   - fields: of `Cookie`.
    ///   - isUse: whether the session lives on because of it; a page that asks by itself does not keep it alive.
    package func session(
        _ fields: [String],
        isUse: Bool = true,
        now: ContinuousClock.Instant = .now
    ) -> Session? {
        let limits = limits()
        for secret in secrets(fields) {
            let key = SHA256.digest(secret.utf8)
            let found = sessions.withLock { sessions -> Session? in
                guard var session = sessions[key], Self.isAlive(session, limits, now) else { return nil }
                if isUse { session.used = now }
                session.left = min(limits.idle - (now - session.used), limits.life - (now - session.begun))
                sessions[key] = session
                return session
            }
            if let found { return found }
        }
        return nil
    }

    /// Ends the sessions that cookies name.
    package func close(_ fields: [String]) {
        for secret in secrets(fields) { sessions.withLock { $0[SHA256.digest(secret.utf8)] = nil } }
    }

    /// Ends those whose owner has lost the right to them.
    package func close(where isMeant: (Owner) -> Bool) {
        sessions.withLock { sessions in sessions = sessions.filter { !isMeant($0.value.owner) } }
    }

    private func secrets(_ fields: [String]) -> [Substring] {
        fields.flatMap { $0.split(separator: ";") }.compactMap { pair in
            let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            return parts.count == 2 && parts[0] == name ? parts[1] : nil
        }
    }
}
