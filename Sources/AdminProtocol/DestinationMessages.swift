/// Bodies under `/destinations/` of the admin socket.
package enum DestinationMessage {
    /// One line of the list.
    package struct Summary: Codable, Sendable {
        package var name: String
        package var type: String
        package var url: String
        package var proxyType: String
        package var authentication: String
        package var locationID: String
        package var description: String

        package init(
            name: String,
            type: String,
            url: String,
            proxyType: String,
            authentication: String,
            locationID: String,
            description: String
        ) {
            self.name = name
            self.type = type
            self.url = url
            self.proxyType = proxyType
            self.authentication = authentication
            self.locationID = locationID
            self.description = description
        }
    }

    /// The destinations of a scope, and the files that could not be read.
    package struct List: Codable, Sendable {
        package var destinations: [Summary]
        /// Files that do not count, and why.
        package var findings: [String]

        package init(destinations: [Summary], findings: [String]) {
            self.destinations = destinations
            self.findings = findings
        }
    }

    /// What a command asks of one destination, fragment or certificate.
    package struct Request: Codable, Sendable {
        /// A subaccount's ID; nil for the service's own.
        package var subaccount: String?
        package var name = ""
        /// For import.
        package var properties: [String: String]?
        package var kind: String?
        package var replaces: Bool?
        /// For a destination from the template: the exposed system.
        package var host: String?
        package var locationID: String?
        package var isForActions: Bool?

        package init(
            subaccount: String? = nil,
            name: String = "",
            properties: [String: String]? = nil,
            kind: String? = nil,
            replaces: Bool? = nil,
            host: String? = nil,
            locationID: String? = nil,
            isForActions: Bool? = nil
        ) {
            self.subaccount = subaccount
            self.name = name
            self.properties = properties
            self.kind = kind
            self.replaces = replaces
            self.host = host
            self.locationID = locationID
            self.isForActions = isForActions
        }
    }

    /// A destination's properties, by name; secrets only where they were asked for.
    package struct Properties: Codable, Sendable {
        package var properties: [String: String]

        package init(properties: [String: String]) {
            self.properties = properties
        }
    }
}
