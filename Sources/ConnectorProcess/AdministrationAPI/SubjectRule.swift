internal import ConfigurationEditing
internal import JSON
internal import PrincipalPropagation
internal import TextFormats

/// A subject pattern as SAP's API has it (SAP Help, "Subject Pattern Rules"): a variable without `${}`, fields of the subject by their names.
struct SubjectRule: Equatable {
    static let fields = ["CN", "EMAIL", "L", "OU", "O", "ST", "C"]

    var description = ""
    /// As the file has it, such as `${name} is X`; nil for the rule that always holds.
    var condition: String?
    /// By the names of `fields`.
    var subject: [String: String] = [:]

    // MARK: In the file

    /// - Parameter item: of `subject-patterns`.
    init(_ item: YAMLValue) {
        description = item["description"]?.scalar ?? ""
        condition = item["if"]?.scalar
        guard let pattern = try? SubjectPattern(condition: nil, subject: item["subject"]?.scalar ?? "") else { return }
        for field in pattern.fields { subject[field.name] = field.text }
    }

    /// The rule with which every list ends, unless the file has another one.
    static let last = YAMLValue.mapping([.init("subject", .text("CN=${name}"))])

    var value: YAMLValue {
        var entries: [YAMLValue.Entry] = []
        if let condition { entries.append(.init("if", .text(condition))) }
        entries.append(.init("subject", .text(subjectText)))
        if !description.isEmpty { entries.append(.init("description", .text(description))) }
        return .mapping(entries)
    }

    var subjectText: String { Self.text(subject) }

    /// With a backslash in front of what would end a value.
    static func text(_ subject: [String: String]) -> String {
        fields.compactMap { name in
            guard let value = subject[name], !value.isEmpty else { return nil }
            return "\(name)=" + value.map { $0 == "," || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
        }.joined(separator: ",")
    }

    // MARK: On the wire

    struct Document: Encodable {
        var description: String?
        var condition: String
        var subjectPattern: [String: String]
    }

    var document: Document {
        let text = condition.map { text in
            // `${name} is X` is `name is X` there.
            guard text.hasPrefix("${"), let end = text.firstIndex(of: "}") else { return text }
            return String(text[text.index(text.startIndex, offsetBy: 2)..<end] + text[text.index(after: end)...])
        }
        return Document(
            description: description.isEmpty ? nil : description,
            condition: text ?? "always true",
            subjectPattern: subject
        )
    }

    private static let operators = ["exist": "exists", "exist_not": "does not exist", "is": "is", "is_not": "is not"]

    /// - Parameter body: whose members it takes.
    init(_ body: inout APIBody) throws(APIFailure) {
        description = try body.text("description") ?? ""
        guard let wanted = try body.object("condition") else { throw .invalid("condition is missing") }
        guard case .object(let members) = wanted, let variable = wanted["variable"]?.string, !variable.isEmpty,
            !variable.contains(where: { "{}$".contains($0) })
        else { throw .invalid("condition must be {\"variable\": …, \"operator\": …}, its variable without ${}") }
        guard let name = wanted["operator"]?.string, let word = Self.operators[name] else {
            throw .invalid("operator must be exist, exist_not, is or is_not")
        }
        if let odd = members.keys.first(where: { !["variable", "operator", "value"].contains($0) }) {
            throw .invalid("condition has no \(LogText.escaped(odd.utf8))")
        }
        let value = wanted["value"]?.string ?? ""
        let needsValue = name.hasPrefix("is")
        guard needsValue == !value.isEmpty else {
            throw .invalid(needsValue ? "value is missing" : "value goes with is and is_not only")
        }
        condition = "${\(variable)} \(word)" + (needsValue ? " \(value)" : "")
        guard let pattern = try body.object("subjectPattern"), case .object(let all) = pattern else {
            throw .invalid("subjectPattern is missing")
        }
        for (name, value) in all {
            guard Self.fields.contains(name), let text = value.string else {
                throw .invalid("subjectPattern has texts for \(Self.fields.joined(separator: ", ")) only")
            }
            if !text.isEmpty { subject[name] = text }
        }
        do { _ = try SubjectPattern(condition: condition, subject: subjectText) } catch {
            throw .invalid("\(error.message)")
        }
    }
}
