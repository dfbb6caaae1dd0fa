internal import AccessPolicy
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
    }

    struct Check: Sendable, Equatable {
        var interval = TimeAmount.seconds(30)
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
        DialerConfiguration(
            host: tunnel.serviceHost,
            port: tunnel.servicePort,
            connections: tunnel.connections,
            tls: tunnelTLS,
            http2: tunnel.http2,
            pingInterval: tunnel.pingInterval
        )
    }
}
