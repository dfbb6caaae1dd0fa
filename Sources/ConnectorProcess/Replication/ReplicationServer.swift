internal import CloudConnector
internal import Cryptography
internal import DaemonSupport
internal import HostSystem
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Networking
internal import Synchronization
internal import Telemetry
internal import TextFormats

/// Gives the connector's file to connectors of the same identity, each of which shows its certificate; on a listener of its own.
final class ReplicationServer: Sendable {
    static let path = "/configuration"
    /// Bytes of a request's body: there is none.
    private static let bodyLimit = 1024
    private static let maxConnections = 32

    private let main: String
    private let audit: AuditLog
    private let logger: Logger
    private let listener: RetriedListener
    private let state = Mutex<(address: HostPort?, connector: Connector?)>((nil, nil))

    init(main: String, _ audit: AuditLog, _ logger: Logger) {
        (self.main, self.audit, self.logger) = (main, audit, logger)
        listener = RetriedListener("replication", logger: logger)
    }

    /// - Parameters:
    ///   - address: nil for nowhere.
    ///   - connector: that of the file, by whose certificates both know each other; it asks the service what was revoked.
    func apply(_ address: HostPort?, _ connector: Connector?) async {
        let wanted = connector == nil ? nil : address
        let isSame = state.withLock { state in
            defer { state = (wanted, connector) }
            return state.address == wanted
        }
        guard !isSame else { return }
        guard let wanted else { return await stop() }
        await listener.replace { [self] in try await serve(wanted) }
    }

    private func serve(_ address: HostPort) async throws -> HTTPListener {
        let listener = try await HTTPListener.bind(
            address,
            as: "admin.replication",
            maxConnections: Self.maxConnections,
            // Read for each connection: a renewed certificate counts at once, and connections are few.
            tls: { [self] in context() },
            admits: { [self] peer in admits(peer) },
            limits: HTTPServerLimits(bodyBytes: Self.bodyLimit)
        )
        try await listener.serve(HTTPRoutes([.get(Self.path) { [self] request in await answer(request) }]))
        logger.info("replication served", metadata: ["address": "\(address.host)", "port": "\(listener.port)"])
        return listener
    }

    private func context() -> TLSContext? {
        guard let connector = state.withLock({ $0.connector })?.configuration else { return nil }
        do { return try TLSContext(connector.replicationTLS(.server)) } catch {
            logger.error("replication: no certificate to show", metadata: ["cause": "\(error)"])
            return nil
        }
    }

    private func admits(_ peer: TLSEstablished) -> Bool {
        let identity = state.withLock { $0.connector }?.configuration.identity
        guard let certificate = peer.peerCertificate, let identity, certificate.connector == identity else {
            logger.warning(
                "replication refused: another connector's certificate",
                metadata: ["certificate": "\(peer.peerCertificate?.subjectDN ?? "none")"]
            )
            audit.record(
                .connectionRefused,
                "Configuration not given: the certificate is not that of this connector's identity"
            )
            return false
        }
        return true
    }

    private func answer(_ request: HTTPRequest) async -> HTTPResponse {
        if let refusal = await refusal(request) {
            logger.warning("replication refused: \(refusal.cause)", metadata: ["remote": "\(request.remote)"])
            audit.record(.connectionRefused, "Configuration not given to \(request.remote): \(refusal.cause)")
            return .error(refusal.status, refusal.cause)
        }
        do {
            let bytes = try PlainFile.read(main, maxBytes: ConfigurationPull.limit)
            audit.record(.configurationGiven, "Configuration \(main) given to the connector at \(request.remote)")
            return HTTPResponse(status: .ok, contentType: "application/yaml", body: bytes)
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    /// What was revoked gets nothing, nor does anybody of whom nobody can say whether he was.
    private func refusal(_ request: HTTPRequest) async -> (status: HTTPResponseStatus, cause: String)? {
        guard let serial = request.clientSerial, let connector = state.withLock({ $0.connector }) else {
            return (.forbidden, "no certificate was shown")
        }
        do throws(EnrolError) {
            return try await connector.isRevoked(serial) ? (.forbidden, "the certificate is revoked") : nil
        } catch {
            return (.serviceUnavailable, "nobody can say whether the certificate still counts: \(error)")
        }
    }

    var eventLoops: [any EventLoop] { listener.eventLoops }
    func stop() async { await listener.replace(nil) }
}

extension ConnectorConfiguration {
    /// Between connectors of one identity. Their certificates are made for clients, so what they are for does not count here; whose they are
    /// does.
    func replicationTLS(_ role: TLSConfiguration.Role) -> TLSConfiguration {
        var tls = TLSConfiguration(
            role: role,
            certificateChain: .file(tunnel.certificate),
            privateKey: .file(tunnel.privateKey),
            trust: .anchors([.file(tunnel.trustedCA)]),
            requiresClientCertificate: true
        )
        tls.ignoresPurpose = true
        return tls
    }
}
