package import ArgumentParser
internal import ConnectorProcess

extension ConnectorProgram.CertificateKind: ExpressibleByArgument {}

/// `connectord certificate`
package struct CertificateCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "certificate",
        abstract: "Make the CA for users' certificates, or the system certificate.",
        discussion: """
            `ca` signs the certificates with which users arrive at internal hosts; `system` is the one the connector shows them in TLS. \
            Both are signed with their own key, or, with --request, made for an authority to sign. Existing files are left alone.
            """
    )

    @Argument(help: "ca or system.")
    var kind: ConnectorProgram.CertificateKind

    @Option(help: "Its name, such as \"CN=Plant 4 Users,O=Company,C=DE\".")
    var subject: String

    @Option(help: "Where to write.")
    var directory = "."

    @Option(help: "How long it is valid, in days.")
    var days = 3650

    @Option(help: "Bits of its RSA key: 2048, 3072 or 4096.")
    var keySize = 2048

    @Flag(help: "Write a certificate request (PKCS #10) in the place of a certificate.")
    var request = false

    package func validate() throws {
        guard [2048, 3072, 4096].contains(keySize) else { throw ValidationError("--key-size is 2048, 3072 or 4096") }
        guard (1...36500).contains(days) else { throw ValidationError("--days is between 1 and 36500") }
    }

    package func run() async throws {
        let lines = try await CommandSupport.attempt {
            try ConnectorProgram.makeCertificate(
                kind,
                subject: subject,
                directory: directory,
                days: days,
                keySize: keySize,
                isRequest: request
            )
        }
        for line in lines { print(line) }
    }
}
