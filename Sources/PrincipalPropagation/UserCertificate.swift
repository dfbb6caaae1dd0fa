package import AccessPolicy
internal import JSON
internal import TextFormats

/// A short-lived certificate of one user.
package final class UserCertificate: Sendable {
    /// As RFC 4514 writes it, CN first.
    package let subject: String
    package let serialNumber: String
    /// Seconds since 1970, until which a request may carry it: half of its validity, and no longer than its token counts.
    package let usableUntil: Int
    private let der: String

    init(subject: String, serialNumber: String, usableUntil: Int, der: [UInt8]) {
        (self.subject, self.serialNumber, self.usableUntil) = (subject, serialNumber, usableUntil)
        self.der = Base64.encode(der)
    }

    init(_ other: UserCertificate, usableUntil: Int) {
        (subject, serialNumber, der) = (other.subject, other.serialNumber, other.der)
        self.usableUntil = usableUntil
    }

    /// The value of the field.
    package func value(_ form: UserAuthentication.Form) -> String {
        switch form {
        case .base64DER: der
        case .rfc9440: ":\(der):"
        case .pem: pem(" ")
        case .escapedPEM: PercentText.encode(pem("\n") + "\n")
        }
    }

    /// DER.
    package var bytes: [UInt8] { Base64.decode(der) ?? [] }

    /// For a file.
    package var pem: String { pem("\n") + "\n" }

    private func pem(_ end: String) -> String {
        var lines: [Substring] = []
        var rest = der[...]
        while !rest.isEmpty {
            lines.append(rest.prefix(64))
            rest = rest.dropFirst(64)
        }
        return (["-----BEGIN CERTIFICATE-----"] + lines + ["-----END CERTIFICATE-----"]).joined(separator: end)
    }
}
