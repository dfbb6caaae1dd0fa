import AdminProtocol
import ControlProtocol
import Cryptography
import HostSystem
import NIOCore
import NIOEmbedded
import Testing
import TunnelCore

@testable import ConnectivityService

/// Which tunnels requests may use, when several processes have one connector's identity. No sockets: tunnels that never carry a
/// byte are as good as others for that.
struct TunnelRegistryTests {
    private final class Delegate: TunnelHandlerDelegate {
        func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws {}
        func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> (any StreamReceiver)? { nil }
        func tunnelReady(_ tunnel: TunnelHandler) {}
        func tunnelDraining(_ tunnel: TunnelHandler, _ goAway: GoAway) {}
        func tunnelShutdownSeen(_ tunnel: TunnelHandler) {}
        func tunnelIntervalPassed(_ tunnel: TunnelHandler) {}
        func tunnel(_ tunnel: TunnelHandler, measured roundTrip: TimeAmount) {}
        func tunnelClosed(_ tunnel: TunnelHandler, _ error: (any Error)?) {}
    }

    static let identity = ConnectorIdentity(subaccount: "a", locationID: "")
    let registry = TunnelRegistry()
    let eventLoop = EmbeddedEventLoop()
    private let issuer: CertificateIssuer
    private let plain: CertificateDetails

    init() throws {
        issuer = try CertificateIssuer(commonName: "Test authority", days: 2)
        plain = try Self.certificate(issuer, nil)
    }

    private static func certificate(_ issuer: CertificateIssuer, _ instance: String?) throws -> CertificateDetails {
        let name = instance.flatMap { InstanceName($0) }
        return try CertificateDetails(
            .pem(issuer.issue(.connector(identity, instance: name), commonName: "c", days: 1).certificate)
        )
    }

    /// - Parameter instance: of the certificate, for one that serves beside others.
    func register(
        _ session: String?,
        as identity: ConnectorIdentity = identity,
        instance: String? = nil,
        configuration: String? = nil,
        now: Int = 100
    ) -> TunnelRegistry.Registration {
        let handler = TunnelHandler(
            .client,
            configuration: HTTP2Configuration(),
            pingInterval: .seconds(10),
            eventLoop: eventLoop,
            delegate: Delegate()
        )
        let hello = session.map { session in
            var hello = ControlMessage.Hello(session: session, version: "1", description: "d", startedAt: now)
            if instance != nil { hello.replicas = ControlMessage.Hello.active }
            hello.configuration = configuration
            return hello
        }
        return registry.register(
            handler,
            as: identity,
            hello: hello,
            certificate: instance == nil ? plain : (try? Self.certificate(issuer, instance)) ?? plain,
            remote: "10.0.0.1:1",
            now: now
        )
    }

    /// - Returns: the tunnel's number, and how many it took the place of; nil where it is superseded itself.
    func admit(
        _ session: String?,
        as identity: ConnectorIdentity = identity,
        instance: String? = nil,
        configuration: String? = nil,
        now: Int = 100
    ) -> (id: Int, superseded: Int)? {
        let result = register(session, as: identity, instance: instance, configuration: configuration, now: now)
        guard case .registered(_, let tunnel, let old) = result else { return nil }
        return (tunnel.id, old.count)
    }

    func leave(_ id: Int, _ identity: ConnectorIdentity = identity) {
        guard let group = registry.group(identity), let tunnel = group.all().first(where: { $0.id == id }) else {
            return
        }
        registry.remove(tunnel, of: group, now: WallClock.seconds())
    }

    @Test("A group is there with its first tunnel, and stays")
    func group() throws {
        #expect(registry.group(Self.identity) == nil)
        let tunnel = try #require(admit("one"))
        #expect(registry.group(Self.identity)?.count == 1)
        leave(tunnel.id)
        #expect(registry.group(Self.identity)?.count == 0)
    }

    @Test("Tunnels of one session stand beside each other")
    func beside() throws {
        let (first, second) = (try #require(admit("one")), try #require(admit("one")))
        #expect(first.id != second.id && second.superseded == 0 && registry.group(Self.identity)?.count == 2)
    }

    @Test("A later session takes the place of all tunnels of the one before")
    func superseding() throws {
        _ = admit("one")
        _ = admit("one")
        let later = try #require(admit("two"))
        #expect(later.superseded == 2 && registry.group(Self.identity)?.all().map(\.id) == [later.id])
    }

    @Test("A session that was superseded stays out while the later one is here, and comes back when nobody is")
    func standby() throws {
        _ = admit("one")
        let later = try #require(admit("two"))
        #expect(admit("one") == nil)
        leave(later.id)
        #expect(admit("one") != nil, "the hot standby")
        #expect(admit("two")?.superseded == 1, "and it comes back itself, since it was never superseded")
    }

    @Test("A third session takes the place of the second, and neither of the first two comes back")
    func third() throws {
        _ = admit("one")
        _ = admit("two")
        _ = admit("three")
        #expect(admit("one") == nil && admit("two") == nil && admit("three") != nil)
    }

    @Test("Other location IDs and subaccounts are other connectors")
    func others() throws {
        _ = admit("one")
        let location = ConnectorIdentity(subaccount: "a", locationID: "x")
        let subaccount = ConnectorIdentity(subaccount: "b", locationID: "")
        #expect(admit("two", as: location)?.superseded == 0 && admit("three", as: subaccount)?.superseded == 0)
        #expect(registry.group(Self.identity)?.count == 1)
        #expect(registry.allGroups().map(\.identity.subaccount) == ["a", "a", "b"])
        let (one, two) = (registry.group(Self.identity), registry.group(location))
        #expect(one?.usage === two?.usage, "connectors of one subaccount count together")
        #expect(one?.usage !== registry.group(subaccount)?.usage)
    }

    @Test("A peer without a control stream takes nobody's place, and nobody takes its")
    func plainPeers() throws {
        _ = admit(nil)
        let second = try #require(admit("one"))
        #expect(second.superseded == 0 && admit(nil)?.superseded == 0)
        #expect(registry.group(Self.identity)?.count == 3)
    }

    @Test("The status says since when a connector is here, and of which version")
    func status() throws {
        let tunnel = try #require(admit("one", now: 100))
        let connected = try #require(registry.status().first)
        #expect(connected.state == "Connected" && connected.tunnels == 1 && connected.connectedSince == 100)
        #expect(connected.version == "1" && connected.remote == "10.0.0.1:1")
        #expect(connected.certificateExpires == plain.notAfter)
        leave(tunnel.id)
        let gone = try #require(registry.status().first)
        #expect(gone.state == "Disconnected" && gone.tunnels == 0 && gone.connectedSince == nil)
    }

    @Test("A takeover begins a new connection in the status; a second tunnel does not")
    func since() {
        _ = admit("one", now: 100)
        _ = admit("one", now: 200)
        #expect(registry.status().first?.connectedSince == 100)
        _ = admit("two", now: 300)
        #expect(registry.status().first?.connectedSince == 300)
    }

    @Test("What a connector exposes is listed up to the limit, and the rest is counted")
    func systems() throws {
        guard case .registered(let group, let tunnel, _) = register("one") else {
            Issue.record("not registered")
            return
        }
        let systems = (0..<5).map {
            ExposedSystem(
                host: "h\($0):1",
                protocol: "HTTP",
                type: "",
                description: "",
                hasResources: true,
                availability: "x"
            )
        }
        registry.keep(.init(isFirst: true, systems: systems), of: group, tunnel.replica, ExposedSystemLimits())
        let all = try #require(registry.status().first)
        #expect(all.systems.count == 5 && (all.omittedSystems ?? 0) == 0)
        let some = try #require(registry.status(systems: 2).first)
        #expect(some.systems.map(\.host) == ["h0:1", "h1:1"] && some.omittedSystems == 3)
        registry.keep(.init(isFirst: true, systems: []), of: group, tunnel.replica, ExposedSystemLimits())
        #expect(registry.status().first?.systems.isEmpty == true)
    }

    @Test("A new session of a connector begins with no systems")
    func forgotten() {
        guard case .registered(let group, let tunnel, _) = register("one") else { return }
        let system = ExposedSystem(
            host: "h:1",
            protocol: "HTTP",
            type: "",
            description: "",
            hasResources: true,
            availability: "x"
        )
        registry.keep(.init(isFirst: true, systems: [system]), of: group, tunnel.replica, ExposedSystemLimits())
        #expect(registry.status().first?.systems.count == 1)
        _ = admit("two")
        #expect(registry.status().first?.systems.isEmpty == true)
    }

    @Test(
        "Every tunnel that comes or goes changes the group's version, so that a choice is not remembered for too long"
    )
    func versions() throws {
        let tunnel = try #require(admit("one"))
        let group = try #require(registry.group(Self.identity))
        let before = group.version
        let second = try #require(admit("one"))
        let between = group.version
        leave(second.id)
        #expect(between > before && group.version > between)
        #expect(group.contains(tunnel.id) && !group.contains(second.id))
        #expect(group.only(on: eventLoop)?.id == tunnel.id && group.only(on: EmbeddedEventLoop()) == nil)
    }

    @Test("A request goes to a tunnel on another loop where its own has none, and to none that has refused it")
    func picking() throws {
        let tunnel = try #require(admit("one"))
        let group = try #require(registry.group(Self.identity))
        let other = EmbeddedEventLoop()
        #expect(group.pick(on: other)?.id == tunnel.id)
        #expect(group.pick(on: other, excluding: [tunnel.id]) == nil)
        #expect(group.pick(on: eventLoop) == nil, "its own loop sees that it is not up yet")
    }
}
