import ConnectorTestSupport
import Testing

@testable import AccessPolicy

struct AccessPolicyTests {
    static func system(
        _ host: String = "internalhost",
        _ port: UInt16 = 3333,
        internalHost: String = "localhost",
        _ resources: [Resource] = [Resource(path: "/hello", access: .pathOnly)]
    ) -> SystemMapping {
        SystemMapping(
            virtualHost: host,
            virtualPort: port,
            internalHost: internalHost,
            internalPort: 8080,
            resources: resources
        )
    }

    static func decide(_ resources: [Resource], _ target: String, isUpgrade: Bool = false) throws -> AccessDecision {
        let system = Self.system("internalhost", 3333, resources)
        return AccessPolicy(systems: [system]).evaluate(
            system: system,
            target: try RequestTarget(target),
            isUpgrade: isUpgrade
        )
    }

    static func denial(_ decision: AccessDecision) -> AccessDenial? {
        if case .deny(let denial) = decision { denial } else { nil }
    }

    @Test("A system is found by its host in any case and by its exact port")
    func lookUp() {
        let policy = AccessPolicy(systems: [Self.system("Internal.Host", 80), Self.system("other", 80)])
        #expect(policy.system(host: "INTERNAL.host", port: 80)?.virtualHost == "internal.host")
        #expect(policy.system(host: "internal.host", port: 81) == nil)
        #expect(policy.system(host: "internal.host.", port: 80) == nil)
        #expect(policy.system(host: "internal", port: 80) == nil)
        #expect(AccessPolicy(systems: []).system(host: "internal.host", port: 80) == nil)
    }

    @Test("Among a hundred thousand systems each is found, and nothing else")
    func manySystems() {
        let systems = (0..<100_000).map { Self.system("host\($0).example", UInt16(1 + $0 % 65535)) }
        let policy = AccessPolicy(systems: systems)
        for index in stride(from: 0, to: systems.count, by: 997) {
            let system = systems[index]
            #expect(policy.system(host: system.virtualHost, port: system.virtualPort) === system)
            #expect(policy.system(host: system.virtualHost + "x", port: system.virtualPort) == nil)
        }
    }

    @Test("The first system with an internal address stands for it on the way back")
    func reverse() {
        let first = Self.system("a", 80, internalHost: "Inner")
        let policy = AccessPolicy(systems: [first, Self.system("b", 80, internalHost: "inner")])
        #expect(policy.system(internalHost: "INNER", internalPort: 8080) === first)
        #expect(policy.system(internalHost: "inner", internalPort: 8081) == nil)
        #expect(policy.system(internalHost: "inner") === first)
    }

    @Test("A suspended resource is denied, and the answer says which one it is")
    func suspended() throws {
        let resources = [
            Resource(path: "/a", access: .pathAndSubPaths, isActive: false), Resource(path: "/b", access: .pathOnly),
        ]
        #expect(Self.denial(try Self.decide(resources, "/a/x")) == .resourceSuspended(path: "/a"))
        #expect(Self.denial(try Self.decide(resources, "/b/x")) == .resourceNotExposed)
        #expect(Self.denial(try Self.decide(resources, "/b")) == nil)
    }

    @Test("The longest admitting resource decides; any of them may allow an upgrade")
    func upgrade() throws {
        let resources = [
            Resource(path: "/", access: .pathAndSubPaths, isUpgradeAllowed: true),
            Resource(path: "/ws", access: .pathAndSubPaths),
        ]
        guard case .allow(let permit) = try Self.decide(resources, "/ws/x", isUpgrade: true) else {
            Issue.record("denied")
            return
        }
        #expect(permit.resource.path == "/ws")
        let only = [Resource(path: "/ws", access: .pathAndSubPaths)]
        #expect(Self.denial(try Self.decide(only, "/ws", isUpgrade: true)) == .upgradeNotAllowed(path: "/ws"))
    }

    @Test("The tree decides as a plain list of rules would")
    func againstModel() throws {
        var generator = SeededGenerator(seed: 7)
        let names = ["a", "ab", "abc", "b", "/", "/a", "a/", "bc"]
        func path() -> String {
            "/"
                + (0..<Int.random(in: 0...4, using: &generator)).map { _ in names.randomElement(using: &generator)! }
                .joined()
        }
        for _ in 0..<2000 {
            var seen: Set<String> = []
            let resources = (0..<Int.random(in: 0...8, using: &generator)).compactMap { _ -> Resource? in
                let resource = Resource(
                    path: path(),
                    access: Bool.random(using: &generator) ? .pathOnly : .pathAndSubPaths,
                    isSegmentMatch: Bool.random(using: &generator)
                )
                // The configuration refuses two of a kind.
                return seen.insert("\(resource.access)\(resource.path)").inserted ? resource : nil
            }
            let requested = path()
            let expected = resources.contains { resource in
                if requested == resource.path { return true }
                guard resource.access == .pathAndSubPaths, requested.hasPrefix(resource.path) else { return false }
                return !resource.isSegmentMatch || resource.path.hasSuffix("/")
                    || requested.dropFirst(resource.path.count).hasPrefix("/")
            }
            let isAllowed = Self.denial(try Self.decide(resources, requested)) == nil
            #expect(isAllowed == expected, "\(requested) against \(resources.map(\.path))")
        }
    }
}
