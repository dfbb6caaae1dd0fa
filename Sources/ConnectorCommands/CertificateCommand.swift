package import ArgumentParser
internal import ConnectorProcess
internal import HostSystem

/// `connectord certificate`
package struct CertificateCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "certificate",
        abstract: "Make the CA for users' certificates, or the system certificate.",
        discussion: """
            `ca` signs the certificates with which users arrive at internal hosts; `system` is the one the connector shows them in TLS. \
            Both are signed with their own key, or, with --request, made for an authority to sign; --import brings its answer, or a \
            PKCS #12 file, to the same place. Existing files are left alone.

              connectord certificate sample --claim name=jdoe --claim mail=jdoe@company.example

            makes a certificate as a user will have it, by the subject patterns of the configuration, for the rules of internal hosts.
            """
    )

    @OptionGroup var configuration: ConnectorFileOption

    enum Wanted: String, ExpressibleByArgument, CaseIterable { case ca, system, sample }

    @Argument(help: "ca, system or sample.")
    var kind: Wanted

    @Option(help: "Its name, such as \"CN=Plant 4 Users,O=Company,C=DE\".")
    var subject: String?

    @Option(name: .customLong("import"), help: "A signed certificate with its chain (PEM), or a PKCS #12 file.")
    var imported: String?

    @Option(help: "A file with the password of the PKCS #12 file.")
    var passwordFile: String?

    @Option(help: "A claim of the sample's user, as NAME=VALUE.")
    var claim: [String] = []

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
        let ways = [subject, imported].compactMap(\.self).count
        guard kind == .sample || ways == 1 else { throw ValidationError("give --subject for a new one, or --import") }
        guard kind != .sample || ways == 0 && !request else {
            throw ValidationError("the sample's name comes from the subject patterns: give --claim NAME=VALUE")
        }
        guard passwordFile == nil || imported != nil else {
            throw ValidationError("--password-file goes with --import")
        }
        guard claim.allSatisfy({ $0.contains("=") }) else { throw ValidationError("--claim takes NAME=VALUE") }
        guard (1...36500).contains(days) else { throw ValidationError("--days is between 1 and 36500") }
    }

    package func run() async throws {
        let lines = try await CommandSupport.attempt {
            let kind: CertificateKind
            switch self.kind {
            case .ca: kind = .ca
            case .system: kind = .system
            case .sample: return try sample()
            }
            if let imported {
                return try ConnectorProgram.importCertificate(
                    kind,
                    imported,
                    password: try password(),
                    directory: directory
                )
            }
            return try ConnectorProgram.makeCertificate(
                kind,
                subject: subject ?? "",
                directory: directory,
                days: days,
                keySize: keySize,
                isRequest: request
            )
        }
        for line in lines { print(line) }
    }

    private func sample() throws -> [String] {
        let claims = claim.map { text in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (name: String(parts[0]), value: String(parts[1]))
        }
        return try ConnectorProgram.sampleCertificate(
            try configuration.file(),
            claims: claims,
            directory: directory,
            warn: CommandSupport.report
        )
    }

    /// Its first line.
    private func password() throws -> String {
        guard let passwordFile else { return "" }
        let bytes = try PlainFile.read(passwordFile, maxBytes: 4096)
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }
}
