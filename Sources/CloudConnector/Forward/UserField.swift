internal import AccessPolicy
internal import Cryptography
internal import PrincipalPropagation
internal import TunnelCore

/// What a request says of its user to the internal host.
enum UserField {
    case absent
    /// There, and empty: nobody is to be logged on by the certificate of the connection.
    case empty
    case value([UInt8])
    /// A Kerberos token for `Authorization`, and whose it is.
    case ticket([UInt8], owner: [UInt8])

    /// It takes the place of what the program says there.
    var isAuthorization: Bool {
        if case .ticket = self { true } else { false }
    }

    /// Whose connections may carry the request, beside those of nobody; nil for those that all may use.
    var owner: [UInt8]? {
        if case .ticket(_, let owner) = self { owner } else { nil }
    }

    /// RFC 4559 section 4.2.
    private static let authorization: StaticString = "Authorization: Negotiate "

    func size(_ authentication: UserAuthentication) -> Int {
        switch self {
        case .absent: 0
        case .empty: authentication.field.utf8.count + 4
        case .value(let value): authentication.field.utf8.count + 4 + value.count
        case .ticket(let value, _): Self.authorization.utf8CodeUnitCount + 4 + value.count
        }
    }

    func write(_ authentication: UserAuthentication, _ writer: inout HeadWriter) {
        switch self {
        case .absent: return
        case .ticket(let value, _):
            unsafe writer.write(Self.authorization)
            unsafe value.withUnsafeBytes { unsafe writer.write($0) }
            return unsafe writer.write("\r\n")
        case .empty, .value: break
        }
        var name = authentication.field
        name.withUTF8 { unsafe writer.write(UnsafeRawBufferPointer($0)) }
        unsafe writer.write(": ")
        if case .value(let value) = self { unsafe value.withUnsafeBytes { unsafe writer.write($0) } }
        unsafe writer.write("\r\n")
    }
}

extension UserAuthentication {
    /// One for each name of its own that a system of the policy has.
    static func fields(_ policy: AccessPolicy) -> [UserAuthentication] {
        var found: [UserAuthentication] = []
        for system in policy.systems where system.authentication.hasOwnField {
            let field = system.authentication.field
            if !found.contains(where: { $0.field == field }) { found.append(system.authentication) }
        }
        return found
    }

    /// Whether a program has written the field itself, in whatever case, with "-" or "_".
    func names(_ name: UnsafeRawBufferPointer) -> Bool {
        let own = field.utf8
        guard own.count == name.count else { return false }
        return unsafe zip(own, name).allSatisfy { one, other in Self.folded(one) == Self.folded(other) }
    }

    private static func folded(_ byte: UInt8) -> UInt8 {
        byte == UInt8(ascii: "_") ? UInt8(ascii: "-") : Bytes.lowercased(byte)
    }
}

extension FieldBlock {
    /// Whether one of the fields is one by which users arrive somewhere.
    func isReserved(_ reserved: [UserAuthentication]) -> Bool {
        guard !reserved.isEmpty else { return false }
        return (0..<count).contains { index in
            let name = unsafe self.name(index)
            return reserved.contains { unsafe $0.names(name) }
        }
    }
}
