package import Cryptography
internal import JSON
internal import Synchronization

/// Turns users' tokens into short-lived certificates: is the issuer trusted, which pattern counts, who is it.
///
/// Source: SAP Cloud Connector, "Configuring Principal Propagation". Made from a configuration, and replaced with it.
package final class UserPropagation: Sendable {
    package struct Settings: Sendable {
        /// Nobody by default.
        package var issuers: [TrustedIssuer] = []
        package var patterns: [SubjectPattern] = []
        /// Nil where there is none.
        package var authority: CertificateIssuer?
        /// Seconds for which a token counts after it has expired.
        package var tolerance = 3600
        /// Seconds.
        package var validity = 3600
        /// Whose tokens count.
        package var subaccount = ""
        /// Of all the files that it was made from.
        package var digest: [UInt8] = []

        package init() {}
    }

    private let settings: Settings
    /// One for all users: nobody ever uses it, since a certificate in a field needs none.
    private let key: SigningKey
    private let made = Mutex<[[UInt8]: UserCertificate]>([:])
    private let counts = Mutex<Counts>(Counts())

    package struct Counts: Sendable {
        /// Certificates that were made.
        package var made = 0
        /// Tokens that did not count, or made no subject.
        package var refused = 0
    }

    /// Certificates that are kept.
    package static let limit = 10_000
    /// Seconds by which clocks may differ.
    package static let leeway = 60

    package init(_ settings: Settings) throws(TLSError) {
        self.settings = settings
        key = try SigningKey()
    }

    /// Keys that are fetched.
    package var fetchedKeys: [IssuerKeys] { settings.issuers.map(\.keys).filter { $0.url != nil } }

    /// Takes over what the one before has fetched.
    package func adopt(_ other: UserPropagation) {
        for keys in fetchedKeys { other.fetchedKeys.forEach { keys.adopt($0) } }
    }

    package var figures: Counts { counts.withLock { $0 } }

    /// What came of a token, for the audit log and for `explain`.
    package struct Outcome: Sendable {
        package var certificate: UserCertificate
        /// The place of the pattern that counted, from one on.
        package var rule: Int
        package var issuer: String
        /// Made just now, rather than found.
        package var isNew: Bool
    }

    /// - Parameter now: seconds since 1970.
    package func certificate(
        for token: some Collection<UInt8>,
        isTechnical: Bool,
        now: Int
    ) throws(PropagationError) -> Outcome {
        try countingRefusals { () throws(PropagationError) in try make(token, isTechnical, now) }
    }

    private func countingRefusals<Result>(_ body: () throws(PropagationError) -> Result) throws(PropagationError)
        -> Result
    {
        do throws(PropagationError) {
            return try body()
        } catch {
            counts.withLock { $0.refused += 1 }
            throw error
        }
    }

    /// Who the user of a token is, for those who need no certificate of it.
    package struct Principal: Sendable {
        /// The common name that the pattern makes.
        package var name: String
        package var rule: Int
        package var issuer: String
        /// Seconds since 1970, until which the token counts.
        package var usableUntil: Int
    }

    /// - Parameter now: seconds since 1970.
    package func principal(
        for token: some Collection<UInt8>,
        isTechnical: Bool,
        now: Int
    ) throws(PropagationError) -> Principal {
        try countingRefusals { () throws(PropagationError) in
            let (claims, issuer) = try trusted(token, isTechnical, now)
            let (index, parts) = try subject(claims)
            return Principal(
                name: parts.last { $0.type == "CN" }?.value ?? "",
                rule: index + 1,
                issuer: issuer,
                usableUntil: tokenEnd(claims, now)
            )
        }
    }

    /// Until when a token counts.
    private func tokenEnd(_ claims: UserClaims, _ now: Int) -> Int {
        (claims.time("exp") ?? now).addingReportingOverflow(settings.tolerance).partialValue
    }

    private func make(_ token: some Collection<UInt8>, _ isTechnical: Bool, _ now: Int) throws(PropagationError)
        -> Outcome
    {
        guard let authority = settings.authority else { throw .noAuthority }
        let (claims, issuer) = try trusted(token, isTechnical, now)
        let (index, parts) = try subject(claims)
        let subject = Self.text(parts)
        let tokenEnd = tokenEnd(claims, now)
        if let known = made.withLock({ $0[Array(subject.utf8)] }), known.usableUntil > now {
            // Another token of the same user; that one may end earlier.
            return Outcome(certificate: known.until(tokenEnd), rule: index + 1, issuer: issuer, isNew: false)
        }
        let certificate = try issue(parts, authority, now)
        keep(certificate, now)
        counts.withLock { $0.made += 1 }
        return Outcome(certificate: certificate.until(tokenEnd), rule: index + 1, issuer: issuer, isNew: true)
    }

    /// The pattern that counts, and what it makes of the claims.
    ///
    /// - Parameter pattern: which one counts; nil for the first whose condition holds.
    private func subject(
        _ claims: UserClaims,
        of pattern: Int? = nil
    ) throws(PropagationError) -> (index: Int, parts: [(type: String, value: String)]) {
        let name = claims["name"] ?? "unknown"
        guard let index = pattern ?? settings.patterns.firstIndex(where: { $0.holds(for: claims) }) else {
            throw .subject(user: name, "no subject pattern has a condition that holds for the token")
        }
        do throws(SubjectPattern.Fault) {
            return (index, try settings.patterns[index].subject(for: claims))
        } catch {
            throw .subject(user: name, "pattern \(index + 1): \(error.message)")
        }
    }

    private func issue(
        _ parts: [(type: String, value: String)],
        _ authority: CertificateIssuer,
        _ now: Int
    ) throws(PropagationError) -> UserCertificate {
        do throws(TLSError) {
            let signed = try authority.issueUser(parts, seconds: settings.validity, key: key)
            return UserCertificate(
                subject: Self.text(parts),
                serialNumber: signed.serialNumber,
                usableUntil: now + max(1, settings.validity / 2),
                der: signed.der
            )
        } catch {
            throw .cannotSign("\(error)")
        }
    }

    /// The certificate of somebody made up, to show those who run internal hosts what will arrive there. No token is asked for,
    /// since nobody has the key that belongs to it.
    ///
    /// - Parameters:
    ///   - values: of the claims that a token would have; `name` stands for `user_name`.
    ///   - pattern: which one counts, from zero on; nil for the first whose condition holds.
    package func sample(
        _ values: [(name: String, value: String)],
        pattern: Int? = nil,
        now: Int
    ) throws(PropagationError) -> Outcome {
        guard let authority = settings.authority else { throw .noAuthority }
        var members: [String: JSONValue] = [:]
        for claim in values {
            let name = claim.name == "name" ? "user_name" : claim.name
            members[name.hasPrefix("cp.") ? String(name.dropFirst(3)) : name] = .string(claim.value)
        }
        guard let claims = UserClaims(JSONLines.encode(JSONValue.object(members)), isTechnical: false) else {
            throw .token("the claims are no JSON object")
        }
        let (index, parts) = try subject(claims, of: pattern)
        return Outcome(certificate: try issue(parts, authority, now), rule: index + 1, issuer: "", isNew: true)
    }

    private func keep(_ certificate: UserCertificate, _ now: Int) {
        made.withLock { made in
            if made.count >= Self.limit { made = made.filter { $0.value.usableUntil > now } }
            if made.count >= Self.limit { made = [:] }
            // Bytes: text compares by what it looks like, and two users may look the same.
            made[Array(certificate.subject.utf8)] = certificate
        }
    }

    /// RFC 4514: the narrowest part first.
    private static func text(_ parts: [(type: String, value: String)]) -> String {
        parts.reversed().map { part in
            let value = part.value.map { "\\,+\"<>;=".contains($0) ? "\\\($0)" : String($0) }.joined()
            return "\(part.type == "emailAddress" ? "EMAIL" : part.type)=\(value)"
        }.joined(separator: ",")
    }

    // MARK: Trust

    /// Checks a token: issuer, signature, times, tenant.
    private func trusted(
        _ bytes: some Collection<UInt8>,
        _ isTechnical: Bool,
        _ now: Int
    ) throws(PropagationError) -> (UserClaims, String) {
        guard !settings.issuers.isEmpty else { throw .token("no identity provider is trusted") }
        let token: CompactToken
        do throws(CompactToken.Fault) { token = try CompactToken(bytes) } catch { throw .token(Self.words(error)) }
        guard let algorithm = WebKey.Algorithm(rawValue: token.algorithm) else {
            throw .token(
                "the token is signed with an algorithm that does not count; RS256 to RS512 and ES256 to ES512 do"
            )
        }
        guard let claims = UserClaims(token.payload, isTechnical: isTechnical) else {
            throw .token("the token's payload is no JSON object")
        }
        let named = settings.issuers.filter { issuer in
            claims.claim("iss").map { Self.isSame($0, issuer.issuer) } ?? false
        }
        guard !named.isEmpty else { throw .token("the token's issuer is not trusted") }
        let candidates = named.flatMap { one in one.keys.keys(for: token.keyID).map { (one, $0) } }
        guard !candidates.isEmpty else {
            if let failure = named.lazy.compactMap(\.keys.failure).first {
                throw .token("the keys of the token's issuer are not known: \(failure)")
            }
            throw .token("the token is signed with a key that its issuer is not known to have")
        }
        let signed = candidates.filter { $0.1.isValid(token.signature, over: token.signed, algorithm) }
        guard !signed.isEmpty else { throw .token("the token's signature is wrong") }
        guard let expires = claims.time("exp") else { throw .token("the token has no time at which it expires") }
        guard expires > now - settings.tolerance else {
            throw .token("the token has expired, and the tolerance of \(settings.tolerance / 60) minutes with it")
        }
        guard max(claims.time("nbf") ?? 0, claims.time("iat") ?? 0) <= now + Self.leeway else {
            throw .token("the token is not valid yet: its times lie in the future")
        }
        // Of the entry whose key has signed it, should two have one name.
        let isOfTenant = signed.contains { issuer, _ in
            guard let tenant = claims.tenant else { return issuer.tenant == nil }
            return Self.isSame(tenant, issuer.tenant ?? settings.subaccount)
        }
        guard isOfTenant else { throw .token("the token is of another tenant") }
        return (claims, signed[0].0.issuer)
    }

    /// Byte for byte.
    private static func isSame(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }

    private static func words(_ fault: CompactToken.Fault) -> String {
        switch fault {
        case .tooLong: "the token is longer than \(CompactToken.maxBytes) bytes"
        case .notCompact: "it is no JSON Web Token: three parts in base64url, separated by dots, are expected"
        case .badHeader: "the token's header is no JSON object with alg"
        case .unknownExtension: "the token's header has an extension (crit or b64), and none is known here"
        }
    }
}

extension UserCertificate {
    /// The same, for no longer than so.
    fileprivate func until(_ end: Int) -> UserCertificate {
        end >= usableUntil ? self : UserCertificate(self, usableUntil: end)
    }
}
