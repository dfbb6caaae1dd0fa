internal import AvailabilityCheck
internal import CloudConnector
package import ConfigurationEditing
internal import ConfigurationReading
internal import Cryptography
internal import NIOHTTP1
internal import Networking
internal import YAMLDocument

/// Takes the file of another connector of the same identity, and keeps what is the machine's own.
package struct ConfigurationPull: Sendable {
    /// Bytes of a file.
    static let limit = YAMLReader.sizeLimit
    /// What stays as it is here: who this connector is among others, by which files, and how it is administered, watched and logged.
    package static let ownKeys = [
        "instance", "tunnel.certificate", "tunnel.private-key", "tunnel.trusted-ca", "admin", "audit", "log", "tracing",
        "event-loops",
    ]

    /// The file that is fetched.
    private let bytes: [UInt8]

    /// Fetches it from a connector whose `admin.replication` is at an address.
    ///
    /// - Parameter main: the own file, by whose certificates both know each other.
    package static func fetch(from host: String, port: Int, for main: String) async throws -> ConfigurationPull {
        let (configuration, findings) = ConnectorConfigurationReader.read(
            try ConfigurationFile.bytes(main),
            file: main
        )
        guard let configuration else {
            throw ConfigurationError(findings: findings.filter { $0.severity == .error })
        }
        let identity = configuration.identity
        let client = try HTTPClient(configuration.replicationTLS(.client)) { peer in
            guard let certificate = peer.peerCertificate, certificate.connector == identity else {
                return "it is another connector: its certificate is not for \(identity)"
            }
            return nil
        }
        let request = HTTPClient.Request(
            method: .GET,
            target: ReplicationServer.path,
            headers: ["host": "connector", "connection": "close"]
        )
        let response = try await client.send(request, to: .host(host, port: port, isTLS: true))
        guard response.status == .ok else {
            throw HTTPClient.HTTPClientError(
                description:
                    "\(host) answers \(response.status.code): \(String(decoding: response.body.prefix(500), as: UTF8.self))"
            )
        }
        return ConfigurationPull(bytes: response.body)
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// Writes it in the place of a file, unless nothing of it is new.
    package func apply(to store: ConfigurationStore, isRehearsed: Bool) throws -> ConfigurationStore.Outcome {
        try store.change(isRehearsed: isRehearsed) { text in
            let merged = try Self.merge(bytes, into: text)
            try Self.checkFiles(merged.bytes, store.path)
            text = merged
        }
    }

    /// Files are not fetched, so those that the other's file names have to be here.
    ///
    /// - Throws: what a start would refuse.
    private static func checkFiles(_ bytes: [UInt8], _ file: String) throws {
        // What is wrong with the text is said by whoever writes it.
        guard let configuration = ConnectorConfigurationReader.read(bytes, file: file).0 else { return }
        let findings = configuration.fileFindings.filter { $0.severity == .error }
        guard findings.isEmpty else { throw ConfigurationError(findings: findings) }
        try configuration.checkTunnelFiles()
        _ = try BackendTLS(configuration.backendTLS, configuration.systems)
    }

    /// - Returns: the other's text, with what is this machine's own as it is here.
    package static func merge(_ theirs: [UInt8], into own: YAMLText) throws -> YAMLText {
        var text = try YAMLText(theirs)
        for key in ownKeys {
            let path = key.split(separator: ".").map { YAMLStep.key(String($0)) }
            let (wanted, found) = (own.value[path], text.value[path])
            guard wanted != found else { continue }
            if let wanted {
                try text.apply(.set(path, wanted))
            } else {
                try text.apply(.remove(path))
            }
        }
        return text
    }
}
