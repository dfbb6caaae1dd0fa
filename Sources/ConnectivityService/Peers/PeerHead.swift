internal import Cryptography
internal import TextFormats
internal import TunnelCore

/// What two services say beside the fields of a request and its response.
enum PeerHead {
    /// Which connector the request is for, by the URI of its identity. It is the last field, so what a client sends under that name is one
    /// like any other.
    private static let connector: StaticString = "sap-connectivity-connector"

    struct Request {
        var connector: ConnectorIdentity
        /// The tunnel that the client's connection is bound to.
        var pinned: Int?
    }

    /// The fields of a request, and where it is to go.
    static func hand(_ fields: FieldBlock, to identity: ConnectorIdentity) -> FieldBlock {
        let copy = fields.copy()
        copy.append(connector, identity.uri)
        return copy
    }

    /// Takes apart what `hand` has put together.
    ///
    /// - Parameter target: gets what goes to the connector.
    /// - Returns: nil for what no service sends.
    static func read(_ fields: FieldBlock, into target: FieldBlock) -> Request? {
        let last = fields.count - 1
        guard last >= 0, unsafe Bytes.equals(fields.name(last), connector),
            let identity = unsafe ConnectorIdentity(uri: String(decoding: fields.value(last), as: UTF8.self))
        else { return nil }
        var request = Request(connector: identity)
        target.removeAll()
        for index in 0..<last {
            guard case .pin = fields.known(index), let pin = unsafe split(fields.value(index)) else {
                unsafe target.append(lowercase: fields.name(index), fields.value(index), known: fields.known(index))
                continue
            }
            request.pinned = unsafe pin.tunnel
            unsafe target.append(lowercase: fields.name(index), pin.rest, known: .pin)
        }
        return request
    }

    /// The fields of a response, with the tunnel that a connection is bound to from now on.
    ///
    /// - Parameter isSwitch: the connector knows RFC 8441 only, and has switched protocols.
    static func write(_ fields: FieldBlock, into target: FieldBlock, tunnel: Int, isSwitch: Bool) {
        target.removeAll()
        for index in 0..<fields.count {
            guard case .pin = fields.known(index) else {
                unsafe target.append(lowercase: fields.name(index), fields.value(index), known: fields.known(index))
                continue
            }
            let value = unsafe Array("\(tunnel).".utf8) + Array(fields.value(index))
            unsafe value.withUnsafeBytes {
                unsafe target.append(lowercase: fields.name(index), $0, known: .pin)
            }
        }
        if isSwitch { target.append("sap-connectivity-upgrade", "websocket") }
    }

    private static func split(_ value: UnsafeRawBufferPointer) -> (tunnel: Int, rest: UnsafeRawBufferPointer)? {
        guard let dot = unsafe value.firstIndex(of: UInt8(ascii: ".")), dot <= 18,
            let tunnel = unsafe Int(String(decoding: value[..<dot], as: UTF8.self)), tunnel > 0
        else { return nil }
        return unsafe (tunnel, UnsafeRawBufferPointer(rebasing: value[(dot + 1)...]))
    }
}
