internal import AccessPolicy
internal import Cryptography
internal import Logging
internal import NIOCore
internal import TextFormats
internal import TunnelCore

/// CONNECT, for clients that know no other way through a proxy: WebSocket libraries, browsers for `ws:`, fetch of Node.
///
/// What comes after it is HTTP all the same, request by request, and each is decided on as one that came without CONNECT. A
/// client that begins TLS cannot be served: nobody could see its paths.
extension ProxyConnection {
    /// What a CONNECT has said for all requests that follow it.
    struct Inside {
        /// Host and port as they came.
        var authority: [UInt8]
        var locationID: [UInt8]
        /// Who it came from: for requests that do not say it themselves.
        var principal: ConnectionPrincipal
    }

    /// Whether the head that is parsed is one, and CONNECT is taken here.
    func isConnect(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard loop.configuration.connect == .http, inside == nil else { return false }
        return unsafe Bytes.isExactly(slice(bytes, parser.method), "CONNECT")
    }

    /// Takes the client's word for whom it wants to reach, and who it is.
    func openInside() {
        let bytes = inbound
        do throws(Refusal) {
            inside = try unsafe bytes.withUnsafeReadableBytes { (bytes) throws(Refusal) in try unsafe connect(bytes) }
        } catch {
            return refuse(error)
        }
        exchange.isOpen = false
        endSpan(200)
        loop.recent.update(exchange.recent) { entry in
            (entry.id, entry.group, entry.ended, entry.status) = (exchange.id, group, .now(), 200)
        }
        output.write("HTTP/1.1 200 Connection established\r\n\r\n")
        flushOutput()
        beginNext()
    }

    private func connect(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> Inside {
        let target = unsafe slice(bytes, parser.target)
        do throws(RequestTargetError) {
            _ = try unsafe RequestAuthority(target.assumingMemoryBound(to: UInt8.self).span, in: 0..<target.count)
        } catch {
            throw Refusal(badRequest: error.rawValue)
        }
        let framing: HTTP1HeadParser.RequestFraming
        do throws(HTTP1Error) { framing = try unsafe parser.requestFraming(bytes) } catch {
            throw Refusal(error, loop.configuration.limits)
        }
        guard framing.body == .none else { throw Refusal(badRequest: "CONNECT has no body") }
        exchange.isKeptAlive = true
        loop.fields.removeAll()
        try unsafe appendFields(bytes, framing)
        try unsafe checkBinding(target)
        return unsafe Inside(authority: Array(target), locationID: groupLocationID, principal: principal)
    }

    /// The authority of a request after CONNECT, which is that of CONNECT. A request that names another one is refused: one
    /// of the two would be wrong.
    func authorityInside(_ inside: Inside, named: UnsafeRawBufferPointer) throws(Refusal) {
        let isSame = unsafe inside.authority.withUnsafeBytes { unsafe Self.sameSystem($0, named) }
        guard isSame else {
            throw Refusal(
                badRequest: "the request is for another host or port than the CONNECT before it, "
                    + LogText.escaped(inside.authority)
            )
        }
    }

    /// WebSocket clients ask for CONNECT also where the URL begins with ws:// (RFC 6455 section 4.1).
    static let connectRefusal = Refusal(
        status: 405,
        source: .client,
        phase: .request,
        cause: "CONNECT is not taken (proxy.connect is refuse)",
        proxyStatus: "http_request_denied",
        text:
            "CONNECT is not supported. HTTPS proxying: use http:// in the URL, also where the internal system speaks HTTPS. "
            + "WebSocket: send the handshake as other requests are sent to a proxy (GET http://host/path), or let the operator "
            + "set proxy.connect: http. TCP systems are reached through the SOCKS5 port."
    )

    static let httpsRefusal = Refusal(
        status: 405,
        source: .client,
        phase: .request,
        cause: "HTTPS proxying is not supported",
        proxyStatus: "http_request_denied",
        text: "HTTPS proxying is not supported: use http:// in the URL, also where the internal system speaks HTTPS."
    )
}
