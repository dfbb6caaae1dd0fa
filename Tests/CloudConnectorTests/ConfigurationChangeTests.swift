import AccessPolicy
import AvailabilityCheck
import NIOCore
import Testing

@testable import CloudConnector

/// What an audit log says of a reload.
struct ConfigurationChangeTests {
    private static func system(
        _ host: String = "a",
        inner: String = "inner",
        _ resources: [Resource] = [Resource(path: "/x", access: .pathOnly)]
    ) -> SystemMapping {
        SystemMapping(virtualHost: host, virtualPort: 1, internalHost: inner, internalPort: 2, resources: resources)
    }

    private static func changes(
        _ old: [SystemMapping],
        _ new: [SystemMapping],
        _ edit: (inout ConnectorConfiguration) -> Void = { _ in }
    ) -> [String] {
        var (before, after) = (ConnectorConfiguration(), ConnectorConfiguration())
        (before.systems, after.systems) = (old, new)
        edit(&after)
        return ConfigurationChange.describe(before, after)
    }

    @Test("Nothing that changes is nothing to tell")
    func same() { #expect(Self.changes([Self.system()], [Self.system()]).isEmpty) }

    @Test("A mapping that comes, goes, or leads elsewhere is told by its virtual name, before and after")
    func mappings() {
        #expect(
            Self.changes([], [Self.system()]) == ["BackendMapping a:1 added: inner:2, HTTP, host in header virtual"]
        )
        #expect(Self.changes([Self.system()], []) == ["BackendMapping a:1 removed"])
        #expect(
            Self.changes([Self.system()], [Self.system(inner: "other")]) == [
                "BackendMapping a:1 changed from {inner:2, HTTP, host in header virtual} to {other:2, HTTP, host in header "
                    + "virtual}"
            ]
        )
    }

    @Test("A resource is told as what was removed and what was added")
    func resources() {
        let open = Self.system("a", [Resource(path: "/x", access: .pathAndSubPaths)])
        #expect(
            Self.changes([Self.system()], [open]) == [
                "AllowedResource /x (path-only) of a:1 removed", "AllowedResource /x (path-and-sub-paths) of a:1 added",
            ]
        )
        let suspended = Self.system("a", [Resource(path: "/x", access: .pathOnly, isActive: false)])
        #expect(
            Self.changes([Self.system()], [suspended]) == [
                "AllowedResource /x (path-only) of a:1 removed",
                "AllowedResource /x (path-only, suspended) of a:1 added",
            ]
        )
    }

    @Test("Certificates, the way to the service and times have a line each")
    func others() {
        #expect(Self.changes([], []) { $0.backendTrustDigest = [1] } == ["TrustedBackendCertificate changed"])
        #expect(Self.changes([], []) { $0.tunnelFilesDigest = [1] } == ["Certificate of the tunnel changed"])
        #expect(
            Self.changes([], []) { $0.tunnel.serviceHost = "s" } == ["Configuration of the tunnel to s:443 changed"]
        )
        #expect(Self.changes([], []) { $0.drain = .seconds(1) } == ["Configuration of times and checks changed"])
        #expect(Self.changes([], []) { $0.check.interval = nil } == ["Configuration of times and checks changed"])
    }

    @Test("Changes of many mappings come in the order of their names")
    func order() {
        let changes = Self.changes([Self.system("z")], [Self.system("b"), Self.system("a")])
        #expect(
            changes.map { $0.prefix(20) }
                == ["BackendMapping a:1 ad", "BackendMapping b:1 ad", "BackendMapping z:1 re"].map { $0.prefix(20) }
        )
    }
}
