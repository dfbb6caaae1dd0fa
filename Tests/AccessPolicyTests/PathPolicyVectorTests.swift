import ConnectorTestSupport
import Testing

@testable import AccessPolicy

/// The decisions in `path-policy.json`, in both ways of matching.
struct PathPolicyVectorTests {
    struct Document: Decodable {
        struct Rule: Decodable {
            var path: String
            var scope: String
            var active: Bool?
        }
        struct Policy: Decodable { var rules: [Rule] }
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            var id: String
            var policy: String
            var target: String
            var expect: String
            var expect_segment: String?
            /// Other answers that are safe.
            var also_ok: [String]?
            var forward: String?
            var testDescription: String { id }
        }
        struct RuleCase: Decodable, Sendable, CustomTestStringConvertible {
            var id: String
            var path: String
            var expect: String
            var testDescription: String { id }
        }
        var policies: [String: Policy]
        var cases: [Case]
        var rule_cases: [RuleCase]
    }

    static let document = Vectors.load("path-policy.json", as: Document.self)

    static func policy(_ name: String, isSegmentMatch: Bool) -> (AccessPolicy, SystemMapping) {
        let resources = document.policies[name]!.rules.map { rule in
            Resource(
                path: rule.path,
                access: rule.scope == "exact" ? .pathOnly : .pathAndSubPaths,
                isSegmentMatch: isSegmentMatch,
                isActive: rule.active ?? true
            )
        }
        let system = SystemMapping(
            virtualHost: "backend.test",
            virtualPort: 80,
            internalHost: "localhost",
            internalPort: 8080,
            resources: resources
        )
        return (AccessPolicy(systems: [system]), system)
    }

    static func decide(_ policy: AccessPolicy, _ system: SystemMapping, _ target: [UInt8]) -> (String, path: String?) {
        do throws(RequestTargetError) {
            switch policy.evaluate(system: system, target: try RequestTarget(target.span)) {
            case .allow(let permit): return ("allow", permit.target.pathText)
            case .deny: return ("deny", nil)
            }
        } catch {
            return ("400", nil)
        }
    }

    @Test(
        "Every target gets the expected answer, and an allowed path is forwarded as it came",
        arguments: document.cases
    )
    func decisions(_ vector: Document.Case) {
        for isSegmentMatch in [false, true] {
            let (policy, system) = Self.policy(vector.policy, isSegmentMatch: isSegmentMatch)
            let expected = isSegmentMatch ? vector.expect_segment ?? vector.expect : vector.expect
            let (answer, path) = Self.decide(policy, system, Vectors.bytes(vector.target))
            let isSafe = vector.also_ok?.contains(answer) ?? false
            #expect(answer == expected || isSafe, "\(vector.target), segment match \(isSegmentMatch)")
            if answer == "allow", let forward = vector.forward { #expect(path == forward) }
        }
    }

    @Test("A configuration takes only paths that a request can match", arguments: document.rule_cases)
    func rules(_ vector: Document.RuleCase) {
        #expect((Resource.pathError(vector.path) == nil ? "accept" : "reject") == vector.expect, "\(vector.path)")
    }
}
