package import JSON

/// The `config.json` with which an instance of the destination service is made, and the destinations in it.
///
/// Source: SAP BTP Connectivity, "Use a Config.JSON to Create or Update a Destination Service Instance".
package struct ServiceInstanceFile: Sendable {
    /// What becomes of a destination that exists (`existing_destinations_policy` and its siblings).
    package enum Policy: String, Sendable { case update, fail, ignore }

    /// One destination of the file, and at which level it stands.
    package struct Entry: Sendable {
        package var configuration: NamedConfiguration
        package var policy: Policy

        package init(configuration: NamedConfiguration, policy: Policy) {
            (self.configuration, self.policy) = (configuration, policy)
        }
    }

    package private(set) var entries: [Entry] = []

    /// - Returns: nil where the value is another kind of file.
    package init?(_ value: JSONValue) throws(DestinationError) {
        guard let initial = value["init_data"] else { return nil }
        guard case .object(let levels) = initial else {
            throw DestinationError("init_data must be an object with \"subaccount\" or \"instance\"")
        }
        for (level, content) in levels.sorted(by: { $0.key > $1.key }) {
            guard ["subaccount", "instance"].contains(level) else {
                throw DestinationError("init_data.\(level) is not known; it has \"subaccount\" and \"instance\"")
            }
            for kind in [ConfigurationKind.certificates, .fragments, .destinations] {
                try read(content, kind, "init_data.\(level)")
            }
        }
    }

    private mutating func read(_ content: JSONValue, _ kind: ConfigurationKind, _ path: String) throws(DestinationError)
    {
        guard let list = content[kind.rawValue] else { return }
        guard case .array(let items) = list else {
            throw DestinationError("\(path).\(kind.rawValue) must be an array")
        }
        var policy = Policy.fail
        if let name = content["existing_\(kind.rawValue)_policy"]?.string {
            guard let known = Policy(rawValue: name) else {
                throw DestinationError("\(path).existing_\(kind.rawValue)_policy must be update, fail or ignore")
            }
            policy = known
        }
        for (index, item) in items.enumerated() {
            do throws(DestinationError) {
                entries.append(Entry(configuration: try NamedConfiguration(kind, Self.texts(item)), policy: policy))
            } catch {
                throw DestinationError("\(path).\(kind.rawValue)[\(index)]: \(error)")
            }
        }
    }

    /// Here, and nowhere else, SAP's examples have true and numbers as values.
    private static func texts(_ item: JSONValue) -> JSONValue {
        guard case .object(let members) = item else { return item }
        return .object(
            members.mapValues { value in
                switch value {
                case .bool(let flag): .string(flag ? "true" : "false")
                case .integer(let number): .string(String(number))
                default: value
                }
            }
        )
    }
}
