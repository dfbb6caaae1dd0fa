internal import AdminProtocol
internal import ControlProtocol
internal import Cryptography
internal import TunnelCore

/// Connections to the tunnels' address that were refused: counted by cause, and the last ones for people who look.
struct RefusedConnections {
    /// Different ones that are kept.
    static let limit = 50

    /// By cause, one of few words.
    private(set) var counts: [String: Int] = [:]
    /// The latest first; the same again counts once more.
    private(set) var recent: [ServiceStatus.RefusedConnection] = []

    mutating func record(
        _ what: String,
        _ remote: String,
        _ error: any Error,
        _ connector: ConnectorIdentity?,
        now: Int
    ) {
        counts[Self.kind(error), default: 0] += 1
        var entry = ServiceStatus.RefusedConnection(
            time: now,
            remote: Self.address(remote),
            subaccount: connector?.subaccount,
            locationID: connector?.locationID,
            what: what,
            cause: "\(error)"
        )
        if let index = recent.firstIndex(where: { $0.isSame(as: entry) }) {
            entry.count += recent.remove(at: index).count
        }
        recent.insert(entry, at: 0)
        if recent.count > Self.limit { recent.removeLast() }
    }

    /// Without the port, which is another one each time.
    private static func address(_ remote: String) -> String {
        remote.lastIndex(of: ":").map { String(remote[..<$0]) } ?? remote
    }

    /// Why a tunnel ended or was refused, for a counter: one of few words.
    static func kind(_ error: (any Error)?) -> String {
        switch error {
        case nil: "ended"
        case let error as HTTP2Error: error.code == .flood ? "flood" : "protocol"
        case let error as TunnelError:
            switch error {
            case .silent: "silent"
            case .superseded: "superseded"
            case .control: "protocol"
            case .tooManyTunnels, .flooded, .noMemory: "limit"
            case .noIdentity, .revoked, .certificateExpired: "certificate"
            }
        case let error as TLSError: error.isAboutCertificate ? "certificate" : "tls"
        case is EnrolmentError: "enrolment"
        default: "network"
        }
    }
}
