/// The fields a proxy must know by name; all others pass.
///
/// A name is recognised with "_" read as "-", because CGI and its heirs cannot tell the two apart: a twin such as
/// `Content_Length` is never forwarded.
package enum KnownField: Sendable {
    case other
    // Framing and routing.
    case host, contentLength, transferEncoding, trailer, te, upgrade, expect
    // Hop-by-hop (RFC 9110 section 7.6.1).
    case connection, keepAlive, proxy
    case http2Settings
    // Ours and SAP's, consumed here.
    case locationID, proxyAuthorization, userToken, technicalUserToken, sapConnectivity, pin, upgradeRequest, timing
    // Names that could talk a server past the policy, or that only we may set.
    case originalURL, forwarded, forwardedHost, clientCertificate
    // Fields that are looked at and passed on.
    case authorization, wwwAuthenticate, location, setCookie, cookie, requestID, traceParent
    // Passed on; never in a trailer (RFC 9110 section 6.5.1).
    case neverTrailer

    /// Whether the field may travel from a client to an internal host.
    package var isForwardedInRequest: Bool {
        switch self {
        case .other, .contentLength, .expect, .authorization, .cookie, .location, .requestID, .wwwAuthenticate,
            .setCookie, .neverTrailer, .traceParent:
            true
        default: false
        }
    }

    /// Whether the field may travel from an internal host to a client.
    package var isForwardedInResponse: Bool {
        switch self {
        case .connection, .keepAlive, .transferEncoding, .te, .trailer, .upgrade, .http2Settings, .pin,
            .upgradeRequest, .timing, .proxyAuthorization:
            false
        default: true
        }
    }

    /// Whether the field says who sends a request to the connectivity proxy.
    package var isCredential: Bool {
        switch self {
        case .proxyAuthorization, .userToken, .technicalUserToken: true
        default: false
        }
    }

    package var isForwardedInTrailers: Bool { self == .other || self == .requestID }

    /// Recognises `name`, in whatever case.
    ///
    /// - Returns: the field, and whether the name was spelled with an underscore.
    package static func identify(_ name: UnsafeRawBufferPointer) -> (field: KnownField, hasUnderscore: Bool) {
        guard let first = name.first else { return (.other, false) }
        switch first | 0x20 {
        case UInt8(ascii: "a"):
            return match(name, "authorization", .authorization)
        case UInt8(ascii: "c"):
            switch name.count {
            case 6: return match(name, "cookie", .cookie)
            case 10: return match(name, "connection", .connection)
            case 12: return match(name, "content-type", .neverTrailer)
            case 14: return match(name, "content-length", .contentLength)
            case 13: return match(name, "content-range", .neverTrailer, or: "cache-control", .neverTrailer)
            case 16: return match(name, "content-encoding", .neverTrailer)
            default: return (.other, false)
            }
        case UInt8(ascii: "e"): return match(name, "expect", .expect)
        case UInt8(ascii: "f"): return match(name, "forwarded", .forwarded)
        case UInt8(ascii: "h"): return match(name, "host", .host, or: "http2-settings", .http2Settings)
        case UInt8(ascii: "k"): return match(name, "keep-alive", .keepAlive)
        case UInt8(ascii: "l"): return match(name, "location", .location)
        case UInt8(ascii: "m"): return match(name, "max-forwards", .neverTrailer)
        case UInt8(ascii: "p"):
            if name.count == 5 { return match(name, "proxy", .proxy) }
            if name.count == 19 {
                let authorization = match(name, "proxy-authorization", .proxyAuthorization)
                if authorization.field != .other { return authorization }
            }
            return matchPrefix(name, "proxy-", .proxy)
        case UInt8(ascii: "r"): return match(name, "range", .neverTrailer)
        case UInt8(ascii: "s"): return identifyS(name)
        case UInt8(ascii: "t"):
            switch name.count {
            case 2: return match(name, "te", .te)
            case 7: return match(name, "trailer", .trailer)
            case 11: return match(name, "traceparent", .traceParent)
            case 17: return match(name, "transfer-encoding", .transferEncoding)
            default: return (.other, false)
            }
        case UInt8(ascii: "u"): return match(name, "upgrade", .upgrade)
        case UInt8(ascii: "w"): return match(name, "www-authenticate", .wwwAuthenticate)
        case UInt8(ascii: "x"): return identifyX(name)
        default: return (.other, false)
        }
    }

    private static func identifyS(_ name: UnsafeRawBufferPointer) -> (field: KnownField, hasUnderscore: Bool) {
        if name.count == 10 { return match(name, "set-cookie", .setCookie) }
        guard name.count > 10 else { return (.other, false) }
        let certificate = matchPrefix(name, "ssl-client-", .clientCertificate)
        if certificate.field != .other { return certificate }
        switch name.count {
        case 20:
            let pin = match(name, "sap-connectivity-pin", .pin)
            if pin.field != .other { return pin }
        case 21:
            let timing = match(name, "sap-connectivity-time", .timing)
            if timing.field != .other { return timing }
        case 24:
            let upgrade = match(name, "sap-connectivity-upgrade", .upgradeRequest)
            if upgrade.field != .other { return upgrade }
        case 31:
            let user = match(name, "sap-connectivity-authentication", .userToken)
            if user.field != .other { return user }
        case 41:
            let user = match(name, "sap-connectivity-technical-authentication", .technicalUserToken)
            if user.field != .other { return user }
        case 32:
            let location = match(name, "sap-connectivity-scc-location-id", .locationID)
            if location.field != .other { return location }
        default: break
        }
        let connectivity = matchPrefix(name, "sap-connectivity-", .sapConnectivity)
        if connectivity.field != .other { return connectivity }
        return matchPrefix(name, "sap-cp-connectivity-", .sapConnectivity)
    }

    private static func identifyX(_ name: UnsafeRawBufferPointer) -> (field: KnownField, hasUnderscore: Bool) {
        switch name.count {
        case 12: return match(name, "x-request-id", .requestID)
        case 13: return match(name, "x-rewrite-url", .originalURL)
        case 14: return match(name, "x-original-url", .originalURL)
        case 16:
            let host = match(name, "x-forwarded-host", .forwardedHost)
            if host.field != .other { return host }
        default: break
        }
        return matchPrefix(name, "x-forwarded-", .forwarded)
    }

    @inline(__always)
    private static func match(
        _ name: UnsafeRawBufferPointer,
        _ expected: StaticString,
        _ field: KnownField
    ) -> (field: KnownField, hasUnderscore: Bool) {
        name.count == expected.utf8CodeUnitCount ? matchPrefix(name, expected, field) : (.other, false)
    }

    @inline(__always)
    private static func match(
        _ name: UnsafeRawBufferPointer,
        _ expected: StaticString,
        _ field: KnownField,
        or other: StaticString,
        _ otherField: KnownField
    ) -> (field: KnownField, hasUnderscore: Bool) {
        let first = match(name, expected, field)
        return first.field != .other ? first : match(name, other, otherField)
    }

    private static func matchPrefix(
        _ name: UnsafeRawBufferPointer,
        _ expected: StaticString,
        _ field: KnownField
    ) -> (field: KnownField, hasUnderscore: Bool) {
        let expected = expected.octets
        guard name.count >= expected.count else { return (.other, false) }
        var index = 0
        // Eight at a time while they agree; what differs may do so by an underscore only.
        while index + 8 <= expected.count,
            Octets.lowercased(name.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                == expected.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        {
            index += 8
        }
        var hasUnderscore = false
        while index < expected.count {
            var octet = Octets.lowercased(name[index])
            if octet == UInt8(ascii: "_") {
                octet = UInt8(ascii: "-")
                hasUnderscore = true
            }
            if octet != expected[index] { return (.other, false) }
            index += 1
        }
        return (field, hasUnderscore)
    }
}
