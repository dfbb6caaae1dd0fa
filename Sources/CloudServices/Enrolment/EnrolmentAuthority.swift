package import AdminProtocol
internal import ConnectivityService
package import ControlProtocol
package import Cryptography
internal import Glibc
internal import HostSystem
internal import JSON
internal import Synchronization
package import Telemetry
internal import TextFormats

/// The small certificate authority of a connectivity service, in a folder that several instances may share:
///
///     ca.pem, ca.key        the authority
///     tokens/HASH           one file for each token that was not used yet
///     issued/SERIAL         one for each certificate: for whom, until when
///     revoked/SERIAL        one for each that counts no more
///
/// A token is used by removing its file, which only one can do.
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

    private struct StoredToken: Codable {
        var subaccount: String
        var locationID: String
        var expires: Int
    }

    private let folder: String
    private let issuer: CertificateIssuer
    /// What connectors should trust.
    private let anchor: String
    private let lifetime: Int
    private let audit: AuditLog
    private let revoked: Mutex<Set<String>>
    private let renewals = Mutex(RenewalAllowance())

    package var certificate: String { issuer.authority.certificate }

    /// Opens the folder, and makes the authority if there is none.
    ///
    /// - Parameters:
    ///   - anchor: PEM; nil where the service's own certificate comes from this authority.
    ///   - lifetime: of connectors' certificates, in seconds.
    package init(folder: String, anchor: String?, lifetime: Int, audit: AuditLog) throws {
        self.folder = folder
        for path in [folder, folder + "/tokens", folder + "/issued", folder + "/revoked"] {
            try Folder.make(path, mode: 0o700)
        }
        issuer = try Self.loadIssuer(folder)
        self.anchor = anchor ?? issuer.authority.certificate
        self.lifetime = lifetime
        self.audit = audit
        revoked = Mutex(Set(Self.names(folder + "/revoked")))
    }

    private static func loadIssuer(_ folder: String) throws -> CertificateIssuer {
        let (certificate, key) = (folder + "/ca.pem", folder + "/ca.key")
        if unsafe access(key, F_OK) == 0 {
            return try CertificateIssuer(
                CertificateIssuer.Identity(certificate: try text(certificate), privateKey: try text(key))
            )
        }
        let issuer = try CertificateIssuer(commonName: "Cloud Connector authority", days: 3650)
        try AtomicFile.write(issuer.authority.certificate, to: certificate, mode: 0o644)
        try AtomicFile.write(issuer.authority.privateKey, to: key, mode: 0o600)
        return issuer
    }

    /// A certificate for the service itself.
    package func issueServer(names: [String]) throws -> CertificateIssuer.Identity {
        var identity = try issuer.issue(.server(names: names), commonName: names.first ?? "service", days: 397)
        // The anchor travels along, so that an enrolling connector can recognise it by its fingerprint.
        identity.certificate += issuer.authority.certificate
        return identity
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
        removeExpiredTokens()
        let stored = StoredToken(
            subaccount: identity.subaccount,
            locationID: identity.locationID,
            expires: token.expires
        )
        try AtomicFile.write(JSONLines.encode(stored), to: path(ofToken: token.secret), mode: 0o600)
        audit.record(
            .enrolmentCreated,
            "One-time token for \(identity) created, valid until \(WallClock.text(token.expires))"
        )
        return token
    }

    private func path(ofToken secret: String) -> String {
        folder + "/tokens/" + Hexadecimal.text(SHA256.digest(secret.utf8))
    }

    private func removeExpiredTokens() {
        for name in Self.names(folder + "/tokens") {
            let path = "\(folder)/tokens/\(name)"
            guard let bytes = try? Self.bytes(path), let token = try? JSONLines.decode(StoredToken.self, bytes),
                token.expires < WallClock.seconds()
            else { continue }
            unsafe unlink(path)
        }
    }

    /// Those that can still be used.
    package func tokens() -> [ServiceStatus.Token]? {
        let now = WallClock.seconds()
        return Self.names(folder + "/tokens").compactMap { name in
            guard let bytes = try? Self.bytes("\(folder)/tokens/\(name)"),
                let token = try? JSONLines.decode(StoredToken.self, bytes), token.expires >= now
            else { return nil }
            return ServiceStatus.Token(
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
        let path = path(ofToken: request.secret)
        guard let bytes = try? Self.bytes(path), let token = try? JSONLines.decode(StoredToken.self, bytes),
            // Whoever removes it has used it; nobody else can.
            unsafe unlink(path) == 0
        else {
            throw EnrolmentError(
                "the token is unknown or was used before; create a new one with `connectord enrol create`"
            )
        }
        guard token.expires >= WallClock.seconds() else {
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

    package func renew(_ request: String, for identity: ConnectorIdentity, instance: InstanceName?) throws -> String {
        let now = WallClock.seconds()
        guard renewals.withLock({ $0.take(identity, now: now) }) else {
            throw EnrolmentError(
                "more than \(RenewalAllowance.perHour) certificates within an hour; the present one stays valid"
            )
        }
        removeExpired(now)
        return try issue(request, identity, instance)
    }

    /// Of certificates that have run out, at most once an hour.
    private func removeExpired(_ now: Int) {
        guard renewals.withLock({ $0.mayCleanUp(now: now) }) else { return }
        for issued in issued() where WallClock.clamped(issued.expires) < now - 86400 {
            unsafe unlink("\(folder)/issued/\(issued.serial)")
            // Nobody takes it any more, revoked or not.
            unsafe unlink("\(folder)/revoked/\(issued.serial)")
            _ = revoked.withLock { $0.remove(issued.serial) }
        }
    }

    private func issue(_ request: String, _ identity: ConnectorIdentity, _ instance: InstanceName?) throws -> String {
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
        try AtomicFile.write(JSONLines.encode(issued), to: "\(folder)/issued/\(details.serial)", mode: 0o600)
        return pem
    }

    /// Every certificate that was issued, the latest last.
    package func issued() -> [Issued] {
        Self.names(folder + "/issued").compactMap { name in
            guard let bytes = try? Self.bytes("\(folder)/issued/\(name)"),
                var issued = try? JSONLines.decode(Issued.self, bytes)
            else { return nil }
            issued.isRevoked = isRevoked(issued.serial)
            return issued
        }.sorted { $0.issuedAt < $1.issuedAt }
    }

    package func certificates() -> [ServiceStatus.Certificate]? {
        issued().map { item in
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
    /// - Returns: their serial numbers.
    package func revoke(_ identity: ConnectorIdentity) throws -> Set<String> {
        let serials = issued().filter {
            $0.subaccount == identity.subaccount && $0.locationID == identity.locationID && $0.isRevoked != true
        }.map(\.serial)
        for serial in serials { try AtomicFile.write("", to: "\(folder)/revoked/\(serial)", mode: 0o600) }
        revoked.withLock { $0.formUnion(serials) }
        if !serials.isEmpty {
            audit.record(.certificateRevoked, "Certificates of \(identity) revoked: \(serials.count)")
        }
        return Set(serials)
    }

    /// Takes notice of what another instance has revoked.
    package func reload() {
        let names = Set(Self.names(folder + "/revoked"))
        revoked.withLock { $0 = names }
    }

    // MARK: Files

    /// Without files that are being written.
    private static func names(_ folder: String) -> [String] {
        Folder.names(folder).filter { !$0.contains(AtomicFile.unfinishedMark) }
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        guard let file = unsafe fopen(path, "r") else {
            throw EnrolmentError(unsafe "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: EnrolmentProtocol.messageLimit)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    private static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }
}
