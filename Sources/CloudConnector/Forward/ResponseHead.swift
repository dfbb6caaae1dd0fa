internal import AccessPolicy
internal import TextFormats
internal import TunnelCore

/// Turns an internal host's response head into the fields that go back through the tunnel.
enum ResponseHead {
    /// Fills `connection.loop.fields`.
    static func write(
        _ parser: borrowing HTTP1HeadParser,
        _ bytes: UnsafeRawBufferPointer,
        _ framing: HTTP1HeadParser.ResponseFraming,
        _ connection: UpstreamConnection,
        _ request: any ResponseReceiver
    ) {
        let fields = connection.loop.fields
        fields.removeAll()
        // What the internal host calls switching is a success of CONNECT (RFC 8441 section 5).
        let isSwitch = parser.status == 101
        fields.append(status: isSwitch ? 200 : parser.status)
        if isSwitch { fields.append("sap-connectivity-upgrade", "websocket") }
        if !isSwitch, let reason = unsafe ownReason(parser, bytes) {
            unsafe fields.append("sap-connectivity-reason", reason)
        }
        var hasConnectionAuthentication = request.hasConnectionAuthentication
        for index in 0..<parser.fieldCount {
            let field = parser[index]
            // Proxy-* is between proxies; what travels back through the tunnel under that name is the connector's own.
            guard field.known.isForwardedInResponse, field.known != .proxy else { continue }
            // What has an underscore is not what it looks like; a second, equal length says nothing new, and HTTP/2 takes it
            // for an error.
            if field.known == .contentLength,
                field.hasUnderscore || framing.contentLength == nil || fields.contains(.contentLength)
            {
                continue
            }
            if framing.nominatesFields, field.known == .other, unsafe parser.isNominated(field, bytes) { continue }
            let name = unsafe UnsafeRawBufferPointer(rebasing: bytes[field.name])
            let value = unsafe UnsafeRawBufferPointer(rebasing: bytes[field.value])
            if field.known == .contentLength, let length = framing.contentLength {
                fields.append("content-length", length)
                continue
            }
            // A user's connection is that user's already.
            if field.known == .wwwAuthenticate, connection.owner == nil, unsafe ConnectionAuthentication.isUsed(value) {
                hasConnectionAuthentication = true
            }
            if field.known.mayNameInternalHost, let mapped = unsafe mapped(field, value, connection) {
                fields.append(mapped.name, mapped.value)
            } else if field.isFolded {
                unsafe fields.append(folded: name, value, known: field.known)
            } else {
                unsafe fields.append(name, value, known: field.known)
            }
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

extension ResponseHead {
    /// The reason, where the far end cannot know it: HTTP/2 carries the code only.
    private static func ownReason(
        _ parser: borrowing HTTP1HeadParser,
        _ bytes: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        let reason = unsafe Bytes.trimmed(UnsafeRawBufferPointer(rebasing: bytes[parser.reason]))
        guard unsafe !reason.isEmpty, reason.count <= 256 else { return nil }
        return unsafe Bytes.isExactly(reason, ReasonPhrase.of(Int(parser.status))) ? nil : reason
    }

    /// The field with the virtual host in it instead of the internal one, where there is one.
    private static func mapped(
        _ field: HTTP1HeadParser.Field,
        _ value: UnsafeRawBufferPointer,
        _ connection: UpstreamConnection
    ) -> (name: StaticString, value: String)? {
        let (system, policy) = (connection.system, connection.loop.policy)
        var name: StaticString = "location"
        switch field.known {
        case .location: break
        case .contentLocation: name = "content-location"
        case .refresh: name = "refresh"
        case .setCookie: name = "set-cookie"
        default: return nil
        }
        var text = unsafe String(decoding: value, as: UTF8.self)
        if field.isFolded { text = String(decoding: text.utf8.map { $0 == 13 || $0 == 10 ? 32 : $0 }, as: UTF8.self) }
        let mapped =
            switch field.known {
            case .setCookie: ReverseMapping.cookie(text, system, policy)
            case .refresh: ReverseMapping.refresh(text, system, policy)
            default: ReverseMapping.location(text, system, policy)
            }
        return mapped.map { (name, $0) }
    }
}

/// Puts the virtual host back where a response names the internal one.
///
/// Source: SAP Cloud Connector, "Configure Domain Mappings for Cookies", and the redirect rules beside it.
enum ReverseMapping {
    /// - Returns: the new value of `Location` or `Content-Location`, or nil where nothing is to be changed.
    static func location(_ text: String, _ system: SystemMapping, _ policy: AccessPolicy) -> String? {
        guard let (scheme, authority, rest) = split(text) else { return nil }
        // Without a scheme it is the one by which the internal host was asked (RFC 3986 section 5.2.2).
        let isTLS = scheme.map { $0 == "https" } ?? system.protocol.isTLS
        guard let (host, port) = hostAndPort(authority, isTLS ? 443 : 80) else { return nil }
        let target: SystemMapping
        if host == system.virtualHost, port == system.virtualPort {
            // A server that was told the virtual host, but speaks HTTPS: the scheme is ours to put right.
            guard scheme == "https" else { return nil }
            target = system
        } else if host == system.internalHost.lowercased(), port == system.internalPort {
            target = system
        } else if let mapped = policy.system(internalHost: host, internalPort: port) {
            target = mapped
        } else {
            return nil
        }
        let port80 = target.virtualPort == 80
        return (scheme == nil ? "//" : "http://") + (port80 ? target.virtualHost : target.virtualAddress) + rest
    }

    /// `Refresh: 5; url=http://internal/next`, as browsers have it; the URL may be in quotes.
    static func refresh(_ text: String, _ system: SystemMapping, _ policy: AccessPolicy) -> String? {
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")),
            text[..<equals].lowercased().hasSuffix("url")
        else { return nil }
        let start = text.index(after: equals)
        let url = text[start...].drop { $0 == " " || $0 == "\"" || $0 == "'" }
        let end = url.lastIndex { $0 != " " && $0 != "\"" && $0 != "'" }.map { url.index(after: $0) } ?? url.endIndex
        guard let mapped = location(String(url[..<end]), system, policy) else { return nil }
        return text[..<url.startIndex] + mapped + text[end...]
    }

    /// `//host` has no scheme.
    private static func split(_ url: String) -> (scheme: String?, authority: Substring, rest: Substring)? {
        var scheme: String?
        var afterScheme = url[...]
        if url.hasPrefix("//") {
            afterScheme = url.dropFirst(2)
        } else {
            guard let border = url.firstRange(of: "://") else { return nil }
            scheme = url[..<border.lowerBound].lowercased()
            guard scheme == "http" || scheme == "https" else { return nil }
            afterScheme = url[border.upperBound...]
        }
        let end = afterScheme.firstIndex { "/?#".contains($0) } ?? afterScheme.endIndex
        return (scheme, afterScheme[..<end], afterScheme[end...])
    }

    private static func hostAndPort(_ authority: Substring, _ defaultPort: UInt16) -> (String, UInt16)? {
        let text = authority.hasSuffix(":") ? authority.dropLast() : authority
        guard !text.contains("@"), let (host, port) = HostPort.parse(String(text)) else { return nil }
        guard let port else { return (host.lowercased(), defaultPort) }
        return UInt16(exactly: port).map { (host.lowercased(), $0) }
    }

    /// - Returns: the new value of `Set-Cookie`, or nil where nothing is to be changed.
    static func cookie(_ text: String, _ system: SystemMapping, _ policy: AccessPolicy) -> String? {
        var attributes = text.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        var isChanged = false
        for index in attributes.indices.dropFirst() {
            let parts = attributes[index].split(separator: "=", maxSplits: 1)
            guard parts.count == 2, trimmed(parts[0]).lowercased() == "domain" else { continue }
            var domain = trimmed(parts[1]).lowercased()
            let dot = domain.hasPrefix(".") ? "." : ""
            domain.removeFirst(dot.count)
            // What an administrator says comes before what mappings suggest.
            if let named = policy.cookieDomains.first(where: { $0.internalDomain == domain }) {
                attributes[index] = "\(parts[0])=\(dot)\(named.virtualDomain)"
                isChanged = true
                continue
            }
            // The system that was called, before others on the same host: a client takes no cookie for another host than
            // the one it asked (RFC 6265 section 5.3).
            let own = domain == system.internalHost.lowercased() ? system : nil
            guard let target = own ?? policy.system(internalHost: domain) else { continue }
            attributes[index] = "\(parts[0])=\(dot)\(target.virtualHost)"
            isChanged = true
        }
        return isChanged ? attributes.joined(separator: ";") : nil
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

extension KnownField {
    fileprivate var mayNameInternalHost: Bool {
        switch self {
        case .location, .contentLocation, .refresh, .setCookie: true
        default: false
        }
    }
}
