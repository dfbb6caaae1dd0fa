internal import TextFormats

/// A rule that makes the subject of a user's certificate out of a token: the first one whose condition holds counts.
///
/// Source: SAP Cloud Connector, "Configure Subject Patterns for Principal Propagation".
package struct SubjectPattern: Sendable, Equatable {
    package enum Condition: Sendable, Equatable {
        case always
        case exists(String)
        case doesNotExist(String)
        case `is`(String, String)
        /// The variable is there, and is something else.
        case isNot(String, String)
    }

    /// A part of a text: as it stands, or a variable's value.
    enum Piece: Sendable, Equatable {
        case text(String)
        case variable(String)
    }

    package struct Part: Sendable, Equatable {
        /// As OpenSSL has it.
        let type: String
        let pieces: [Piece]
    }

    package let condition: Condition
    /// As it was written.
    package let text: String
    package let description: String
    let parts: [Part]

    /// Why a text is no pattern or no condition.
    package struct Fault: Error, Sendable, Equatable {
        package let message: String
    }

    /// - Parameters:
    ///   - condition: such as `${user_type} is Technical`; nil for one that always holds.
    ///   - subject: such as `CN=${name},EMAIL=${mail},O=Company`.
    package init(condition: String?, subject: String, description: String = "") throws(Fault) {
        self.condition = try condition.map { (text) throws(Fault) in try Self.condition(text) } ?? .always
        text = subject
        self.description = description
        parts = try Self.parts(subject)
    }

    private static let operators = [" does not exist", " exists", " is not ", " is "]

    private static func condition(_ text: String) throws(Fault) -> Condition {
        let wrong = Fault(
            message:
                "\"\(text)\" is no condition; write ${variable} followed by exists, does not exist, is VALUE or is not VALUE"
        )
        guard text.hasPrefix("${"), let end = text.firstIndex(of: "}") else { throw wrong }
        let variable = String(text[text.index(text.startIndex, offsetBy: 2)..<end])
        let rest = text[text.index(after: end)...]
        guard !variable.isEmpty, let word = operators.first(where: { rest.hasPrefix($0) }) else { throw wrong }
        let value = String(rest.dropFirst(word.count))
        switch word {
        case " exists" where value.isEmpty: return .exists(variable)
        case " does not exist" where value.isEmpty: return .doesNotExist(variable)
        case " is not " where !value.isEmpty: return .isNot(variable, value)
        case " is " where !value.isEmpty: return .is(variable, value)
        default: throw wrong
        }
    }

    /// Fields of a subject, with the names that OpenSSL has for them.
    private static let types = [
        "CN": "CN", "EMAIL": "emailAddress", "L": "L", "OU": "OU", "O": "O", "ST": "ST", "C": "C",
    ]

    private static func parts(_ subject: String) throws(Fault) -> [Part] {
        var parts: [Part] = []
        for part in split(subject) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = pair[0].drop { $0 == " " }.uppercased()
            guard pair.count == 2, let type = types[name], !pair[1].isEmpty else {
                throw Fault(
                    message:
                        "\"\(part)\" is no part of a subject; write CN=…,EMAIL=…,L=…,OU=…,O=…,ST=…,C=… with ${variables} in the values"
                )
            }
            parts.append(Part(type: type, pieces: try pieces(pair[1])))
        }
        guard parts.contains(where: { $0.type == "CN" }) else { throw Fault(message: "the subject has no CN") }
        return parts
    }

    /// At commas that are not inside a variable's braces, and not behind a backslash.
    private static func split(_ subject: String) -> [String] {
        var parts = [""]
        var isInside = false
        var isEscaped = false
        for character in subject {
            if isEscaped {
                parts[parts.count - 1].append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == ",", !isInside {
                parts.append("")
            } else {
                if character == "{" { isInside = true }
                if character == "}" { isInside = false }
                parts[parts.count - 1].append(character)
            }
        }
        return parts
    }

    private static func pieces(_ text: Substring) throws(Fault) -> [Piece] {
        var pieces: [Piece] = []
        var rest = text
        while let start = rest.firstRange(of: "${") {
            guard let end = rest[start.upperBound...].firstIndex(of: "}"), end > start.upperBound else {
                throw Fault(message: "\"\(text)\" has a variable without an end; write ${name}")
            }
            if start.lowerBound > rest.startIndex { pieces.append(.text(String(rest[..<start.lowerBound]))) }
            pieces.append(.variable(String(rest[start.upperBound..<end])))
            rest = rest[rest.index(after: end)...]
        }
        if !rest.isEmpty { pieces.append(.text(String(rest))) }
        return pieces
    }

    /// The fields of the subject, as they are written: names such as `EMAIL`, and texts with `${variables}`.
    package var fields: [(name: String, text: String)] {
        parts.map { part in
            let text = part.pieces.map { piece in
                switch piece {
                case .text(let text): text
                case .variable(let name): "${\(name)}"
                }
            }
            return (part.type == "emailAddress" ? "EMAIL" : part.type, text.joined())
        }
    }

    /// Those that the subject needs, each once.
    package var variables: [String] {
        var found: [String] = []
        for case .variable(let name) in parts.flatMap(\.pieces) where !found.contains(name) { found.append(name) }
        return found
    }

    // MARK: Use

    package func holds(for claims: UserClaims) -> Bool {
        switch condition {
        case .always: true
        case .exists(let variable): claims[variable] != nil
        case .doesNotExist(let variable): claims[variable] == nil
        // Byte for byte: two texts that look the same are not.
        case .is(let variable, let value): claims[variable].map { $0.utf8.elementsEqual(value.utf8) } ?? false
        case .isNot(let variable, let value): claims[variable].map { !$0.utf8.elementsEqual(value.utf8) } ?? false
        }
    }

    /// Characters of one value (RFC 5280 appendix A.1).
    private static let limits = ["CN": 64, "O": 64, "OU": 64, "L": 128, "ST": 128, "emailAddress": 128, "C": 2]

    /// The subject of a user's certificate, the widest part first, as certificates have it.
    ///
    /// - Throws: for a variable that the token does not have, and for a value that cannot stand in a certificate.
    package func subject(for claims: UserClaims) throws(Fault) -> [(type: String, value: String)] {
        var result: [(type: String, value: String)] = []
        for part in parts {
            var value = ""
            for piece in part.pieces {
                switch piece {
                case .text(let text): value += text
                case .variable(let name):
                    guard let text = claims[name] else {
                        throw Fault(message: "the token has no value for ${\(name)}")
                    }
                    value += text
                }
            }
            let isPlain = value.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
            let limit = Self.limits[part.type] ?? 64
            guard isPlain, value.unicodeScalars.count <= limit else {
                throw Fault(
                    message: "the value of \(part.type) has control characters or more than \(limit) characters"
                )
            }
            if part.type == "C", value.utf8.count != 2 {
                throw Fault(message: "the value of C is no country of two letters")
            }
            if part.type == "emailAddress", value.utf8.contains(where: { $0 > 0x7E }) {
                throw Fault(message: "the value of EMAIL is not in ASCII")
            }
            result.append((part.type, value))
        }
        return result.reversed()
    }
}
