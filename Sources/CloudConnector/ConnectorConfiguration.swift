package import AccessPolicy
package import AvailabilityCheck
package import Cryptography
internal import HostSystem
package import Kerberos
package import NIOCore
package import PrincipalPropagation
package import TunnelCore

/// Everything `connector.conf` says, validated; nothing after this checks again.
package struct ConnectorConfiguration: Sendable {
    /// How the service is dialled, and how its tunnels are kept.
    package struct Tunnel: Sendable, Equatable {
        package var serviceHost = ""
        package var servicePort = 443
        /// Others of this identity may serve beside this connector; this is what tells it apart. Nil for one that serves alone.
        package var instance: InstanceName?
        /// Whether the connector dials at all.
        package var isActive = true
        package var connections = 2
        /// Addresses of the service that get tunnels; of more, each connector chooses its own.
        package var services = DialerConfiguration.defaultServices
        package var certificate = ""
        package var privateKey = ""
        package var trustedCA = ""
        package var dialect = TunnelDialect.standard
        package var envoy = EnvoySettings()
        package var minimumTLS = TLSConfiguration.Version.tls13
        package var pingInterval = TimeAmount.seconds(10)
        package var http2 = HTTP2Configuration()
        package var proxy: DialerConfiguration.Proxy?
        /// Whether the connector renews its certificate by itself.
        package var renews = true
    }

    package var subaccount = ""
    package var regionHost = ""
    package var locationID = ""
    package var description = ""
    /// For clients of the configuration API.
    package var displayName = ""
    package var eventLoops = 1
    package var tunnel = Tunnel()
    package var systems: [SystemMapping] = []
    package var cookieDomains: [CookieDomain] = []
    /// Where each system and its resources stand, in the order of `systems`.
    package var places: [SystemPlace] = []
    package var check = AvailabilityChecker.Configuration()
    package var backendTLS = TLSConfiguration.toInternalHosts
    package var forwarding = ForwardingConfiguration()
    /// For requests in flight when tunnels are taken away.
    package var drain = TimeAmount.seconds(30)
    /// A log line for each request.
    package var accessLog = false
    /// Spans for requests that somebody traces.
    package var isTracing = false
    package var file = ""
    /// Of the files that are named here, so that a reload notices their change.
    package var tunnelFilesDigest: [UInt8] = []
    package var backendTrustDigest: [UInt8] = []
    /// Nil where no users arrive.
    package var propagation: PropagationConfiguration?
    /// Nil where no users arrive by tickets.
    package var kerberos: KerberosConfiguration?

    package init() {}

    /// Within what the system allows this process.
    var cappedForwarding: ForwardingConfiguration {
        var capped = forwarding
        capped.maxConnections = DescriptorLimit.cap(forwarding.maxConnections * eventLoops) / eventLoops
        return capped
    }

    /// Users and how they arrive, with the files that are named for it.
    ///
    /// - Parameter old: what it has fetched stays.
    package func loadPropagation(after old: UserPropagation? = nil) throws(TLSError) -> UserPropagation? {
        guard let propagation else { return nil }
        let users = try propagation.load(subaccount: subaccount) { (path) throws(TLSError) in
            do { return try PlainFile.read(path, maxBytes: PrivateFile.maxBytes) } catch {
                throw TLSError(.configuration, "\(path): \(error)")
            }
        }
        if let old { users.adopt(old) }
        return users
    }

    /// Whether certificate, key and trust can be used, and the certificate is this connector's.
    package func checkTunnelFiles() throws(TLSError) {
        let certificate = try CertificateDetails(.file(tunnel.certificate))
        guard isOwn(certificate) else {
            let found = certificate.connector.map { "\($0)" } ?? "no connector"
            throw TLSError(
                .configuration,
                "\(file): the certificate in \(tunnel.certificate) is for \(found), but the file says \(identity): enrol "
                    + "again, or put subaccount and location-id right"
            )
        }
        if let fault = instanceFault(certificate) { throw TLSError(.configuration, "\(file): \(fault)") }
        _ = try tunnelContexts()
    }

    /// Whether a certificate names this connector, or none where the other end may know its connectors by other names.
    package func isOwn(_ certificate: CertificateDetails) -> Bool {
        certificate.connector == identity || (certificate.connector == nil && !tunnel.dialect.hasControlStream)
    }

    /// Why a certificate does not do for one of several connectors side by side; nil where it does.
    package func instanceFault(_ certificate: CertificateDetails) -> String? {
        guard let instance = tunnel.instance, certificate.instance != instance else { return nil }
        let found = certificate.instance.map { "the instance \($0)" } ?? "no instance"
        return
            "\(tunnel.certificate) is for \(found), but replicas: active needs one for \(instance): enrol this connector "
            + "with a token of its own"
    }

    package var identity: ConnectorIdentity { ConnectorIdentity(subaccount: subaccount, locationID: locationID) }

    /// Where in its file a mapping and its resources stand.
    package struct SystemPlace: Sendable, Equatable {
        package var file: String
        package var line: Int
        package var resourceLines: [Int]

        package init(file: String, line: Int, resourceLines: [Int]) {
            self.file = file
            self.line = line
            self.resourceLines = resourceLines
        }
    }

    package var tunnelTLS: TLSConfiguration {
        TLSConfiguration(
            role: .client,
            minimumVersion: tunnel.minimumTLS,
            certificateChain: .file(tunnel.certificate),
            privateKey: .file(tunnel.privateKey),
            trust: .anchors([.file(tunnel.trustedCA)]),
            applicationProtocols: tunnel.dialect.applicationProtocols
        )
    }

    /// For the session that an Envoy begins on a connection which the connector has dialled: the Envoy has to show the
    /// certificate of a server that it showed when it was dialled, or one like it. Nil with other dialects.
    package var tlsWithin: TLSConfiguration? {
        guard tunnel.dialect == .envoy else { return nil }
        var tls = tunnelTLS
        tls.role = .server
        tls.requiresClientCertificate = true
        tls.ignoresPurpose = true
        tls.applicationProtocols = []
        return tls
    }

    func tunnelContexts() throws(TLSError) -> TunnelTLS { try TunnelTLS(tunnelTLS, within: tlsWithin) }

    package var dialer: DialerConfiguration {
        var http2 = tunnel.http2
        // The control stream is one more than the requests.
        http2.maxConcurrentStreams += 1
        var dialer = DialerConfiguration(
            host: tunnel.serviceHost,
            port: tunnel.servicePort,
            connections: tunnel.connections,
            proxy: tunnel.proxy,
            tls: tunnelTLS,
            http2: http2,
            pingInterval: tunnel.pingInterval
        )
        dialer.isActive = tunnel.isActive
        dialer.services = tunnel.services
        dialer.seed = identity.uri + " " + (tunnel.instance?.text ?? "")
        dialer.dialect = tunnel.dialect
        dialer.envoy = tunnel.envoy
        return dialer
    }
}

extension TLSConfiguration {
    /// What SAP's product documents: OpenSSL's own cipher suites from TLS 1.2 on, and an internal host is trusted if one of the
    /// listed certificates is in its chain, as root or between (SAP Cloud Connector, "Configure Trust").
    package static var toInternalHosts: TLSConfiguration {
        var configuration = TLSConfiguration(role: .client, minimumVersion: .tls12)
        configuration.ciphers = "DEFAULT"
        configuration.acceptsAnyAnchor = true
        return configuration
    }
}
