internal import CloudConnector
internal import ConfigurationEditing
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import PrincipalPropagation
internal import TextFormats

/// `onPremises/ppSettings` and `onPremises/subjectPatternRules` (SAP Help, "Common Properties", "Subject Pattern Rules").
struct PropagationEndpoint {
    let store: ConfigurationStore
    let call: APICall

    private static let section = YAMLStep.key("principal-propagation")
    private static let list: [YAMLStep] = [section, .key("subject-patterns")]

    // MARK: Settings

    private struct SettingsDocument: Encodable {
        var expirationToleranceInHr: Int
        var certificateValidityInMin: Int
    }

    private var propagation: PropagationConfiguration {
        get throws { try ConnectorConfigurationReader.load(store.path).configuration.propagation ?? .init() }
    }

    func settings() async throws -> HTTPResponse {
        try call.allow("GET", "PUT", "PATCH")
        guard call.method != "GET" else {
            let now = try propagation
            return .json(
                SettingsDocument(
                    expirationToleranceInHr: now.tolerance / 3600,
                    certificateValidityInMin: now.validity / 60
                )
            )
        }
        var body = try APIBody(call.request)
        let tolerance = try Self.number(&body, "expirationToleranceInHr", 0...336)
        let validity = try Self.number(&body, "certificateValidityInMin", 1...43200)
        try body.finish()
        let isWhole = tolerance != nil && validity != nil
        guard isWhole || call.method == "PATCH" && (tolerance != nil || validity != nil) else {
            throw APIFailure.invalid("expirationToleranceInHr and certificateValidityInMin are needed")
        }
        try await call.change(store, "change settings of principal propagation") { text in
            if let tolerance {
                try text.apply(.set([Self.section, .key("expiration-tolerance")], .text("\(tolerance)h")))
            }
            if let validity {
                try text.apply(.set([Self.section, .key("certificate-validity")], .text("\(validity)m")))
            }
        }
        return .empty
    }

    private static func number(
        _ body: inout APIBody,
        _ name: String,
        _ range: ClosedRange<Int>
    ) throws(APIFailure) -> Int? {
        guard let text = try body.text(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .invalid("\(name) must be between \(range.lowerBound) and \(range.upperBound)")
        }
        return number
    }

    // MARK: Rules

    /// - Parameter rest: of the path, behind `subjectPatternRules`.
    func rules(_ rest: [String]) async throws -> HTTPResponse {
        let items = Self.items(try store.value)
        guard let name = rest.first else {
            try call.allow("GET", "POST")
            if call.method == "GET" { return .json(items.map { SubjectRule($0).document }) }
            let rule = try rule().value
            try await call.change(store, "add subject pattern") { try Self.insert(rule, &$0) }
            // In front of the rule that always holds.
            let place = items.last?["if"] == nil ? max(items.count - 1, 0) : items.count
            return .created(at: "\(call.base)\(call.request.path)/\(place)")
        }
        guard let index = Int(name), items.indices.contains(index) else {
            throw APIFailure.invalid("there is no rule \(LogText.escaped(name.utf8)); there are \(items.count)")
        }
        switch Array(rest.dropFirst()) {
        case []:
            try call.allow("PUT", "DELETE")
            try Self.refuseLast(index, items)
            if call.method == "DELETE" {
                try await call.change(store, "remove subject pattern \(index + 1)", .remove(Self.list + [.item(index)]))
            } else {
                var changed = items
                changed[index] = try rule().value
                try await call.change(store, "change subject pattern \(index + 1)") { text in
                    try Self.replace(from: index, with: changed[index...], &text)
                }
            }
            return .empty
        case ["move"]:
            try call.allow("POST")
            return try await move(index, items)
        case ["sampleCertificate"]:
            try call.allow("GET")
            return try sample(index)
        default: throw APIFailure.unsupported(["subjectPatternRules"] + rest)
        }
    }

    private static func items(_ value: YAMLValue) -> [YAMLValue] { value[list]?.items ?? [SubjectRule.last] }

    private func rule() throws -> SubjectRule {
        var body = try APIBody(call.request)
        let rule = try SubjectRule(&body)
        try body.finish()
        return rule
    }

    /// The rule that always holds stays, and stays last.
    private static func refuseLast(_ index: Int, _ items: [YAMLValue]) throws(APIFailure) {
        guard items[index]["if"] == nil else { return }
        throw .invalid("rule \(index) always holds, and can neither be changed nor moved")
    }

    /// In front of the rule that always holds.
    private static func insert(_ rule: YAMLValue, _ text: inout YAMLText) throws {
        let items = text.value[list]?.items ?? []
        let last = items.isEmpty ? SubjectRule.last : items[items.count - 1]
        guard last["if"] == nil else { return try text.apply(.append(list, rule)) }
        try replace(from: max(items.count - 1, 0), with: [rule, last], &text)
    }

    /// Items from `index` on give way to others; those before it stay as somebody has written them.
    private static func replace(
        from index: Int,
        with items: some Collection<YAMLValue>,
        _ text: inout YAMLText
    ) throws {
        let count = text.value[list]?.items.count ?? 0
        if index > 0 {
            for place in (index..<count).reversed() { try text.apply(.remove(list + [.item(place)])) }
        } else if count > 0 {
            try text.apply(.remove(list))
        }
        for item in items { try text.apply(.append(list, item)) }
    }

    private func move(_ index: Int, _ items: [YAMLValue]) async throws -> HTTPResponse {
        var body = try APIBody(call.request)
        guard let position = Int(try body.required("position")), items.indices.contains(position) else {
            throw APIFailure.invalid("position must be between 0 and \(items.count - 1)")
        }
        try body.finish()
        try Self.refuseLast(index, items)
        try Self.refuseLast(position, items)
        var moved = items
        moved.insert(moved.remove(at: index), at: position)
        try await call.change(store, "move subject pattern \(index + 1) to \(position + 1)") { text in
            let first = min(index, position)
            try Self.replace(from: first, with: moved[first...], &text)
        }
        return HTTPResponse(status: .ok, contentType: "", body: [])
    }

    private func sample(_ index: Int) throws -> HTTPResponse {
        let configuration = try ConnectorConfigurationReader.load(store.path).configuration
        guard let pattern = configuration.propagation?.patterns[index], let users = try configuration.loadPropagation()
        else { throw APIFailure.invalid("principal propagation is not configured") }
        guard let values = FormData([], query: call.request.query) else {
            throw APIFailure.invalid("the query of the URL is broken")
        }
        let known = pattern.variables
        for name in known where values[name] == nil { throw APIFailure.invalid("the variable \(name) has no value") }
        if let odd = values.names.first(where: { !known.contains($0) }) {
            throw APIFailure.invalid("the rule has no variable \(LogText.escaped(odd.utf8))")
        }
        let outcome: UserPropagation.Outcome
        do throws(PropagationError) {
            let claims = known.map { ($0, values[$0] ?? "") }
            outcome = try users.sample(claims, pattern: index, now: WallClock.seconds())
        } catch {
            throw APIFailure.invalid("no sample: \(error.cause)")
        }
        if call.request.headers.first(name: "accept")?.contains("x-pem-file") ?? false {
            return .file(Array(outcome.certificate.pem.utf8), "scc_sample_cert.pem")
        }
        return .file(outcome.certificate.bytes, "scc_sample_cert.der")
    }
}
