internal import AccessPolicy
internal import TunnelCore

/// Turns an internal host's response head into the fields that go back through the tunnel.
enum ResponseHead {
    /// Fills `connection.loop.fields`.
    static func write(
        _ parser: borrowing HTTP1HeadParser,
        _ octets: UnsafeRawBufferPointer,
        _ framing: HTTP1HeadParser.ResponseFraming,
        _ connection: UpstreamConnection,
        _ request: ForwardedRequest
    ) {
        let fields = connection.loop.fields
        fields.removeAll()
        fields.append(status: parser.status)
        var hasConnectionAuthentication = request.hasConnectionAuthentication
        for index in 0..<parser.fieldCount {
            let field = parser[index]
            // Proxy-* is between proxies; what travels back through the tunnel under that name is the connector's own.
            guard field.known.isForwardedInResponse, field.known != .proxy else { continue }
            // A second, equal Content-Length says nothing new, and HTTP/2 takes it for an error.
            if field.known == .contentLength, framing.contentLength == nil || fields.contains(.contentLength) {
                continue
            }
            if framing.nominatesFields, field.known == .other, parser.isNominated(field, octets) { continue }
            let name = UnsafeRawBufferPointer(rebasing: octets[field.name])
            let value = UnsafeRawBufferPointer(rebasing: octets[field.value])
            switch field.known {
            case .location:
                if let mapped = ReverseMapping.location(value, connection.system, connection.loop.policy) {
                    fields.append("location", mapped)
                    continue
                }
            case .setCookie:
                if let mapped = ReverseMapping.cookie(value, connection.loop.policy) {
                    fields.append("set-cookie", mapped)
                    continue
                }
            case .wwwAuthenticate:
                if ConnectionAuthentication.isUsed(value) { hasConnectionAuthentication = true }
            default: break
            }
            fields.append(name, value, known: field.known)
        }
        if hasConnectionAuthentication, framing.isKeptAlive, parser.status >= 200,
            let pin = connection.loop.pin(connection)
        {
            fields.append("sap-connectivity-pin", pin)
        }
        if parser.status >= 200, request.reportsTimes {
            fields.append(timing: request.connectTime / 1000, request.backendTime / 1000)
        }
    }
}

/// Puts the virtual host back where a response names the internal one.
///
/// Source: SAP Cloud Connector, "Configure Domain Mappings for Cookies", and the redirect rules beside it.
enum ReverseMapping {
    /// - Returns: the new value of `Location`, or nil where nothing is to be changed.
    static func location(_ value: UnsafeRawBufferPointer, _ system: SystemMapping, _ policy: AccessPolicy) -> String? {
        let text = String(decoding: value, as: UTF8.self)
        guard let (scheme, authority, rest) = split(text) else { return nil }
        let defaultPort: UInt16 = scheme == "https" ? 443 : 80
        guard let (host, port) = hostAndPort(authority, defaultPort) else { return nil }
        let target: SystemMapping
        if host == system.virtualHost, port == system.virtualPort {
            // A server that was told the virtual host, but speaks HTTPS: the scheme is ours to put right.
            guard scheme == "https" else { return nil }
            target = system
        } else if let mapped = policy.system(internalHost: host, internalPort: port) {
            target = host == system.internalHost.lowercased() && port == system.internalPort ? system : mapped
        } else {
            return nil
        }
        let port80 = target.virtualPort == 80
        return "http://" + (port80 ? target.virtualHost : target.virtualAddress) + rest
    }

    private static func split(_ url: String) -> (scheme: String, authority: Substring, rest: Substring)? {
        guard let border = url.firstRange(of: "://") else { return nil }
        let scheme = url[..<border.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else { return nil }
        let afterScheme = url[border.upperBound...]
        let end = afterScheme.firstIndex { "/?#".contains($0) } ?? afterScheme.endIndex
        return (scheme, afterScheme[..<end], afterScheme[end...])
    }

    private static func hostAndPort(_ authority: Substring, _ defaultPort: UInt16) -> (String, UInt16)? {
        guard !authority.contains("@") else { return nil }
        guard let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") else {
            return (authority.lowercased(), defaultPort)
        }
        let portText = authority[authority.index(after: colon)...]
        guard let port = portText.isEmpty ? defaultPort : UInt16(portText) else { return nil }
        return (authority[..<colon].lowercased(), port)
    }

    /// - Returns: the new value of `Set-Cookie`, or nil where nothing is to be changed.
    static func cookie(_ value: UnsafeRawBufferPointer, _ policy: AccessPolicy) -> String? {
        let text = String(decoding: value, as: UTF8.self)
        var attributes = text.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        var isChanged = false
        for index in attributes.indices.dropFirst() {
            let parts = attributes[index].split(separator: "=", maxSplits: 1)
            guard parts.count == 2, trimmed(parts[0]).lowercased() == "domain" else { continue }
            var domain = trimmed(parts[1]).lowercased()
            let dot = domain.hasPrefix(".") ? "." : ""
            domain.removeFirst(dot.count)
            guard let system = policy.system(internalHost: domain) else { continue }
            attributes[index] = "\(parts[0])=\(dot)\(system.virtualHost)"
            isChanged = true
        }
        return isChanged ? attributes.joined(separator: ";") : nil
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

extension FieldBlock {
    func contains(_ known: KnownField) -> Bool {
        for index in 0..<count where self.known(index) == known { return true }
        return false
    }
}
