package import AdminProtocol
package import ControlProtocol
package import Cryptography

/// Who answers for connectors' certificates.
package protocol CertificateAuthority: Sendable {
    /// - Parameter serial: upper-case hexadecimal.
    func isRevoked(_ serial: String) -> Bool
    /// A new certificate for a connector that has proved who it is with its present one.
    ///
    /// - Parameters:
    ///   - request: PKCS #10, PEM.
    ///   - serial: of the present one, which must not have been revoked meanwhile.
    func renew(
        _ request: String,
        for identity: ConnectorIdentity,
        instance: InstanceName?,
        with serial: String
    ) throws -> String
    /// Answers a connector that has nothing but a one-time token.
    func enrol(_ request: EnrolmentRequest) throws -> EnrolmentResponse
    /// What it has issued, the latest last; nil without an authority.
    func certificates() -> [ServiceStatus.Certificate]?
    /// One-time tokens that can still be used, the first to end first; nil without an authority.
    func tokens() -> [ServiceStatus.Token]?
}

/// Why the authority says no; in words for whoever asked.
package struct EnrolmentError: Error, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// For a service whose connectors' certificates come from elsewhere.
package struct NoAuthority: CertificateAuthority {
    package init() {}
    package func isRevoked(_ serial: String) -> Bool { false }
    package func renew(
        _ request: String,
        for identity: ConnectorIdentity,
        instance: InstanceName?,
        with serial: String
    ) throws -> String {
        throw EnrolmentError("this service has no certificate authority; configure \"enrolment\"")
    }
    package func enrol(_ request: EnrolmentRequest) throws -> EnrolmentResponse {
        throw EnrolmentError("this service has no certificate authority; configure \"enrolment\"")
    }
    package func certificates() -> [ServiceStatus.Certificate]? { nil }
    package func tokens() -> [ServiceStatus.Token]? { nil }
}
