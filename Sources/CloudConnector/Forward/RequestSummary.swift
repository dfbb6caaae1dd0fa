internal import ControlProtocol
internal import TunnelCore

/// What the connector looks at in a request before it decides. Pointers are valid as long as the field block.
@safe struct RequestSummary {
    var method = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    var authority = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    var path = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    var hasContentLength = false
    /// WebSocket, as an extended CONNECT (RFC 8441 section 4).
    var isWebSocket = false
    /// A client wants to switch to WebSocket, but its handshake is not one.
    var isBrokenUpgrade = false
    var isUpgrade: Bool { isWebSocket || isBrokenUpgrade }
    var hasConnectionAuthentication = false
    var pin: String?
    /// The tokens of the user, or of an application in a user's place; with their scheme.
    var user = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    var technicalUser = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// Whether the request comes for somebody, even if it does not say for whom.
    var hasUser = false
    /// The service's ID for it.
    var tag = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// The service wants to know how long the internal host took.
    var wantsTimes = false
    var traceParent = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// CONNECT for a TCP system: no `:protocol`, `:path` or `:scheme` (RFC 9113 section 8.5).
    var isConnect: Bool { unsafe !hasProtocol && path.isEmpty && Bytes.isExactly(method, "CONNECT") }
    /// Extended CONNECT (RFC 8441).
    var hasProtocol = false
    /// Not a request at all, but the service's control stream. No client can ask for it: its requests come without
    /// `:protocol`.
    var isControl = false

    init(_ fields: FieldBlock) {
        for index in 0..<fields.count {
            switch fields.known(index) {
            case .other:
                let name = unsafe fields.name(index)
                guard unsafe name.first == UInt8(ascii: ":") else { continue }
                // nghttp2 lets each of these through once only, and before all other fields (RFC 9113 section 8.3).
                switch name.count {
                case 7: if unsafe name[1] == UInt8(ascii: "m") { unsafe method = fields.value(index) }
                case 10: unsafe authority = fields.value(index)
                case 5: unsafe path = fields.value(index)
                case 9:
                    hasProtocol = true
                    isControl = unsafe Bytes.equals(fields.value(index), ControlStream.protocol)
                    isWebSocket = unsafe Bytes.equals(fields.value(index), "websocket")
                default: break
                }
            case .host: if unsafe authority.isEmpty { unsafe authority = fields.value(index) }
            case .contentLength: hasContentLength = true
            case .upgradeRequest: isBrokenUpgrade = true
            case .authorization:
                hasConnectionAuthentication = unsafe ConnectionAuthentication.isUsed(fields.value(index))
            case .traceParent: unsafe traceParent = fields.value(index)
            case .userToken:
                hasUser = true
                unsafe user = fields.value(index)
            case .technicalUserToken:
                hasUser = true
                unsafe technicalUser = fields.value(index)
            case .requestTag: unsafe tag = fields.value(index)
            case .timing: wantsTimes = true
            case .pin: pin = unsafe String(decoding: fields.value(index), as: UTF8.self)
            default: break
            }
        }
    }
}

/// Authentication schemes that authenticate a connection instead of a request (RFC 4559 and MS-NTHT).
enum ConnectionAuthentication {
    /// - Parameter value: of `Authorization` or `WWW-Authenticate`.
    static func isUsed(_ value: UnsafeRawBufferPointer) -> Bool {
        unsafe isScheme(value, "ntlm") || isScheme(value, "negotiate")
    }

    private static func isScheme(_ value: UnsafeRawBufferPointer, _ scheme: StaticString) -> Bool {
        let length = scheme.utf8CodeUnitCount
        guard value.count >= length else { return false }
        for index in 0..<length where unsafe value[index] | 0x20 != scheme.utf8Start[index] { return false }
        return unsafe value.count == length || value[length] == UInt8(ascii: " ") || value[length] == UInt8(ascii: ",")
    }
}
