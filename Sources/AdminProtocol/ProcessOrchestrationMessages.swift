/// Bodies under `/po-systems/` of the admin socket.
package enum ProcessOrchestrationMessage {
    /// A system of SAP Process Orchestration that is to be added or tested; texts as its form has them.
    package struct Request: Codable, Sendable {
        /// A subaccount's ID; nil for the service's own.
        package var subaccount: String?
        package var name = ""
        package var address = ""
        package var user = ""
        package var password = ""
        package var locationID = ""
        /// Of the ES Repository, where it is another system.
        package var repositoryAddress: String?
        package var repositoryUser: String?
        package var repositoryPassword: String?
        package var repositoryLocationID: String?
        package var replaces: Bool?

        package init(
            subaccount: String? = nil,
            name: String = "",
            address: String = "",
            user: String = "",
            password: String = "",
            locationID: String = "",
            repositoryAddress: String? = nil,
            repositoryUser: String? = nil,
            repositoryPassword: String? = nil,
            repositoryLocationID: String? = nil,
            replaces: Bool? = nil
        ) {
            self.subaccount = subaccount
            self.name = name
            self.address = address
            self.user = user
            self.password = password
            self.locationID = locationID
            self.repositoryAddress = repositoryAddress
            self.repositoryUser = repositoryUser
            self.repositoryPassword = repositoryPassword
            self.repositoryLocationID = repositoryLocationID
            self.replaces = replaces
        }
    }

    /// A system that is there, without its passwords.
    package struct Summary: Codable, Sendable {
        package var name: String
        package var directory: String
        package var directoryURL: String
        package var repository: String
        package var repositoryURL: String
        package var problem: String?

        package init(
            name: String,
            directory: String,
            directoryURL: String,
            repository: String,
            repositoryURL: String,
            problem: String? = nil
        ) {
            self.name = name
            self.directory = directory
            self.directoryURL = directoryURL
            self.repository = repository
            self.repositoryURL = repositoryURL
            self.problem = problem
        }
    }

    /// One of the two requests of a test.
    package struct Check: Codable, Sendable {
        package var destination: String
        package var url: String
        /// 0 where there was no answer.
        package var status: Int
        package var isGood: Bool
        /// What the answer means and what to do.
        package var explanation: String

        package init(destination: String, url: String, status: Int, isGood: Bool, explanation: String) {
            self.destination = destination
            self.url = url
            self.status = status
            self.isGood = isGood
            self.explanation = explanation
        }
    }
}
