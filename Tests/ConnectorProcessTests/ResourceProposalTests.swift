import AccessPolicy
import Testing

@testable import ConnectorProcess

struct ResourceProposalTests {
    private func lines(_ paths: [String], beside resources: [Resource] = []) -> [String] {
        ResourceProposal.make(Dictionary(paths.map { ($0, 1) }, uniquingKeysWith: +), beside: resources).map {
            "\($0.path) \($0.access == "path-only" ? "only" : "all") \($0.count)"
        }
    }

    @Test("A path becomes itself, unless it is admitted already or can be no resource")
    func exact() {
        let admitted = Resource(path: "/api/", access: .pathAndSubPaths)
        #expect(lines(["/hello", "/api/x", "*", "/a/b"], beside: [admitted]) == ["/a/b only 1", "/hello only 1"])
        #expect(lines(["/x"], beside: [Resource(path: "/x", access: .pathOnly, isActive: false)]) == ["/x only 1"])
        #expect(lines([]) == [])
    }

    @Test("A prefix is proposed where keys vary, not where names do, and never the whole host")
    func keys() {
        #expect(lines(["/orders/1", "/orders/22", "/orders/333/items"]) == ["/orders/ all 3"])
        #expect(lines(["/orders/1", "/orders/2"]) == ["/orders/1 only 1", "/orders/2 only 1"])
        #expect(lines(["/a/list", "/a/create", "/a/remove"]).count == 3)
        let uuids = ["3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10", "deadbeef-0000-0000-0000-000000000001", "00000000"]
        #expect(lines(uuids.map { "/files/\($0)" }) == ["/files/ all 3"])
        #expect(lines((0..<12).map { "/people/\(Character(UnicodeScalar(97 + $0)!))" }) == ["/people/ all 12"])
        #expect(lines(["/1", "/2", "/3", "/4"]).count == 4)
    }

    @Test("An OData service is one resource at its root, with what was asked of the root itself")
    func odata() {
        let root = "/sap/opu/odata/sap/ZORDERS_SRV"
        let found = lines([
            root + "/$metadata", root + "/Orders('1')/Items", root + "/Orders/$count", root + "/Orders", root,
            root + "/",
        ])
        #expect(found == [root + " only 1", root + "/ all 5"])
        #expect(lines(["/$metadata"]) == ["/$metadata only 1"], "not the whole host")
        #expect(lines(["/v4/Products(1)", "/v4/Products"]) == ["/v4/ all 2"])
    }

    @Test("The paths of a known product are taken for its own")
    func presets() {
        #expect(lines(["/rep/read/ext?x", "/rep/read/ext", "/mdt/a"]) == ["/mdt all 1", "/rep/read/ext all 1"])
    }

    @Test("Whatever is proposed admits what was asked for")
    func sound() throws {
        var paths = ["/a//b/1", "/a//b/2", "/a//b/3", "/x;y=1", "/%41", "/s/", "/s/1", "/s/2", "/s/3"]
        for number in 0..<200 { paths.append("/n\(number % 7)/k\(number * 37 % 50)/\(number % 3)") }
        let asked = Dictionary(paths.map { ($0, 1) }, uniquingKeysWith: +)
        let resources = ResourceProposal.make(asked, beside: []).map {
            Resource(path: $0.path, access: Resource.Access(rawValue: $0.access)!)
        }
        let system = SystemMapping(
            virtualHost: "x",
            virtualPort: 1,
            internalHost: "x",
            internalPort: 1,
            resources: resources
        )
        let policy = AccessPolicy(systems: [system])
        for path in paths {
            guard Resource.pathError(path) == nil, let target = try? RequestTarget(path) else { continue }
            guard case .allow = policy.evaluate(system: system, target: target) else {
                Issue.record("\(path) is not admitted")
                continue
            }
        }
        #expect(resources.count < 20 && resources.allSatisfy { Resource.pathError($0.path) == nil && $0.path != "/" })
    }
}
