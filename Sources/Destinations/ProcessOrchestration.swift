/// SAP Process Orchestration systems as destinations: `PO_<NAME>_DIR` for the Integration Directory and, where the ES
/// Repository is another one, `PO_<NAME>_ESR`.
///
/// Source: SAP Integration Suite, "Add an SAP Process Orchestration System".
package struct ProcessOrchestrationSystem: Sendable, Equatable {
    /// How a system is reached.
    package struct Access: Sendable, Equatable {
        /// The virtual address, such as `http://pohost:50000`.
        package var address: String
        package var user: String
        package var password: String
        package var locationID: String

        package init(address: String, user: String, password: String, locationID: String) {
            self.address = address
            self.user = user
            self.password = password
            self.locationID = locationID
        }
    }

    package var name: String
    package var directory: Access
    /// Nil where it is the same as the directory's.
    package var repository: Access?

    package init(name: String, directory: Access, repository: Access?) {
        self.name = name
        self.directory = directory
        self.repository = repository
    }

    package var directoryName: String { "PO_\(name)_DIR" }
    package var repositoryName: String { "PO_\(name)_ESR" }

    /// What is stored.
    package func destinations() throws(DestinationError) -> [NamedConfiguration] {
        var directory = Self.properties(directoryName, name, self.directory)
        guard let repository else { return [try NamedConfiguration(.destinations, directory)] }
        directory["esrdestination"] = repositoryName
        return [
            try NamedConfiguration(.destinations, directory),
            try NamedConfiguration(.destinations, Self.properties(repositoryName, name, repository)),
        ]
    }

    private static func properties(_ destination: String, _ system: String, _ access: Access) -> [String: String] {
        var properties = [
            "Name": destination, "Type": "HTTP", "URL": access.address, "ProxyType": "OnPremise",
            "Authentication": "BasicAuthentication", "User": access.user, "Password": access.password,
            "systemname": system,
        ]
        if !access.locationID.isEmpty { properties["CloudConnectorLocationId"] = access.locationID }
        return properties
    }

    // MARK: Of destinations that are there

    /// A system as it can be read from destinations, whoever made them.
    package struct Found: Sendable, Equatable {
        package var name: String
        package var directory: NamedConfiguration
        /// The directory's own where there is no other.
        package var repository: NamedConfiguration
        /// Why the repository that the directory names is not to be had.
        package var problem: String?
    }

    /// Systems among destinations: each `PO_…_DIR` with a `systemname` is one.
    package static func find(in destinations: [NamedConfiguration]) -> [Found] {
        destinations.compactMap { destination in
            guard destination.name.hasPrefix("PO_"), destination.name.hasSuffix("_DIR"),
                let name = destination["systemname"], !name.isEmpty
            else { return nil }
            guard let wanted = destination["esrdestination"], !wanted.isEmpty else {
                return Found(name: name, directory: destination, repository: destination)
            }
            guard let repository = destinations.first(where: { $0.name == wanted }) else {
                let problem = "esrdestination names \(wanted), which is not a destination"
                return Found(name: name, directory: destination, repository: destination, problem: problem)
            }
            return Found(name: name, directory: destination, repository: repository)
        }
    }

    /// The two requests of "Test Connection": HEAD, answered with 200 and nothing.
    package static let repositoryPath = "/rep/read/ext"
    package static let directoryPath = "/IntegratedConfiguration750InService/IntegratedConfiguration750InImplBean"
}
