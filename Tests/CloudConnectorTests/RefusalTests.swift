import AccessPolicy
import NIOCore
import Testing
import TextFormats
import TunnelCore

@testable import CloudConnector

/// The connector's own answers: status, who is at fault, in which phase, and words as SAP's product has them.
struct RefusalTests {
    private static let system = SystemMapping(
        virtualHost: "virtual.example",
        virtualPort: 3333,
        internalHost: "inner.example",
        internalPort: 80,
        protocol: .http,
        resources: [Resource(path: "/hello", access: .pathOnly)]
    )

    private struct Other: Error {}

    @Test("A host that cannot be reached is 502, by its virtual name")
    func connect() {
        let refusal = BackendRefusal.connect(IOError(errnoCode: 111, reason: "connect"), Self.system)
        #expect(refusal.status == 502 && refusal.source == .backend && refusal.phase == .connect)
        #expect(
            refusal.text.hasPrefix(
                "Unable to open connection to backend system virtual.example:3333: connection refused."
            )
        )
        #expect(!refusal.text.contains("inner.example"), "programs learn nothing of internal names")
    }

    @Test("Each way in which an exchange can fail has its status and phase")
    func exchange() {
        let limit = TimeAmount.seconds(30)
        let refusals: [(Refusal, UInt16, RefusalPhase)] = [
            (BackendRefusal.closedUnanswered(nil, Self.system), 502, .responseHead),
            (BackendRefusal.incomplete(Self.system), 502, .responseBody),
            (BackendRefusal.unexpectedUpgrade(Self.system), 502, .responseHead),
            (
                BackendRefusal.invalidResponse(.invalidStatus, Self.system, Self.limits, isBody: false), 502,
                .responseHead
            ),
            (
                BackendRefusal.invalidResponse(.invalidChunkSize, Self.system, Self.limits, isBody: true), 502,
                .responseBody
            ),
            (BackendRefusal.timeout(.responseHead, limit, Self.system), 504, .responseHead),
            (BackendRefusal.timeout(.responseBody, limit, Self.system), 504, .responseBody),
        ]
        for (refusal, status, phase) in refusals {
            #expect(
                refusal.status == status && refusal.phase == phase && refusal.source == .backend,
                "\(refusal.cause)"
            )
            #expect(refusal.text.contains("virtual.example:3333") && !refusal.text.contains("inner.example"))
        }
    }

    private static let limits = HTTP1Limits(startLine: 8192, fieldLine: 16384, head: 65536, fields: 1000)

    @Test(
        "A response that is too large is not called malformed, and the setting is named",
        arguments: [
            (.tooManyFields, "1000 header lines (responses.max-headers)", "http_response_header_section_size"),
            (.fieldLineTooLong, "16384 bytes (responses.max-header-line)", "http_response_header_size"),
            (.headTooLarge, "65536 bytes (responses.max-header-size)", "http_response_header_section_size"),
        ] as [(HTTP1Error, String, String)]
    )
    func limits(_ error: HTTP1Error, _ text: String, _ token: String) {
        let refusal = BackendRefusal.invalidResponse(error, Self.system, Self.limits, isBody: false)
        #expect(refusal.text.contains(text) && !refusal.text.contains("malformed"), "\(refusal.text)")
        #expect("\(refusal.proxyStatus)" == token && refusal.status == 502)
    }

    @Test("A limit says how long it was, and whose turn it was")
    func timeouts() {
        let head = BackendRefusal.timeout(.responseHead, .seconds(30), Self.system)
        let body = BackendRefusal.timeout(.responseBody, .seconds(300), Self.system)
        #expect(head.cause == "the internal host did not answer within 30 seconds")
        #expect(body.cause == "the exchange with the internal host made no progress for 300 seconds")
    }

    @Test("Too many connections are ours to answer for, and pass")
    func crowd() {
        let refusal = BackendRefusal.tooManyConnections(Self.system, 8)
        #expect(refusal.status == 503 && refusal.source == .internal && refusal.cause.contains("8 connections"))
    }

    @Test("A decision that is asked for twice is the same twice")
    func decisions() throws {
        let policy = AccessPolicy(systems: [Self.system])
        func decide(_ authority: String, _ path: String) -> ForwardingDecision {
            ForwardingDecision.make(policy, authority: authority, path: path, isOptions: false, isUpgrade: false)
        }
        guard case .permitted(let permit) = decide("Virtual.Example:3333", "/hello?x=1") else {
            Issue.record("not permitted")
            return
        }
        #expect(
            ForwardingDecision.head(permit, method: "GET", authority: "Virtual.Example:3333") == [
                "GET /hello?x=1 HTTP/1.1", "Host: Virtual.Example:3333",
            ]
        )
        guard case .denied(_, _, let system) = decide("virtual.example:3333", "/other") else {
            Issue.record("not denied")
            return
        }
        #expect(system === Self.system)
        guard case .noSystem = decide("virtual.example:3334", "/hello"), case .noSystem = decide("other:3333", "/hello")
        else {
            Issue.record("another system was found")
            return
        }
        guard case .malformed = decide("virtual.example:3333", "/a/../b"), case .malformed = decide("a b", "/") else {
            Issue.record("ambiguous input was decided on")
            return
        }
    }
}
