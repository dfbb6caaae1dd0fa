/// Bodies of requests and answers on the admin socket.
package enum AdminMessage {
    package struct Level: Codable, Sendable {
        package var level: String

        package init(level: String) {
            self.level = level
        }
    }
    package struct Empty: Codable, Sendable {
        package init() {}
    }
    package struct Check: Codable, Sendable {
        package var hosts: [String]

        package init(hosts: [String]) {
            self.hosts = hosts
        }
    }
    package struct Systems: Codable, Sendable {
        package var systems: [ConnectorStatus.System]

        package init(systems: [ConnectorStatus.System]) {
            self.systems = systems
        }
    }
    package struct Reload: Codable, Sendable {
        package var isApplied: Bool
        /// Errors if not, warnings if so.
        package var findings: [String]

        package init(isApplied: Bool, findings: [String]) {
            self.isApplied = isApplied
            self.findings = findings
        }
    }
    package struct Enrolment: Codable, Sendable {
        package var subaccount: String
        package var locationID: String
        package var seconds: Int

        package init(subaccount: String, locationID: String, seconds: Int) {
            self.subaccount = subaccount
            self.locationID = locationID
            self.seconds = seconds
        }
    }
    package struct Token: Codable, Sendable {
        package var token: String
        package var expires: Int
        /// Something odd about the request.
        package var note: String?

        package init(token: String, expires: Int, note: String? = nil) {
            self.token = token
            self.expires = expires
            self.note = note
        }
    }
    package struct TokenRequest: Codable, Sendable {
        package var subaccount: String?
        package var service: BoundService
        package var user: String?

        package init(subaccount: String? = nil, service: BoundService, user: String? = nil) {
            self.subaccount = subaccount
            self.service = service
            self.user = user
        }
    }
    package struct Key: Codable, Sendable {
        package var id: String

        package init(id: String) {
            self.id = id
        }
    }
    package struct Identity: Codable, Sendable {
        package var subaccount: String
        package var locationID: String

        package init(subaccount: String, locationID: String) {
            self.subaccount = subaccount
            self.locationID = locationID
        }
    }
    package struct Revoked: Codable, Sendable {
        package var certificates: Int
        package var tunnels: Int

        package init(certificates: Int, tunnels: Int) {
            self.certificates = certificates
            self.tunnels = tunnels
        }
    }
}
