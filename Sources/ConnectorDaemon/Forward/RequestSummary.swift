internal import ControlProtocol
internal import TunnelCore

/// What the connector looks at in a request before it decides. Pointers are valid as long as the field block.
struct RequestSummary {
    var method = UnsafeRawBufferPointer(start: nil, count: 0)
    var authority = UnsafeRawBufferPointer(start: nil, count: 0)
    var path = UnsafeRawBufferPointer(start: nil, count: 0)
    var hasContentLength = false
    var isUpgrade = false
    var hasConnectionAuthentication = false
    var pin: String?
    var traceParent = UnsafeRawBufferPointer(start: nil, count: 0)
    /// CONNECT for a TCP system: no `:protocol`, `:path` or `:scheme` (RFC 9113 section 8.5).
    var isConnect: Bool { !hasProtocol && path.isEmpty && Octets.isExactly(method, "CONNECT") }
    /// Extended CONNECT (RFC 8441).
    var hasProtocol = false
    /// Not a request at all, but the service's control stream. No client can ask for it: its requests come without
    /// `:protocol`.
    var isControl = false

    init(_ fields: FieldBlock) {
        for index in 0..<fields.count {
            switch fields.known(index) {
            case .other:
                let name = fields.name(index)
                guard name.first == UInt8(ascii: ":") else { continue }
                // nghttp2 lets each of these through once only, and before all other fields (RFC 9113 section 8.3).
                switch name.count {
                case 7: if name[1] == UInt8(ascii: "m") { method = fields.value(index) }
                case 10: authority = fields.value(index)
                case 5: path = fields.value(index)
                case 9:
                    hasProtocol = true
                    isControl = Octets.equals(fields.value(index), ControlStream.protocol)
                default: break
                }
            case .host: if authority.isEmpty { authority = fields.value(index) }
            case .contentLength: hasContentLength = true
            case .upgradeRequest: isUpgrade = true
            case .authorization: hasConnectionAuthentication = ConnectionAuthentication.isUsed(fields.value(index))
            case .traceParent: traceParent = fields.value(index)
            case .pin: pin = String(decoding: fields.value(index), as: UTF8.self)
            default: break
            }
        }
    }
}

/// Authentication schemes that authenticate a connection instead of a request (RFC 4559 and MS-NTHT).
enum ConnectionAuthentication {
    /// - Parameter value: of `Authorization` or `WWW-Authenticate`.
    static func isUsed(_ value: UnsafeRawBufferPointer) -> Bool {
        isScheme(value, "ntlm") || isScheme(value, "negotiate")
    }

    private static func isScheme(_ value: UnsafeRawBufferPointer, _ scheme: StaticString) -> Bool {
        let length = scheme.utf8CodeUnitCount
        guard value.count >= length else { return false }
        for index in 0..<length where value[index] | 0x20 != scheme.utf8Start[index] { return false }
        return value.count == length || value[length] == UInt8(ascii: " ") || value[length] == UInt8(ascii: ",")
    }
}
