internal import TextFormats

/// `$filter` of a list: one condition on names or on the time of the last change, or conditions on labels.
package enum ListFilter: Sendable, Equatable {
    case names(Set<String>)
    case startsWith(String)
    case endsWith(String)
    /// Minutes back from now.
    case modifiedWithin(Int)
    /// Each of these keys with one of its values.
    case labels([Label])

    /// - Throws: for anything but the forms that SAP's OpenAPI document names, and the one for labels of SAP's Python SDK.
    package init(_ text: String) throws(DestinationError) {
        var scanner = Scanner(text)
        if scanner.take("Name in") {
            self = .names(Set(try scanner.list()))
        } else if scanner.take("startswith(") {
            self = .startsWith(try scanner.nameArgument())
        } else if scanner.take("endswith(") {
            self = .endsWith(try scanner.nameArgument())
        } else if scanner.take("modifiedwithin(") {
            let number = try scanner.quoted()
            guard scanner.take(","), try scanner.quoted() == "minutes", scanner.take(")") else { throw Self.fault }
            guard let minutes = Int(number), (1...1440).contains(minutes) else {
                throw DestinationError("$filter: modifiedwithin takes a number from 1 to 1440")
            }
            self = .modifiedWithin(minutes)
        } else {
            var labels: [Label] = []
            repeat {
                guard scanner.take("Label[") else { throw Self.fault }
                let key = try Self.decoded(try scanner.quoted())
                guard scanner.take("]"), scanner.take("HAS") else { throw Self.fault }
                labels.append(Label(key: key, values: try scanner.list()))
            } while scanner.take("AND")
            self = .labels(labels)
        }
        guard scanner.isAtEnd else { throw Self.fault }
    }

    private static let fault = DestinationError(
        "$filter must be Name in ('a', 'b'), startswith(Name, 'a'), endswith(Name, 'a'), modifiedwithin('5', 'minutes') "
            + "or Label['key'] HAS ('value')"
    )

    private static func decoded(_ text: String) throws(DestinationError) -> String {
        guard let text = PercentText.decode(text) else {
            throw DestinationError("$filter: each text in the list must be percent-encoded")
        }
        return text
    }

    /// - Parameter now: seconds since 1970.
    package func matches(_ entry: StoredConfiguration, now: Int) -> Bool {
        let name = entry.configuration.name
        return switch self {
        case .names(let names): names.contains(name)
        case .startsWith(let text): name.hasPrefix(text)
        case .endsWith(let text): name.hasSuffix(text)
        case .modifiedWithin(let minutes): entry.modified >= now - minutes * 60
        case .labels(let labels):
            labels.allSatisfy { wanted in
                entry.labels.contains { $0.key == wanted.key && !Set($0.values).isDisjoint(with: wanted.values) }
            }
        }
    }

    private struct Scanner {
        private var rest: Substring

        init(_ text: String) { rest = text[...] }

        var isAtEnd: Bool { rest.allSatisfy { $0 == " " } }

        /// Takes `word`, after spaces, if it is next.
        mutating func take(_ word: String) -> Bool {
            let trimmed = rest.drop { $0 == " " }
            guard trimmed.hasPrefix(word) else { return false }
            rest = trimmed.dropFirst(word.count)
            return true
        }

        /// A text in single quotes; two quotes stand for one.
        mutating func quoted() throws(DestinationError) -> String {
            guard take("'") else { throw ListFilter.fault }
            var result = ""
            while let character = rest.popFirst() {
                guard character == "'" else {
                    result.append(character)
                    continue
                }
                guard rest.first == "'" else { return result }
                result.append(rest.removeFirst())
            }
            throw ListFilter.fault
        }

        /// `('a', 'b')`, each percent-encoded once more.
        mutating func list() throws(DestinationError) -> [String] {
            guard take("(") else { throw ListFilter.fault }
            var result: [String] = []
            repeat { result.append(try ListFilter.decoded(try quoted())) } while take(",")
            guard take(")") else { throw ListFilter.fault }
            return result
        }

        /// `Name, 'text')`.
        mutating func nameArgument() throws(DestinationError) -> String {
            guard take("Name"), take(",") else { throw ListFilter.fault }
            let text = try quoted()
            guard take(")") else { throw ListFilter.fault }
            return text
        }
    }
}
