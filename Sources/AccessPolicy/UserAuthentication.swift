/// Whether and how the user of a request arrives at the internal host.
///
/// Source: SAP Cloud Connector, "Configure Access Control (HTTP)", principal type and system certificate for logon.
package struct UserAuthentication: Sendable, Equatable {
    /// As SAP's API names them.
    package enum Mode: String, Sendable, CaseIterable {
        /// Users do not arrive. The system certificate may log on.
        case none = "NONE"
        /// Neither may the system certificate.
        case noneRestricted = "NONE_RESTRICTED"
        /// A user arrives with a certificate; without one, the system certificate may log on.
        case x509General = "X509_GENERAL"
        /// A user arrives with a certificate; without one, nobody is logged on.
        case x509Restricted = "X509_RESTRICTED"
        /// A user arrives with a Kerberos ticket; without one, nobody is logged on.
        case kerberos = "KERBEROS"

        package var takesUsers: Bool { takesCertificates || self == .kerberos }
        package var takesCertificates: Bool { self == .x509General || self == .x509Restricted }
        /// Whether a request without a user says that the system certificate is nobody's logon.
        package var isRestricted: Bool { self == .noneRestricted || self == .x509Restricted }
    }

    /// How a user's certificate stands in a field.
    package enum Form: String, Sendable, CaseIterable {
        /// DER in Base64, one line: ABAP, SAP Web Dispatcher, AS Java.
        case base64DER = "base64-der"
        /// PEM with blanks in the place of line ends: Tomcat's `SSLValve`, Apache's mod_headers.
        case pem
        /// PEM in percent-encoding, as nginx has it in `$ssl_client_escaped_cert`.
        case escapedPEM = "escaped-pem"
        /// `:DER in Base64:` (RFC 9440 section 2.1).
        case rfc9440
    }

    package let mode: Mode
    package let form: Form
    /// The field's name, as it is written.
    package let field: String
    /// Whether the field is not the usual one of its form.
    package let hasOwnField: Bool
    /// Whether requests differ from those of a system that knows nothing of users.
    package let isOn: Bool
    /// A name of its own in Kerberos, without the realm; nil for `HTTP/` and the internal host (RFC 4559 section 4).
    package let servicePrincipal: String?

    /// - Parameter field: nil for the usual one of the form.
    package init(mode: Mode = .none, form: Form = .base64DER, field: String? = nil, servicePrincipal: String? = nil) {
        (self.mode, self.form, self.servicePrincipal) = (mode, form, servicePrincipal)
        let usual = form == .rfc9440 ? "Client-Cert" : "SSL_CLIENT_CERT"
        self.field = field ?? usual
        hasOwnField = field != nil && field != usual
        isOn = mode != .none
    }

    /// What Kerberos calls the internal host, without its realm.
    package func service(of host: String) -> String { servicePrincipal ?? "HTTP/\(host)" }
}
