/// Who is at fault where we answer ourselves.
package enum RefusalSource: String, Sendable, Codable { case client, policy, tunnel, backend, `internal` }

/// What was being done when it failed.
package enum RefusalPhase: String, Sendable, Codable {
    case request, system, resource, principal, upgrade, tunnel, connect, tls, send, responseHead = "response-head"
    case responseBody = "response-body"
}

/// What a `Proxy-Status` field of ours says (`Refusal.proxyStatusField`).
package struct RefusalReport: Sendable, Equatable {
    package var side: String
    package var source: RefusalSource
    package var phase: RefusalPhase
    /// A token of RFC 9209 section 2.3, the same in logs and metrics.
    package var error: String
    package var cause: String

    package init(side: String, source: RefusalSource, phase: RefusalPhase, error: String, cause: String) {
        (self.side, self.source, self.phase) = (side, source, phase)
        (self.error, self.cause) = (error, cause)
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
        guard let source = RefusalSource(rawValue: String(rest[..<space])) else { return nil }
        self.source = source
        guard space < colon.lowerBound, rest[space...].hasPrefix(" phase=") else { return nil }
        let name = String(rest[rest.index(space, offsetBy: 7)..<colon.lowerBound])
        guard let phase = RefusalPhase(rawValue: name) else { return nil }
        self.phase = phase
        error = text.firstRange(of: "; error=").map { String(text[$0.upperBound...].prefix { $0 != ";" }) } ?? ""
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
