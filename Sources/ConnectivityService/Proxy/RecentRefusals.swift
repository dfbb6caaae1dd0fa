internal import Synchronization

/// The last requests that were refused, for people who look at the service: the same refusal counts once.
package final class RecentRefusals: Sendable {
    /// Different refusals that are kept.
    package static let limit = 100

    package struct Entry: Codable, Sendable, Equatable {
        /// Seconds since 1970, of the last one.
        package var time: Int
        package var count = 1
        package var subaccount: String
        package var locationID: String
        package var method: String
        /// As it came, escaped: a URL in most cases.
        package var target: String
        package var status: Int
        /// "client", "policy", "tunnel", "backend" or "internal".
        package var source: String
        package var phase: String
        package var cause: String
        /// "cloud-connector" or "connectivity-service".
        package var side: String

        package init(
            time: Int,
            subaccount: String,
            locationID: String,
            method: String,
            target: String,
            status: Int,
            source: String,
            phase: String,
            cause: String,
            side: String
        ) {
            self.time = time
            self.subaccount = subaccount
            self.locationID = locationID
            self.method = method
            self.target = target
            self.status = status
            self.source = source
            self.phase = phase
            self.cause = cause
            self.side = side
        }

        fileprivate func isSame(as other: Entry) -> Bool {
            subaccount == other.subaccount && locationID == other.locationID && method == other.method
                && target == other.target && cause == other.cause && phase == other.phase
        }
    }

    private let entries = Mutex<[Entry]>([])

    package init() {}

    /// The latest first.
    package var all: [Entry] { entries.withLock { $0 } }

    package func record(_ entry: Entry) {
        entries.withLock { entries in
            var entry = entry
            if let index = entries.firstIndex(where: { $0.isSame(as: entry) }) {
                entry.count += entries.remove(at: index).count
            }
            entries.insert(entry, at: 0)
            if entries.count > Self.limit { entries.removeLast() }
        }
    }
}

/// What a `Proxy-Status` field of ours says (`Refusal.proxyStatusField`).
package struct RefusalReport: Sendable, Equatable {
    package var side: String
    package var source: String
    package var phase: String
    package var cause: String

    init(side: String, source: String, phase: String, cause: String) {
        (self.side, self.source, self.phase, self.cause) = (side, source, phase, cause)
    }

    /// - Returns: nil for a field that neither side of ours has written.
    package init?(proxyStatus text: String) {
        guard let semicolon = text.firstIndex(of: ";"), let details = text.firstRange(of: "details=\"source=") else {
            return nil
        }
        side = String(text[..<semicolon])
        guard ["cloud-connector", "connectivity-service"].contains(side) else { return nil }
        let rest = text[details.upperBound...]
        guard let space = rest.firstIndex(of: " "), let colon = rest.firstRange(of: ": "), text.hasSuffix("\"") else {
            return nil
        }
        source = String(rest[..<space])
        guard space < colon.lowerBound, rest[space...].hasPrefix(" phase=") else { return nil }
        phase = String(rest[rest.index(space, offsetBy: 7)..<colon.lowerBound])
        cause = ""
        var isEscaped = false
        for character in rest[colon.upperBound...].dropLast() {
            if character == "\\", !isEscaped {
                isEscaped = true
            } else {
                cause.append(character)
                isEscaped = false
            }
        }
    }
}
