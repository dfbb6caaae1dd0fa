internal import Cryptography
internal import Glibc
internal import HostSystem

/// Certificates for both ends of a tunnel, signed by an authority that is forgotten at once.
package enum ThrowAwayCertificates {
    /// Writes an authority's certificate and one with its key for each side; what is there stays.
    package static func write(
        to directory: String,
        subaccount: String,
        locationID: String,
        serviceNames: [String],
        days: Int
    ) throws {
        guard unsafe mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw FileError("write", directory)
        }
        let issuer = try CertificateIssuer(commonName: "Cloud Connector test authority", days: max(days, 1))
        let service = try issuer.issue(
            .server(names: serviceNames),
            commonName: serviceNames.first ?? "service",
            days: days
        )
        let identity = ConnectorIdentity(subaccount: subaccount, locationID: locationID)
        let connector = try issuer.issue(.connector(identity), commonName: "connector", days: days)
        try write(issuer.authority.certificate, "\(directory)/ca.pem", mode: 0o644)
        try write(service.certificate, "\(directory)/service.pem", mode: 0o644)
        try write(service.privateKey, "\(directory)/service.key", mode: 0o600)
        try write(connector.certificate, "\(directory)/connector.pem", mode: 0o644)
        try write(connector.privateKey, "\(directory)/connector.key", mode: 0o600)
    }

    private static func write(_ text: String, _ path: String, mode: mode_t) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileError("write", path) }
        defer { close(descriptor) }
        var text = text
        let isWritten = text.withUTF8 { bytes in
            unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count) == bytes.count
        }
        guard isWritten else { throw FileError("write", path) }
    }
}
