/// Bodies of requests and answers on the admin socket.
package enum AdminMessage {
    /// A log level, by its name.
    package struct Level: Codable, Sendable {
        package var level: String

        package init(level: String) {
            self.level = level
        }
    }
    /// Where success is all there is to say.
    package struct Empty: Codable, Sendable {
        package init() {}
    }
    /// Which systems are to be looked at; none means all.
    package struct Check: Codable, Sendable {
        package var hosts: [String]

        package init(hosts: [String]) {
            self.hosts = hosts
        }
    }
    /// What a check has found out.
    package struct Systems: Codable, Sendable {
        package var systems: [ConnectorStatus.System]

        package init(systems: [ConnectorStatus.System]) {
            self.systems = systems
        }
    }
    /// What a look at internal hosts has come to, step by step.
    package struct Steps: Codable, Sendable {
        package struct System: Codable, Sendable {
            package var virtualHost: String
            package var steps: [CheckStep]

            package init(virtualHost: String, steps: [CheckStep]) {
                (self.virtualHost, self.steps) = (virtualHost, steps)
            }
        }

        package var systems: [System]

        package init(systems: [System]) { self.systems = systems }
    }
    /// Who has a configuration read again, and with what, for log and audit log.
    package struct ReloadReason: Codable, Sendable {
        package var by: String

        package init(by: String) {
            self.by = by
        }
    }
    /// Somebody who may use the page and the API, or is to be.
    package struct User: Codable, Sendable {
        package var name: String
        /// As in the file of users; nil where it does not matter.
        package var role: String?
        package var hasPassword: Bool?
        /// Who asks, for the audit log.
        package var by: String?

        package init(name: String, role: String? = nil, hasPassword: Bool? = nil, by: String? = nil) {
            (self.name, self.role, self.hasPassword, self.by) = (name, role, hasPassword, by)
        }
    }
    /// All of them.
    package struct Users: Codable, Sendable {
        package var users: [User]

        package init(users: [User]) { self.users = users }
    }
    /// With which somebody can set a password once.
    package struct PasswordCode: Codable, Sendable {
        package var code: String
        /// Seconds.
        package var life: Int
        /// Of the page; nil where it is not served.
        package var address: String?

        package init(code: String, life: Int, address: String?) {
            (self.code, self.life, self.address) = (code, life, address)
        }
    }
    /// Whether a reload succeeded, and what the files' findings are.
    package struct Reload: Codable, Sendable {
        package var isApplied: Bool
        /// Errors if not, warnings if so.
        package var findings: [String]

        package init(isApplied: Bool, findings: [String]) {
            self.isApplied = isApplied
            self.findings = findings
        }
    }
    /// For whom a one-time token is wanted, and for how many seconds.
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
    /// A token that was made, and until when it counts.
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
    /// For which service, tenant and user an access token is wanted.
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
    /// The key that signs tokens from now on.
    package struct Key: Codable, Sendable {
        package var id: String

        package init(id: String) {
            self.id = id
        }
    }
    /// A connector, by subaccount and location ID.
    package struct Identity: Codable, Sendable {
        package var subaccount: String
        package var locationID: String
        /// Of several side by side, this one alone.
        package var instance: String?

        package init(subaccount: String, locationID: String, instance: String? = nil) {
            self.subaccount = subaccount
            self.locationID = locationID
            self.instance = instance
        }
    }
    /// How much a revocation has ended.
    package struct Revoked: Codable, Sendable {
        package var certificates: Int
        package var tunnels: Int

        package init(certificates: Int, tunnels: Int) {
            self.certificates = certificates
            self.tunnels = tunnels
        }
    }
}
