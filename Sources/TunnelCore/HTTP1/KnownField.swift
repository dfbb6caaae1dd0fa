internal import TextFormats

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
    case http2Settings, webSocketKey, webSocketAccept
    // Ours and SAP's, consumed here.
    case locationID, proxyAuthorization, userToken, technicalUserToken, sapConnectivity, pin, upgradeRequest, timing,
        reason, requestTag
    // Names that could talk a server past the policy, or that only we may set.
    case originalURL, forwarded, forwardedHost, clientCertificate
    // Fields that are looked at and passed on.
    case authorization, wwwAuthenticate, location, contentLocation, refresh, setCookie, cookie, requestID,
        correlationID, traceParent
    // Passed on; never in a trailer (RFC 9110 section 6.5.1).
    case neverTrailer

    /// Whether the field may travel from a client to an internal host.
    package var isForwardedInRequest: Bool {
        switch self {
        case .other, .contentLength, .expect, .authorization, .cookie, .location, .contentLocation, .refresh,
            .requestID, .correlationID, .wwwAuthenticate,
            .setCookie, .neverTrailer, .traceParent:
            true
        default: false
        }
    }

    /// Whether the field may travel from an internal host to a client.
    package var isForwardedInResponse: Bool {
        switch self {
        case .connection, .keepAlive, .transferEncoding, .te, .trailer, .upgrade, .http2Settings, .webSocketAccept,
            .pin,
            .upgradeRequest, .timing, .reason, .requestTag, .proxyAuthorization, .sapConnectivity, .userToken,
            .technicalUserToken,
            .locationID:
            false
        default: true
        }
    }

    /// Whether the field tells an internal host of clients and hosts before the program: it travels to those systems whose
    /// mapping says that they may believe it.
    package var tellsOfProxies: Bool { self == .forwarded || self == .forwardedHost }

    /// Whether the field says who sends a request to the connectivity proxy.
    package var isCredential: Bool {
        switch self {
        case .proxyAuthorization, .userToken, .technicalUserToken: true
        default: false
        }
    }

    package var isForwardedInTrailers: Bool { self == .other || self == .requestID || self == .correlationID }

    /// Recognises `name`, in whatever case.
    ///
    /// - Returns: the field, and whether the name was spelled with an underscore.
    package static func identify(_ name: UnsafeRawBufferPointer) -> (field: KnownField, hasUnderscore: Bool) {
        guard let first = unsafe name.first else { return (.other, false) }
        switch first | 0x20 {
        case UInt8(ascii: "a"):
            return unsafe match(name, "authorization", .authorization)
        case UInt8(ascii: "c"):
            switch name.count {
            case 6: return unsafe match(name, "cookie", .cookie)
            case 10: return unsafe match(name, "connection", .connection)
            case 11: return unsafe match(name, "client-cert", .clientCertificate)
            case 17: return unsafe match(name, "client-cert-chain", .clientCertificate)
            case 12: return unsafe match(name, "content-type", .neverTrailer)
            case 14: return unsafe match(name, "content-length", .contentLength)
            case 13: return unsafe match(name, "content-range", .neverTrailer, or: "cache-control", .neverTrailer)
            case 16:
                return unsafe match(
                    name,
                    "content-encoding",
                    .neverTrailer,
                    or: "content-location",
                    .contentLocation
                )
            default: return (.other, false)
            }
        case UInt8(ascii: "e"): return unsafe match(name, "expect", .expect)
        case UInt8(ascii: "f"): return unsafe match(name, "forwarded", .forwarded)
        case UInt8(ascii: "h"): return unsafe match(name, "host", .host, or: "http2-settings", .http2Settings)
        case UInt8(ascii: "k"): return unsafe match(name, "keep-alive", .keepAlive)
        case UInt8(ascii: "l"): return unsafe match(name, "location", .location)
        case UInt8(ascii: "m"): return unsafe match(name, "max-forwards", .neverTrailer)
        case UInt8(ascii: "p"):
            if name.count == 5 { return unsafe match(name, "proxy", .proxy) }
            if name.count == 19 {
                let authorization = unsafe match(name, "proxy-authorization", .proxyAuthorization)
                if authorization.field != .other { return authorization }
            }
            return unsafe matchPrefix(name, "proxy-", .proxy)
        case UInt8(ascii: "r"): return unsafe match(name, "range", .neverTrailer, or: "refresh", .refresh)
        case UInt8(ascii: "s"): return unsafe identifyS(name)
        case UInt8(ascii: "t"):
            switch name.count {
            case 2: return unsafe match(name, "te", .te)
            case 7: return unsafe match(name, "trailer", .trailer)
            case 11: return unsafe match(name, "traceparent", .traceParent)
            case 17: return unsafe match(name, "transfer-encoding", .transferEncoding)
            default: return (.other, false)
            }
        case UInt8(ascii: "u"): return unsafe match(name, "upgrade", .upgrade)
        case UInt8(ascii: "w"): return unsafe match(name, "www-authenticate", .wwwAuthenticate)
        case UInt8(ascii: "x"): return unsafe identifyX(name)
        default: return (.other, false)
        }
    }

    private static func identifyS(_ name: UnsafeRawBufferPointer) -> (field: KnownField, hasUnderscore: Bool) {
        if name.count == 10 { return unsafe match(name, "set-cookie", .setCookie) }
        guard name.count > 10 else { return (.other, false) }
        if unsafe name[1] | 0x20 == UInt8(ascii: "s") {
            let client = unsafe matchPrefix(name, "ssl-client-", .clientCertificate)
            return unsafe client.field == .other ? matchPrefix(name, "ssl-cipher-", .clientCertificate) : client
        }
        switch name.count {
        case 17: return unsafe match(name, "sec-websocket-key", .webSocketKey)
        case 20:
            let accept = unsafe match(name, "sec-websocket-accept", .webSocketAccept)
            if accept.field != .other { return accept }
            let pin = unsafe match(name, "sap-connectivity-pin", .pin)
            if pin.field != .other { return pin }
        case 21:
            let timing = unsafe match(name, "sap-connectivity-time", .timing)
            if timing.field != .other { return timing }
        case 23:
            let reason = unsafe match(name, "sap-connectivity-reason", .reason)
            if reason.field != .other { return reason }
        case 27:
            let tag = unsafe match(name, "sap-connectivity-request-id", .requestTag)
            if tag.field != .other { return tag }
        case 24:
            let upgrade = unsafe match(name, "sap-connectivity-upgrade", .upgradeRequest)
            if upgrade.field != .other { return upgrade }
        case 31:
            let user = unsafe match(name, "sap-connectivity-authentication", .userToken)
            if user.field != .other { return user }
        case 41:
            let user = unsafe match(name, "sap-connectivity-technical-authentication", .technicalUserToken)
            if user.field != .other { return user }
        case 32:
            let location = unsafe match(name, "sap-connectivity-scc-location-id", .locationID)
            if location.field != .other { return location }
        default: break
        }
        let connectivity = unsafe matchPrefix(name, "sap-connectivity-", .sapConnectivity)
        if connectivity.field != .other { return connectivity }
        return unsafe matchPrefix(name, "sap-cp-connectivity-", .sapConnectivity)
    }

    private static func identifyX(_ name: UnsafeRawBufferPointer) -> (field: KnownField, hasUnderscore: Bool) {
        switch name.count {
        case 12: return unsafe match(name, "x-request-id", .requestID)
        case 13: return unsafe match(name, "x-rewrite-url", .originalURL)
        case 14: return unsafe match(name, "x-original-url", .originalURL)
        case 15:
            let correlation = unsafe match(name, "x-correlationid", .correlationID)
            if correlation.field != .other { return correlation }
        case 16:
            let host = unsafe match(name, "x-forwarded-host", .forwardedHost, or: "x-correlation-id", .correlationID)
            if host.field != .other { return host }
        default: break
        }
        if name.count == 23 {
            let certificate = unsafe match(name, "x-forwarded-client-cert", .clientCertificate)
            if certificate.field != .other { return certificate }
        }
        return unsafe matchPrefix(name, "x-forwarded-", .forwarded)
    }

    @inline(__always)
    private static func match(
        _ name: UnsafeRawBufferPointer,
        _ expected: StaticString,
        _ field: KnownField
    ) -> (field: KnownField, hasUnderscore: Bool) {
        unsafe name.count == expected.utf8CodeUnitCount ? matchPrefix(name, expected, field) : (.other, false)
    }

    @inline(__always)
    private static func match(
        _ name: UnsafeRawBufferPointer,
        _ expected: StaticString,
        _ field: KnownField,
        or other: StaticString,
        _ otherField: KnownField
    ) -> (field: KnownField, hasUnderscore: Bool) {
        let first = unsafe match(name, expected, field)
        return unsafe first.field != .other ? first : match(name, other, otherField)
    }

    private static func matchPrefix(
        _ name: UnsafeRawBufferPointer,
        _ expected: StaticString,
        _ field: KnownField
    ) -> (field: KnownField, hasUnderscore: Bool) {
        let expected = unsafe expected.bytes
        guard name.count >= expected.count else { return (.other, false) }
        var index = 0
        // Eight at a time while they agree; what differs may do so by an underscore only.
        while index + 8 <= expected.count,
            unsafe Bytes.lowercased(name.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                == expected.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        {
            index += 8
        }
        // The last eight overlap with those before, and are one look instead of up to seven.
        let last = expected.count - 8
        if last >= 0, index > last,
            unsafe Bytes.lowercased(name.loadUnaligned(fromByteOffset: last, as: UInt64.self))
                == expected.loadUnaligned(fromByteOffset: last, as: UInt64.self)
        {
            return (field, false)
        }
        var hasUnderscore = false
        while index < expected.count {
            var byte = unsafe Bytes.lowercased(name[index])
            if byte == UInt8(ascii: "_") {
                byte = UInt8(ascii: "-")
                hasUnderscore = true
            }
            if unsafe byte != expected[index] { return (.other, false) }
            index += 1
        }
        return (field, hasUnderscore)
    }
}
