internal import CloudServices
internal import ConfigurationReading
internal import ConnectivityService
internal import ControlProtocol
internal import Cryptography
internal import DaemonSupport
internal import HostSystem
internal import Logging
internal import PostgreSQL
internal import Synchronization
internal import Telemetry
internal import TextFormats
internal import Tokens

/// What a service has in common with others of its store.
extension CloudDaemon {
    static func authority(
        _ configuration: CloudConfiguration,
        _ vault: StoreVault?,
        _ audit: AuditLog
    ) throws -> EnrolmentAuthority? {
        try configuration.enrolment.map { enrolment in
            try EnrolmentAuthority(
                try vault.map { try EnrolmentDatabase($0) } ?? EnrolmentFolder(enrolment.authority),
                anchor: enrolment.anchor.isEmpty ? nil : try Self.text(enrolment.anchor),
                lifetime: enrolment.lifetime,
                audit: audit
            )
        }
    }

    /// What another service has changed takes effect here, too. Called on the feed's thread.
    ///
    /// - Parameter topics: nil where all may have changed.
    func storeChanged(_ topics: Set<String>?) throws {
        func concerns(_ topic: String) -> Bool { topics?.contains(topic) ?? true }
        if concerns(EnrolmentDatabase.topic), let authority { service.cut(serials: try authority.reload()) }
        if concerns(DirectoryDatabase.topic) { lease?.wake() }
        guard let api else { return }
        if concerns(DestinationDatabase.topic) { try api.refresh() }
        guard concerns(CloudAPI.keysTopic), try api.tokens.keys.reload() else { return }
        logger.notice("token keys changed by another service")
        Task { await believeUntilDone(api) }
    }

    private func believeUntilDone(_ api: CloudAPI) async {
        while !service.isDraining {
            do { return try await believeKeys(api) } catch {
                logger.error("new token keys are not believed yet", metadata: ["cause": "\(error)"])
                // Whatever it is, such as a certificate that is being replaced, somebody has to put it right.
                try? await Task.sleep(for: .seconds(5))
            }
        }
    }

    /// Has tokens checked with the keys of now. Never beside a reload, which it would undo.
    func believeKeys(_ api: CloudAPI) async throws {
        try await reloads.run { [self] () async -> Result<Void, any Error> in
            let current = state.withLock { $0.current }
            do { return .success(try await service.apply(try Self.complete(current, authority, api))) } catch {
                return .failure(error)
            }
        }.get()
    }

    /// Makes this service known to the others.
    static func lease(
        _ configuration: CloudConfiguration,
        _ service: ConnectivityService,
        _ logger: Logger
    ) -> ServiceLease? {
        guard let store = configuration.store, let peers = configuration.service.peers else { return nil }
        let listen = HostPort(host: peers.address.host, port: service.peerPort)
        let own = PeerDirectory.Service(
            name: peers.name.text,
            run: "\(WallClock.seconds())-\(UInt32.random(in: 0...UInt32.max))",
            address: peers.advertised ?? listen,
            version: Version.current
        )
        return ServiceLease(own, store.address, service, logger: logger)
    }

    private static func text(_ path: String) throws(ConfigurationError) -> String {
        String(decoding: try ConfigurationFile.bytes(path), as: UTF8.self)
    }
}
