package import Cryptography

/// Where an enrolment authority keeps what it has to remember. Several instances of a service may share one.
package protocol EnrolmentStore: Sendable {
    /// The authority's certificate and key: what is there, or what `make` makes, by whoever comes first.
    func authority(_ make: () throws -> CertificateIssuer.Identity) throws -> CertificateIssuer.Identity

    /// Remembers a one-time token by the hash of its secret.
    ///
    /// - Parameter lifetime: seconds.
    func add(token hash: String, _ token: StoredToken, lifetime: Int) throws
    /// Uses a token up: of all who try, exactly one gets it.
    ///
    /// - Returns: nil for one that is unknown or was used before.
    func take(token hash: String) throws -> (token: StoredToken, isExpired: Bool)?
    /// Those that can still be used.
    func tokens() throws -> [StoredToken]
    func removeExpiredTokens() throws

    /// - Parameter serial: of the certificate with which this one was asked for.
    /// - Returns: false, and nothing has changed, where that one is revoked.
    func add(_ certificate: EnrolmentAuthority.Issued, unlessRevoked serial: String?) throws -> Bool
    /// Every certificate that was issued and has not run out long ago.
    func issued() throws -> [EnrolmentAuthority.Issued]
    /// Forgets certificates that ran out more than a day ago, revoked or not.
    func removeExpiredCertificates() throws

    /// All that a connector has, or one of several side by side. What is being issued to it at the same time is either among them, or refused.
    ///
    /// - Returns: the serial numbers of those that were not revoked before.
    func revoke(_ identity: ConnectorIdentity, instance: String?) throws -> Set<String>
    func revoked() throws -> Set<String>
}

/// What is kept of a one-time token.
package struct StoredToken: Codable, Sendable, Equatable {
    package var subaccount: String
    package var locationID: String
    /// Seconds since 1970.
    package var expires: Int

    package init(subaccount: String, locationID: String, expires: Int) {
        (self.subaccount, self.locationID, self.expires) = (subaccount, locationID, expires)
    }
}
