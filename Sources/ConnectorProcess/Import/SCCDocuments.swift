/// The configuration of a Cloud Connector of SAP's, as far as it can be taken over, in the words of its configuration API (SAP Help,
/// "Configuration REST APIs"; types as real instances of 2.19 send them: ports as texts or numbers, flags as flags or texts).
struct SCCDocuments: Sendable {
    var version = ""
    var trustStore = SCCTrustStore()
    /// PEM.
    var trustedCertificates = ""
    var proxy = SCCProxy()
    var subjectPatterns: [SCCSubjectPattern] = []
    var subaccounts: [SCCSubaccount] = []
    /// What the source does not tell, for whoever looks at the result.
    var remarks: [String] = []
}

/// A subaccount with what is exposed for it.
struct SCCSubaccount: Sendable {
    var entity: SCCSubaccountEntity
    var mappings: [(mapping: SCCMapping, resources: [SCCResource])] = []
    var domains: [SCCDomain] = []
}

struct SCCVersion: Decodable, Sendable {
    var version: String
}

struct SCCSubaccountEntity: Decodable, Sendable {
    var regionHost: String
    var subaccount: String
    var locationID: String?
    var description: String?
    var displayName: String?
}

struct SCCMapping: Decodable, Sendable {
    var virtualHost: String
    var virtualPort: SCCText
    var localHost: String
    var localPort: SCCText
    var `protocol`: String
    var backendType: String?
    var hostInHeader: String?
    var authenticationMode: String?
    var description: String?
    var sid: String?
    var allowedClients: [String]?
}

struct SCCResource: Decodable, Sendable {
    var id: String
    var enabled: SCCFlag
    var exactMatchOnly: SCCFlag
    var websocketUpgradeAllowed: SCCFlag?
    var description: String?
}

struct SCCDomain: Decodable, Sendable {
    var virtualDomain: String
    var internalDomain: String
}

struct SCCTrustStore: Decodable, Sendable {
    var trustAllBackends = false
}

struct SCCProxy: Decodable, Sendable {
    var host: String?
    var port: SCCText?
    var user: String?
}

struct SCCSubjectPattern: Decodable, Sendable {
    var condition: String?
    var subjectPattern: [String: String]?
}

/// A text that may come as a number.
struct SCCText: Decodable, Sendable {
    var text: String

    init(_ text: String) { self.text = text }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int.self) {
            text = String(number)
        } else {
            text = try container.decode(String.self)
        }
    }
}

/// A flag that may come as a text.
struct SCCFlag: Decodable, Sendable {
    var isSet: Bool

    init(_ isSet: Bool) { self.isSet = isSet }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            isSet = flag
        } else {
            isSet = try container.decode(String.self) == "true"
        }
    }
}
