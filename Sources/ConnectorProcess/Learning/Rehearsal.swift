internal import AccessPolicy
internal import AdminProtocol
internal import CloudConnector
internal import TextFormats

/// Which of the requests that were made would be answered otherwise under another configuration.
package struct Rehearsal: Codable, Sendable, Equatable {
    package struct Change: Codable, Sendable, Equatable {
        package var virtualHost: String
        package var method: String
        /// Escaped.
        package var path: String
        package var count: Int
        package var before: String
        package var after: String
    }

    package static let limit = 50

    /// Requests that were looked at, as many as were made.
    package private(set) var requests = 0
    /// The most frequent first.
    package private(set) var changes: [Change] = []
    /// Further ones that are not listed.
    package private(set) var omitted = 0

    init(_ asked: [AskedRequest], before: ConnectorConfiguration, after: ConnectorConfiguration) {
        let (old, new) = (AccessPolicy(systems: before.systems), AccessPolicy(systems: after.systems))
        let own = asked.filter { $0.subaccount == before.subaccount && $0.locationID == before.locationID }
        for one in own.sorted(by: { $0.count > $1.count }) {
            requests += one.count
            let (was, will) = (Self.answer(one, old), Self.answer(one, new))
            guard was != will else { continue }
            guard changes.count < Self.limit else {
                omitted += 1
                continue
            }
            changes.append(
                Change(
                    virtualHost: one.virtualHost,
                    method: one.method,
                    path: LogText.escaped(one.path.utf8),
                    count: one.count,
                    before: was,
                    after: will
                )
            )
        }
    }

    /// What the forwarder would say, and where the request would go.
    private static func answer(_ asked: AskedRequest, _ policy: AccessPolicy) -> String {
        switch ForwardingDecision.make(
            policy,
            authority: asked.virtualHost,
            path: asked.path,
            isOptions: asked.method == "OPTIONS",
            isUpgrade: false
        ) {
        case .permitted(let permit): "allowed, to \(permit.system.internalAddress)"
        case .denied(let denial, _, _): "refused: \(denial.reason)"
        case .noSystem: "refused: system not exposed"
        case .malformed(let error): "refused: \(error.rawValue)"
        }
    }
}

extension ResourceProposal {
    /// By virtual host; those of one where `host` is given, nothing where nothing is missing.
    static func all(
        _ configuration: ConnectorConfiguration,
        host: String?,
        _ asked: [AskedRequest]
    ) -> [(virtualHost: String, proposals: [ResourceProposal])] {
        configuration.systems.compactMap { system in
            guard system.protocol.isHTTP, host == nil || host?.lowercased() == system.virtualAddress else { return nil }
            let own = asked.filter {
                $0.virtualHost == system.virtualAddress && $0.subaccount == configuration.subaccount
                    && $0.locationID == configuration.locationID
            }
            let paths = Dictionary(own.map { ($0.path, $0.count) }, uniquingKeysWith: +)
            let proposals = ResourceProposal.make(paths, beside: system.withoutLearning.resources)
            return proposals.isEmpty ? nil : (system.virtualAddress, proposals)
        }
    }
}
