package import Cryptography

/// What a configuration says of principal propagation; files are read when it is taken into effect.
package struct PropagationConfiguration: Sendable, Equatable {
    package struct Issuer: Sendable, Equatable {
        package var issuer: String
        package var tenant: String?
        /// A file with a JSON Web Key Set, or the URL of one.
        package var keys: String
        /// Whether its tokens count now.
        package var isActive = true

        var isFetched: Bool { keys.contains("://") }

        package init(issuer: String, tenant: String?, keys: String, isActive: Bool = true) {
            (self.issuer, self.tenant, self.keys, self.isActive) = (issuer, tenant, keys, isActive)
        }
    }

    package var issuers: [Issuer] = []
    package var patterns: [SubjectPattern] = []
    /// PEM files; empty for none.
    package var authorityCertificate = ""
    package var authorityKey = ""
    /// Seconds for which a token counts after it has expired.
    package var tolerance = 3600
    /// Seconds of a user's certificate.
    package var validity = 3600
    /// Of all the files, so that a reload notices their change.
    package var digest: [UInt8] = []

    package init() {}

    /// Certificates that anchor `https` of key sets; empty for those of the system.
    package var trustedCA = ""

    package var files: [String] {
        issuers.filter { !$0.isFetched }.map(\.keys) + [authorityCertificate, authorityKey].filter { !$0.isEmpty }
    }

    /// - Parameters:
    ///   - subaccount: whose tokens count.
    ///   - read: the bytes of a file.
    package func load(
        subaccount: String,
        _ read: (String) throws(TLSError) -> [UInt8]
    ) throws(TLSError) -> UserPropagation {
        var settings = UserPropagation.Settings()
        settings.subaccount = subaccount
        (settings.patterns, settings.tolerance, settings.validity) = (patterns, tolerance, validity)
        for issuer in issuers where issuer.isActive {
            let keys: IssuerKeys
            if issuer.isFetched {
                keys = IssuerKeys(url: issuer.keys)
            } else {
                do throws(TLSError) { keys = IssuerKeys(try WebKey.set(try read(issuer.keys))) } catch {
                    throw TLSError(.configuration, "\(issuer.keys): \(error)")
                }
            }
            settings.issuers.append(TrustedIssuer(issuer: issuer.issuer, tenant: issuer.tenant, keys: keys))
        }
        if !authorityCertificate.isEmpty {
            settings.authority = try CertificateIssuer(
                CertificateIssuer.Identity(
                    certificate: String(decoding: try read(authorityCertificate), as: UTF8.self),
                    privateKey: String(decoding: try read(authorityKey), as: UTF8.self)
                )
            )
        }
        return try UserPropagation(settings)
    }
}
