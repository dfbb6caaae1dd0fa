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

    func add(_ certificate: EnrolmentAuthority.Issued) throws
    /// Every certificate that was issued and has not run out long ago.
    func issued() throws -> [EnrolmentAuthority.Issued]
    /// Forgets certificates that ran out before a time, revoked or not.
    func removeCertificates(expiredBefore time: Int) throws

    func revoke(_ serials: [String]) throws
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
