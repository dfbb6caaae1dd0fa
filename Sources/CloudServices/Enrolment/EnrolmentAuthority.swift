package import AdminProtocol
internal import ConnectivityService
package import ControlProtocol
package import Cryptography
internal import HostSystem
internal import Synchronization
package import Telemetry
internal import TextFormats

/// The small certificate authority of a connectivity service. What it has to remember is in a store, which several instances may share.
package final class EnrolmentAuthority: CertificateAuthority {
    /// What is kept of a certificate, in a file named after its serial number.
    package struct Issued: Codable, Sendable {
        package var serial: String
        package var subaccount: String
        package var locationID: String
        package var issuedAt: Int
        package var expires: Int
        package var isRevoked: Bool?
        /// Of connectors that serve side by side.
        package var instance: String?
    }

    private let store: any EnrolmentStore
    private let issuer: CertificateIssuer
    /// What connectors should trust.
    private let anchor: String
    private let lifetime: Int
    private let audit: AuditLog
    private let revoked: Mutex<Set<String>>
    private let renewals = Mutex(RenewalAllowance())

    package var certificate: String { issuer.authority.certificate }

    /// Takes the authority out of its store, and makes it if there is none.
    ///
    /// - Parameters:
    ///   - anchor: PEM; nil where the service's own certificate comes from this authority.
    ///   - lifetime: of connectors' certificates, in seconds.
    package init(_ store: any EnrolmentStore, anchor: String?, lifetime: Int, audit: AuditLog) throws {
        self.store = store
        issuer = try CertificateIssuer(
            try store.authority { try CertificateIssuer(commonName: "Cloud Connector authority", days: 3650).authority }
        )
        self.anchor = anchor ?? issuer.authority.certificate
        self.lifetime = lifetime
        self.audit = audit
        revoked = Mutex(try store.revoked())
    }

    /// A certificate for the service itself.
    package func issueServer(names: [String]) throws -> CertificateIssuer.Identity {
        var identity = try issuer.issue(.server(names: names), commonName: names.first ?? "service", days: 397)
        // The anchor travels along, so that an enrolling connector can recognise it by its fingerprint.
        identity.certificate += issuer.authority.certificate
        return identity
    }

    /// A certificate with which a service shows itself to others of the same store.
    package func issueService(_ name: InstanceName) throws -> CertificateIssuer.Identity {
        try issuer.issue(.service(name), commonName: name.text, days: 397)
    }

    // MARK: Tokens

    /// - Parameter lifetime: seconds.
    package func createToken(
        for identity: ConnectorIdentity,
        service: String,
        lifetime: Int
    ) throws -> EnrolmentToken {
        let token = EnrolmentToken(
            service: service,
            subaccount: identity.subaccount,
            locationID: identity.locationID,
            anchor: try CertificateDetails(.pem(anchor)).fingerprint,
            secret: Hexadecimal.text(try SecureRandom.bytes(32)),
            expires: WallClock.seconds() + lifetime
        )
        try store.removeExpiredTokens()
        let stored = StoredToken(
            subaccount: identity.subaccount,
            locationID: identity.locationID,
            expires: token.expires
        )
        try store.add(token: Self.hash(token.secret), stored, lifetime: lifetime)
        audit.record(
            .enrolmentCreated,
            "One-time token for \(identity) created, valid until \(WallClock.text(token.expires))"
        )
        return token
    }

    private static func hash(_ secret: String) -> String { Hexadecimal.text(SHA256.digest(secret.utf8)) }

    /// Those that can still be used.
    package func tokens() -> [ServiceStatus.Token]? {
        (try? store.tokens())?.map { token in
            ServiceStatus.Token(
                subaccount: token.subaccount,
                locationID: token.locationID,
                expires: token.expires
            )
        }.sorted { $0.expires < $1.expires }
    }

    package func enrol(_ request: EnrolmentRequest) throws -> EnrolmentResponse {
        let instance = try request.instance.map { text in
            guard let name = InstanceName(text) else {
                throw EnrolmentError("\"\(LogText.escaped(text.utf8))\" is no name of an instance")
            }
            return name
        }
        guard let (token, isExpired) = try store.take(token: Self.hash(request.secret)) else {
            throw EnrolmentError(
                "the token is unknown or was used before; create a new one with `connectord enrol create`"
            )
        }
        guard !isExpired else {
            throw EnrolmentError(
                "the token expired at \(WallClock.text(token.expires)); create a new one with `connectord enrol create`"
            )
        }
        let identity = ConnectorIdentity(subaccount: token.subaccount, locationID: token.locationID)
        let certificate = try issue(request.certificateRequest, identity, instance)
        let whose = instance.map { "\(identity), instance \($0)" } ?? "\(identity)"
        audit.record(.certificateIssued, "Certificate for \(whose) issued by enrolment")
        return EnrolmentResponse(certificate: certificate, anchor: anchor)
    }

    // MARK: Certificates

    package func renew(
        _ request: String,
        for identity: ConnectorIdentity,
        instance: InstanceName?,
        with serial: String
    ) throws -> String {
        let now = WallClock.seconds()
        guard renewals.withLock({ $0.take(identity, now: now) }) else {
            throw EnrolmentError(
                "more than \(RenewalAllowance.perHour) certificates within an hour; the present one stays valid"
            )
        }
        removeExpired(now)
        return try issue(request, identity, instance, inPlaceOf: serial)
    }

    /// Of certificates that have run out, at most once an hour.
    private func removeExpired(_ now: Int) {
        guard renewals.withLock({ $0.mayCleanUp(now: now) }) else { return }
        // Nobody takes them any more, revoked or not; what cannot be removed now is removed later.
        try? store.removeExpiredCertificates()
    }

    /// - Parameter serial: of the certificate with which it was asked for.
    private func issue(
        _ request: String,
        _ identity: ConnectorIdentity,
        _ instance: InstanceName?,
        inPlaceOf serial: String? = nil
    ) throws -> String {
        let pem = try issuer.sign(request: request, for: identity, instance: instance, seconds: lifetime)
        let details = try CertificateDetails(.pem(pem))
        let issued = Issued(
            serial: details.serial,
            subaccount: identity.subaccount,
            locationID: identity.locationID,
            issuedAt: WallClock.seconds(),
            expires: details.notAfter,
            isRevoked: nil,
            instance: instance?.text
        )
        // Nobody gets a certificate that is not known: it could not be revoked.
        guard try store.add(issued, unlessRevoked: serial) else {
            throw EnrolmentError("the present certificate is revoked")
        }
        return pem
    }

    /// Every certificate that was issued, the latest last.
    package func issued() throws -> [Issued] {
        try store.issued().map { issued in
            var issued = issued
            issued.isRevoked = isRevoked(issued.serial)
            return issued
        }.sorted { $0.issuedAt < $1.issuedAt }
    }

    /// Nil also while nobody can say.
    package func certificates() -> [ServiceStatus.Certificate]? {
        (try? issued())?.map { item in
            ServiceStatus.Certificate(
                serial: item.serial,
                subaccount: item.subaccount,
                locationID: item.locationID,
                expires: item.expires,
                isRevoked: item.isRevoked ?? false,
                instance: item.instance
            )
        }
    }

    package func isRevoked(_ serial: String) -> Bool { revoked.withLock { $0.contains(serial) } }

    /// Revokes every certificate of a connector that is still valid.
    ///
    /// - Parameter instance: of several side by side, this one alone; nil for all.
    /// - Returns: their serial numbers.
    package func revoke(_ identity: ConnectorIdentity, instance: InstanceName? = nil) throws -> Set<String> {
        let serials = try store.revoke(identity, instance: instance?.text)
        revoked.withLock { $0.formUnion(serials) }
        if !serials.isEmpty {
            audit.record(
                .certificateRevoked,
                "Certificates of \(identity)\(instance.map { ", instance \($0)" } ?? "") revoked: \(serials.count)"
            )
        }
        return serials
    }

    /// Takes notice of what another instance has revoked.
    ///
    /// - Returns: the serial numbers that are new.
    @discardableResult
    package func reload() throws -> Set<String> {
        let all = try store.revoked()
        return revoked.withLock { known in
            // What was revoked stays so: of two who read at once, the one with the older answer may come last.
            defer { known.formUnion(all) }
            return all.subtracting(known)
        }
    }
}
