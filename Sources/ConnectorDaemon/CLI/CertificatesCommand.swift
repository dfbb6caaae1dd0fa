internal import ArgumentParser
internal import Glibc
internal import TunnelCore

/// `connectord certificates`: a throw-away authority with a certificate for each side.
struct CertificatesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates",
        abstract: "Make certificates for a connector and a connectivity service, for tests.",
        discussion: """
            Writes ca.pem, service.pem, service.key, connector.pem and connector.key. The authority's key is not \
            kept. Existing files are left alone.
            """
    )

    @Option(help: "Where to write.")
    var directory = "."

    @Option(help: "The subaccount the connector belongs to.")
    var subaccount: String

    @Option(help: "The connector's location ID.")
    var locationID = ""

    @Option(help: "Names and addresses of the connectivity service.")
    var serviceName = ["localhost", "127.0.0.1"]

    @Option(help: "How long the certificates are valid, in days.")
    var days = 30

    func run() throws {
        do {
            try ThrowAwayCertificates.write(
                to: directory,
                identity: ConnectorIdentity(subaccount: subaccount, locationID: locationID),
                serviceNames: serviceName,
                days: days
            )
        } catch {
            CommandSupport.printError("connectord: \(error)")
            throw ExitCode.failure
        }
    }
}

/// Certificates for both ends of a tunnel, signed by an authority that is forgotten at once.
enum ThrowAwayCertificates {
    struct WriteError: Error, CustomStringConvertible {
        var path: String
        var reason: String
        var description: String { "cannot write \(path): \(reason)" }
    }

    static func write(
        to directory: String,
        identity: ConnectorIdentity,
        serviceNames: [String],
        days: Int
    ) throws {
        guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw WriteError(path: directory, reason: String(cString: strerror(errno)))
        }
        let issuer = try CertificateIssuer(commonName: "Cloud Connector test authority", days: max(days, 1))
        let service = try issuer.issue(
            .server(names: serviceNames),
            commonName: serviceNames.first ?? "service",
            days: days
        )
        let connector = try issuer.issue(.connector(identity), commonName: "connector", days: days)
        try write(issuer.authority.certificate, "\(directory)/ca.pem", mode: 0o644)
        try write(service.certificate, "\(directory)/service.pem", mode: 0o644)
        try write(service.privateKey, "\(directory)/service.key", mode: 0o600)
        try write(connector.certificate, "\(directory)/connector.pem", mode: 0o644)
        try write(connector.privateKey, "\(directory)/connector.key", mode: 0o600)
    }

    static func write(_ text: String, _ path: String, mode: mode_t) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw WriteError(path: path, reason: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var text = text
        let isWritten = text.withUTF8 { octets in
            Glibc.write(descriptor, octets.baseAddress, octets.count) == octets.count
        }
        guard isWritten else { throw WriteError(path: path, reason: String(cString: strerror(errno))) }
    }
}
