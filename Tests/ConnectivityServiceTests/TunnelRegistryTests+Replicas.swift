import AdminProtocol
import ControlProtocol
import Cryptography
import NIOEmbedded
import Testing
import TextFormats

@testable import ConnectivityService

/// Several processes of one connector that serve side by side.
extension TunnelRegistryTests {
    private var own: TunnelGroup? { registry.group(Self.identity) }
    private var replicas: [ServiceStatus.Replica] { registry.status().first?.replicas ?? [] }

    @Test("Instances of other names stand beside each other; a later process of the same name takes its place only")
    func besideEachOther() throws {
        _ = admit("one", instance: "a")
        #expect(admit("two", instance: "b")?.superseded == 0)
        #expect(admit("two", instance: "b")?.superseded == 0)
        #expect(replicas.map(\.instance) == ["a", "b"] && replicas.map(\.tunnels) == [1, 2])
        #expect(admit("three", instance: "b")?.superseded == 2)
        #expect(admit("two", instance: "b") == nil, "the one that was superseded stands by")
        #expect(replicas.map(\.tunnels) == [1, 1])
    }

    @Test("One that serves alone takes the place of all, and the one that comes after it, its place")
    func alone() throws {
        _ = admit("one", instance: "a")
        _ = admit("two", instance: "b")
        #expect(admit("three")?.superseded == 2)
        #expect(registry.status().first?.replicas == nil)
        #expect(admit("one", instance: "a") == nil)
        #expect(admit("four", instance: "a")?.superseded == 1)
    }

    @Test("A certificate without an instance makes nobody a replica, whatever the hello says")
    func withoutInstance() {
        _ = admit("one", instance: "not a name")
        #expect(admit("two", instance: "b")?.superseded == 1)
    }

    @Test("When one of several goes, what it exposed goes with it; of the last one it is remembered")
    func goes() throws {
        let first = try #require(admit("one", instance: "a", now: 100))
        let second = try #require(admit("two", instance: "b", now: 200))
        for (id, host) in [(first.id, "x:1"), (second.id, "y:1")] { expose([host], by: id) }
        #expect(registry.status().first?.systems.map(\.host) == ["x:1", "y:1"])
        #expect(registry.status().first?.connectedSince == 100)
        leave(first.id)
        #expect(
            registry.status().first?.systems.map(\.host) == ["y:1"] && registry.status().first?.state == "Connected"
        )
        leave(second.id)
        #expect(registry.status().first?.systems.map(\.availability) == ["unchecked"])
        #expect(registry.status().first?.disconnectedSince != nil)
    }

    @Test("What serves at other services keeps away only those of the same instance, and those that share with nobody")
    func elsewhere() throws {
        let (a, b) = (try #require(InstanceName("a")), try #require(InstanceName("b")))
        let service = PeerDirectory.Service(
            name: "two",
            run: "1",
            address: HostPort(host: "two", port: 1),
            version: "1"
        )
        func say(_ entries: [(ConnectorIdentity, String)]) {
            registry.directory.replace(
                [service],
                entries.map { ("two", $0.0, PeerDirectory.Entry(session: $0.1, number: 1)) }
            )
        }
        _ = admit("one", instance: "a")
        #expect(admit("two", instance: "a")?.superseded == 1)
        leave(try #require(own?.all().first).id)
        // Its successor is at the other service.
        say([(Self.identity, ""), (Self.identity.standing(a), "two")])
        #expect(admit("one", instance: "a") == nil)
        // What is there is another one.
        say([(Self.identity, ""), (Self.identity.standing(b), "other")])
        let again = try #require(admit("one", instance: "a"))
        leave(again.id)
        // Itself; and one that takes the place of all.
        say([(Self.identity, ""), (Self.identity.standing(a), "one")])
        leave(try #require(admit("one", instance: "a")).id)
        _ = admit("two", instance: "a")
        _ = admit("three")
        leave(try #require(own?.all().first).id)
        say([(Self.identity, "three")])
        #expect(admit("two", instance: "a") == nil)
        say([])
        #expect(admit("two", instance: "a") != nil)
    }

    @Test("In the directory stand all of them together, and each by itself; a later session ends its own only")
    func presences() throws {
        let (a, b) = (try #require(InstanceName("a")), try #require(InstanceName("b")))
        _ = admit("one", instance: "a")
        _ = admit("two", instance: "b")
        let found = registry.presences.sorted { $0.identity.locationID < $1.identity.locationID }
        #expect(found.map(\.session) == ["", "one", "two"])
        #expect(found.map(\.identity) == [Self.identity, Self.identity.standing(a), Self.identity.standing(b)])
        #expect(found.map { $0.identity.standingFor.instance } == [nil, "a", "b"])
        #expect(found.allSatisfy { $0.identity.standingFor.connector == Self.identity })
        registry.supersede(Self.identity.standing(b), "one", by: "later")
        #expect(replicas.map(\.instance) == ["a", "b"], "no session of that instance")
        registry.supersede(Self.identity.standing(b), "two", by: "later")
        #expect(replicas.map(\.instance) == ["a"])
        registry.supersede(Self.identity, "", by: "alone")
        #expect(own?.count == 0)
    }

    private func expose(
        _ hosts: [String],
        _ availability: String = "reachable",
        by id: Int,
        _ configuration: String? = nil
    ) {
        guard let group = own, let tunnel = group.all().first(where: { $0.id == id }) else { return }
        var exposed = ControlMessage.Exposed(
            isFirst: true,
            systems: hosts.map {
                ExposedSystem(
                    host: $0,
                    protocol: "HTTP",
                    type: "",
                    description: "",
                    hasResources: true,
                    availability: availability
                )
            }
        )
        exposed.configuration = configuration
        registry.keep(exposed, of: group, tunnel.replica, ExposedSystemLimits())
    }

    @Test("A system is reachable if all reach it, and degraded if only some do or have it")
    func availability() throws {
        let first = try #require(admit("one", instance: "a"))
        let second = try #require(admit("two", instance: "b"))
        expose(["x:1", "y:1"], by: first.id)
        expose(["x:1"], "not reachable: refused", by: second.id)
        let degraded = "degraded: reachable through 1 of 2 connectors"
        #expect(registry.status().first?.systems.map(\.availability) == [degraded, degraded])
        expose(["x:1", "y:1"], by: second.id)
        #expect(registry.status().first?.systems.map(\.availability) == ["reachable", "reachable"])
        for id in [first.id, second.id] { expose(["x:1"], "not reachable: refused", by: id) }
        #expect(registry.status().first?.systems.map(\.availability) == ["not reachable: refused"])
    }

    @Test("Requests go to the instance with fewer of them in flight")
    func fewest() throws {
        _ = admit("one", instance: "a")
        _ = admit("two", instance: "b")
        let group = try #require(own)
        let other = EmbeddedEventLoop()
        let first = try #require(group.pick(on: other))
        let place = Replica.Place(first.replica)
        for _ in 0..<20 { #expect(group.pick(on: other)?.replica !== first.replica) }
        withExtendedLifetime(place) {}
        let held = (0..<2).map { _ in Replica.Place(group.all().first { $0.replica !== first.replica }!.replica) }
        #expect(held.count == 2 && group.pick(on: other)?.replica === first.replica)
    }

    @Test("Of three, each gets its share")
    func shares() throws {
        for name in ["a", "b", "c"] { _ = admit(name, instance: name) }
        let group = try #require(own)
        var counts: [String: Int] = [:]
        for _ in 0..<300 {
            let tunnel = try #require(group.pick(on: EmbeddedEventLoop()))
            counts[tunnel.replica.instance?.text ?? "", default: 0] += 1
        }
        #expect(counts.count == 3 && counts.values.allSatisfy { $0 > 60 }, "\(counts)")
    }

    @Test("One that is not configured like most is passed over where that is asked, until it is")
    func leftOut() throws {
        _ = admit("one", instance: "a", configuration: "1", now: 100)
        _ = admit("two", instance: "b", configuration: "1", now: 200)
        let third = try #require(admit("three", instance: "c", configuration: "2", now: 50))
        #expect(replicas.map(\.configuration) == ["1", "1", "2"] && replicas.allSatisfy { !$0.isLeftOut })
        registry.leaveOutOthers(true)
        #expect(replicas.map(\.isLeftOut) == [false, false, true])
        let group = try #require(own)
        for _ in 0..<20 { #expect(group.pick(on: EmbeddedEventLoop())?.replica.instance?.text != "c") }
        expose([], by: third.id, "1")
        #expect(replicas.allSatisfy { !$0.isLeftOut })
        registry.leaveOutOthers(false)
    }

    @Test("Of two configurations with as many instances, that of the one that was there first counts")
    func tie() throws {
        registry.leaveOutOthers(true)
        let first = try #require(admit("one", instance: "a", configuration: "1", now: 100))
        _ = admit("two", instance: "b", configuration: "2", now: 200)
        #expect(replicas.map(\.isLeftOut) == [false, true])
        leave(first.id)
        #expect(replicas.map(\.isLeftOut) == [false], "alone it is not odd")
    }
}
