internal import Cryptography
internal import TextFormats

/// What an audit record is about. The names are those of SAP's product where it has one.
package enum AuditCategory: String, Sendable, CaseIterable {
    case accessDenied = "ACCESS_DENIED"
    case accessAllowed = "ACCESS_ALLOWED"
    case configurationChanged = "CONFIGURATION_CHANGED"
    case configurationRefused = "CONFIGURATION_REFUSED"
    /// To another connector of the same identity.
    case configurationGiven = "CONFIGURATION_GIVEN"
    case serviceStarted = "SERVICE_STARTED"
    case serviceStopped = "SERVICE_STOPPED"
    case connectionOpened = "CONNECTION_OPENED"
    case connectionClosed = "CONNECTION_CLOSED"
    case connectionRefused = "CONNECTION_REFUSED"
    /// A peer was cut because it kept us busy for nothing.
    case floodStopped = "FLOOD_STOPPED"
    case enrolmentCreated = "ENROLMENT_CREATED"
    case certificateIssued = "CERTIFICATE_ISSUED"
    case certificateRevoked = "CERTIFICATE_REVOKED"
    case logLevelChanged = "LOG_LEVEL_CHANGED"
    /// Of somebody who administers.
    case login = "LOGIN"
    case loginRefused = "LOGIN_REFUSED"
    case userChanged = "USER_CHANGED"
    case tokenIssued = "TOKEN_ISSUED"
    case tokenRefused = "TOKEN_REFUSED"
    case tokenKeysRotated = "TOKEN_KEYS_ROTATED"
    case destinationChanged = "DESTINATION_CHANGED"
    // The chain's own.
    case fileStarted = "FILE_STARTED"
    case filesRemoved = "FILES_REMOVED"
    case recordsLost = "RECORDS_LOST"
    case seal = "SEAL"
}

/// One line of an audit file.
struct AuditRecord: Codable, Sendable {
    var seq: Int
    var time: String
    var type: String
    var text: String
    /// SHA-256 of the line before, without its end; hexadecimal. Zeros for the very first line.
    var prev: String
    /// Of a seal: ECDSA over the digest of `seq` and `prev`, hexadecimal.
    var sig: String?

    static let origin = String(repeating: "0", count: 64)

    /// What a seal signs: that the chain up to here is this one.
    static func sealed(_ seq: Int, _ prev: String) -> [UInt8] { Array("seal \(seq) \(prev)".utf8) }

    static func hash(_ line: [UInt8]) -> String { Hexadecimal.text(SHA256.digest(line)) }
}

/// How far the chain has come, kept beside the key: it tells when the newest records are cut off.
struct AuditHead: Codable, Sendable {
    var seq: Int
    var hash: String
    var file: String
    /// As of a seal.
    var sig: String
}
