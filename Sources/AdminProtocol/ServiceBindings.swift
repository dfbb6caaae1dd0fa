package import JSON

/// What a program needs to know to use the cloud side, in the shape of SAP's service bindings. Every value is a string, ports
/// as well.
package struct ServiceBindings: Codable, Sendable {
    /// One service instance that a program is bound to, as Cloud Foundry writes it into VCAP_SERVICES.
    package struct Binding: Codable, Sendable {
        package var label: String
        package var name: String
        package var plan: String
        package var tags: [String]
        package var instance_guid: String
        package var credentials: [String: JSONValue]

        package init(
            label: String,
            name: String,
            plan: String,
            tags: [String],
            instance_guid: String,
            credentials: [String: JSONValue]
        ) {
            self.label = label
            self.name = name
            self.plan = plan
            self.tags = tags
            self.instance_guid = instance_guid
            self.credentials = credentials
        }
    }

    package var connectivity: [Binding]
    package var destination: [Binding]
    package var xsuaa: [Binding]

    package init(connectivity: [Binding], destination: [Binding], xsuaa: [Binding]) {
        (self.connectivity, self.destination, self.xsuaa) = (connectivity, destination, xsuaa)
    }

    package var all: [Binding] { connectivity + destination + xsuaa }
}
