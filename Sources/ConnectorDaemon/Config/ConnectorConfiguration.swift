internal import AccessPolicy
internal import ConnectivityService
internal import NIOCore
internal import TunnelCore

/// Everything `connector.conf` says, validated; nothing after this checks again.
struct ConnectorConfiguration: Sendable {
    struct Tunnel: Sendable, Equatable {
        var serviceHost = ""
        var servicePort = 443
        var connections = 2
        var certificate = ""
        var privateKey = ""
        var trustedCA = ""
        var minimumTLS = TLSConfiguration.Version.tls13
        var pingInterval = TimeAmount.seconds(10)
        var http2 = HTTP2Configuration()
        var proxy: DialerConfiguration.Proxy?
        /// Whether the connector renews its certificate by itself.
        var renews = true
    }

    struct Check: Sendable, Equatable {
        /// Nil for on demand only.
        var interval: TimeAmount? = .seconds(30)
        var timeout = TimeAmount.seconds(5)
    }

    var subaccount = ""
    var regionHost = ""
    var locationID = ""
    var description = ""
    var eventLoops = 1
    var tunnel = Tunnel()
    var systems: [SystemMapping] = []
    /// Where each system and its resources stand, in the order of `systems`.
    var places: [SystemPlace] = []
    var check = Check()
    var backendTLS = TLSConfiguration(role: .client, minimumVersion: .tls12)
    var forwarding = ForwardingConfiguration()
    /// For requests in flight when tunnels are taken away.
    var drain = TimeAmount.seconds(30)
    /// What is said once for the whole process; from the main file.
    var process = ProcessConfiguration()
    var file = ""
    /// Of the files that are named here, so that a reload notices their change.
    var tunnelFilesDigest: [UInt8] = []
    var backendTrustDigest: [UInt8] = []

    /// Within what the system allows this process.
    var cappedForwarding: ForwardingConfiguration {
        var capped = forwarding
        capped.maxConnections = DescriptorLimit.cap(forwarding.maxConnections * eventLoops) / eventLoops
        return capped
    }

    /// Whether certificate, key and trust can be used, and the certificate is this connector's.
    func checkTunnelFiles() throws(TLSError) {
        let certificate = try CertificateDetails(.file(tunnel.certificate))
        guard certificate.connector == identity else {
            let found = certificate.connector.map { "\($0)" } ?? "no connector"
            throw TLSError(
                .configuration,
                "\(file): the certificate in \(tunnel.certificate) is for \(found), but the file says \(identity): enrol "
                    + "again, or put subaccount and location-id right"
            )
        }
        _ = try TLSContext(tunnelTLS)
    }

    var identity: ConnectorIdentity { ConnectorIdentity(subaccount: subaccount, locationID: locationID) }

    struct SystemPlace: Sendable, Equatable {
        var file: String
        var line: Int
        var resourceLines: [Int]
    }

    var tunnelTLS: TLSConfiguration {
        TLSConfiguration(
            role: .client,
            minimumVersion: tunnel.minimumTLS,
            certificateChain: .file(tunnel.certificate),
            privateKey: .file(tunnel.privateKey),
            trust: .anchors([.file(tunnel.trustedCA)]),
            applicationProtocols: [TunnelProtocol.name]
        )
    }

    var dialer: DialerConfiguration {
        var http2 = tunnel.http2
        // The control stream is one more than the requests.
        http2.maxConcurrentStreams += 1
        return DialerConfiguration(
            host: tunnel.serviceHost,
            port: tunnel.servicePort,
            connections: tunnel.connections,
            proxy: tunnel.proxy,
            tls: tunnelTLS,
            http2: http2,
            pingInterval: tunnel.pingInterval
        )
    }
}
