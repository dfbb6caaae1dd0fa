import AccessPolicy
import NIOCore
import Testing

@testable import AvailabilityCheck

/// What an administrator reads about an internal host that is not reachable.
struct AvailabilityAdviceTests {
    private static func target(_ kind: SystemMapping.InternalProtocol) -> AvailabilityTarget {
        AvailabilityTarget(
            SystemMapping(
                virtualHost: "a",
                virtualPort: 1,
                internalHost: "inner",
                internalPort: 8443,
                protocol: kind,
                resources: []
            )
        )
    }

    @Test(
        "Each cause says what to look at",
        arguments: [
            (111, "connection_refused", "connection refused: does the server listen on inner:8443?"),
            (110, "connection_timeout", "is a firewall between the connector and inner:8443?"),
            (113, "destination_ip_unroutable", "no route to the host: check the connector's routes"),
        ] as [(Int32, String, String)]
    )
    func connecting(_ number: Int32, _ kind: String, _ expected: String) {
        let (found, cause) = AvailabilityProbe.explain(IOError(errnoCode: number, reason: "c"), Self.target(.http))
        #expect(found == kind && cause.contains(expected), "\(cause)")
    }

    @Test("A reset means another thing where TLS was spoken")
    func reset() {
        let error = IOError(errnoCode: 104, reason: "r")
        #expect(AvailabilityProbe.explain(error, Self.target(.https)).kind == "tls_protocol_error")
        let plain = AvailabilityProbe.explain(error, Self.target(.http))
        #expect(plain.kind == "connection_terminated" && plain.cause.contains("is HTTP the right protocol?"))
    }

    @Test("One look counts for all mappings to the same host, port and protocol")
    func targets() {
        #expect(Self.target(.http) == Self.target(.http) && Self.target(.http) != Self.target(.https))
        #expect(Self.target(.tcps).isTLS && !Self.target(.tcps).isHTTP && Self.target(.https).isHTTP)
    }
}
