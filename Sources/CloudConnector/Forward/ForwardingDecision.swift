package import AccessPolicy
internal import Cryptography
internal import NIOCore
package import PrincipalPropagation
internal import TunnelCore

/// A user as `explain` shows what arrives.
package enum ExplainedUser {
    case certificate(UserCertificate)
    /// A ticket is made for one request, and not for a look at it.
    case ticket

    func field(_ form: UserAuthentication.Form) -> UserField {
        switch self {
        case .certificate(let certificate): .value(Array(certificate.value(form).utf8))
        case .ticket: .ticket(Array("(a new one each time)".utf8), owner: [])
        }
    }
}

/// What becomes of a request, before anything is sent: the answer that the forwarder acts on, and that `explain` shows.
package enum ForwardingDecision {
    case permitted(Permit)
    case denied(AccessDenial, RequestTarget, SystemMapping)
    /// No HTTP system is exposed under this authority, whose parts are ranges of the text.
    case noSystem(RequestAuthority)
    case malformed(RequestTargetError)

    /// - Parameters:
    ///   - authority: host and port as the client wrote them.
    ///   - path: path and query in origin form.
    static func make(
        _ policy: AccessPolicy,
        authority: UnsafeRawBufferPointer,
        path: UnsafeRawBufferPointer,
        isOptions: Bool,
        isUpgrade: Bool
    ) -> ForwardingDecision {
        let text = unsafe authority.assumingMemoryBound(to: UInt8.self).span
        do throws(RequestTargetError) {
            let parsed = try RequestAuthority(text, in: 0..<text.count)
            let target = try unsafe RequestTarget(path.assumingMemoryBound(to: UInt8.self).span)
            guard isOptions || !target.isAsterisk else { return .malformed(.asteriskWithoutOptions) }
            guard let system = policy.system(host: text.extracting(parsed.host), port: parsed.port),
                system.protocol.isHTTP
            else { return .noSystem(parsed) }
            switch policy.evaluate(system: system, target: target, isUpgrade: isUpgrade) {
            case .deny(let denial): return .denied(denial, target, system)
            case .allow(let permit): return .permitted(permit)
            }
        } catch {
            return .malformed(error)
        }
    }

    /// The decision on a request's authority and path, as `explain` asks for it.
    package static func make(
        _ policy: AccessPolicy,
        authority: String,
        path: String,
        isOptions: Bool,
        isUpgrade: Bool
    ) -> ForwardingDecision {
        let (authority, path) = (Array(authority.utf8), Array(path.utf8))
        return unsafe authority.withUnsafeBytes { authority in
            unsafe path.withUnsafeBytes { path in
                unsafe make(policy, authority: authority, path: path, isOptions: isOptions, isUpgrade: isUpgrade)
            }
        }
    }

    /// The head that the internal host would get, line by line, without fields of the client's own.
    ///
    /// - Parameter user: the field by which a user arrives; nil for none.
    package static func head(
        _ permit: Permit,
        _ user: ExplainedUser? = nil,
        method: String,
        authority: String
    ) -> [String] {
        let fields = FieldBlock(capacity: 1024, fields: 4)
        for (name, value) in [(":method", method), (":authority", authority)] as [(StaticString, String)] {
            var value = value
            value.withUTF8 { unsafe fields.append(name, UnsafeRawBufferPointer($0)) }
        }
        var output = OutputBuffer()
        RequestHead.write(
            fields,
            RequestSummary(fields),
            permit,
            isEnd: true,
            webSocketKey: permit.allowsUpgrade ? "(a new one each time)" : nil,
            user: user?.field(permit.system.authentication.form) ?? .absent,
            to: &output
        )
        let text = output.take().map { String(buffer: $0) } ?? ""
        return text.split(separator: "\r\n").map(String.init)
    }
}
