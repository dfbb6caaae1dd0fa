internal import JSON
internal import TextFormats
internal import Tokens
internal import TunnelCore

/// A token that was found good, with what a request needs of it.
final class AdmittedToken {
    let token: VerifiedToken
    /// As it travels to the connector, for a token that stands for a user; empty for an application's own.
    let carried: [UInt8]

    init(_ token: VerifiedToken, _ bytes: some Collection<UInt8>) {
        self.token = token
        carried = token.user == nil ? [] : Array("Bearer ".utf8) + Array(bytes)
    }

    var principal: String { token.user.map { "\(token.claims.origin ?? "")/\($0)" } ?? token.client }
}

/// Tokens that one event loop has found good, so that a signature is checked once for a token and not for a request.
struct TokenCache {
    /// Tokens of one loop.
    static let limit = 1000

    private var verifier: TokenVerifier?
    private var admitted: [[UInt8]: AdmittedToken] = [:]

    /// - Parameter value: of `Proxy-Authorization`: `Bearer <token>`, or `Basic` with the token as user and no password
    ///   for clients that know nothing else.
    mutating func admit(
        _ value: UnsafeRawBufferPointer,
        _ verifier: TokenVerifier,
        now: Int
    ) throws(Refusal) -> AdmittedToken {
        if self.verifier !== verifier {
            self.verifier = verifier
            admitted = [:]
        }
        let key = unsafe Array(value)
        if let known = admitted[key], known.token.expires > now { return known }
        let bytes = try unsafe Self.token(value)
        let new: AdmittedToken
        do throws(TokenError) {
            new = AdmittedToken(try verifier.verify(bytes, now: now), bytes)
        } catch {
            throw Self.refusal(
                "Invalid header: proxy-authorization. Expected: Bearer <valid JWT token>",
                error.rawValue
            )
        }
        if admitted.count >= Self.limit { admitted = admitted.filter { $0.value.token.expires > now } }
        if admitted.count >= Self.limit { admitted = [:] }
        admitted[key] = new
        return new
    }

    private static func token(_ value: UnsafeRawBufferPointer) throws(Refusal) -> [UInt8] {
        if let token = unsafe bytes(value, after: "bearer ") { return token }
        if let text = unsafe bytes(value, after: "basic "),
            let decoded = Base64.decode(String(decoding: text, as: UTF8.self)),
            decoded.last == UInt8(ascii: ":")
        {
            return decoded.dropLast()
        }
        throw refusal(
            "Invalid header: proxy-authorization. Expected: Bearer <valid JWT token>",
            "it is neither Bearer nor Basic with the token as user and an empty password"
        )
    }

    /// What follows a scheme, which is compared in any case.
    static func bytes(_ value: UnsafeRawBufferPointer, after scheme: StaticString) -> [UInt8]? {
        let count = scheme.utf8CodeUnitCount
        guard value.count > count else { return nil }
        for index in 0..<count where unsafe Bytes.lowercased(value[index]) != scheme.utf8Start[index] { return nil }
        return unsafe Array(value.dropFirst(count).drop { $0 == UInt8(ascii: " ") })
    }

    static func refusal(_ text: String, _ cause: String?) -> Refusal {
        Refusal(
            status: 407,
            source: .client,
            phase: .request,
            cause: cause ?? text,
            proxyStatus: "http_request_denied",
            text: cause.map { "\(text): \($0)." } ?? text
        )
    }
}

/// What a request said about who sends it, as slices of its head.
@unsafe struct RequestCredentials {
    var authorization: UnsafeRawBufferPointer?
    var user: UnsafeRawBufferPointer?
    var technicalUser: UnsafeRawBufferPointer?

    var isEmpty: Bool { unsafe authorization == nil && user == nil && technicalUser == nil }
}

/// Who sends the requests of a connection, as its last request said; the same bytes are not looked at twice.
struct ConnectionPrincipal {
    var authorization: [UInt8] = []
    var user: [UInt8] = []
    var technicalUser: [UInt8] = []
    var token: AdmittedToken?
    /// To be compared, not to be believed.
    var name = ""

    func isSame(_ credentials: RequestCredentials) -> Bool {
        unsafe Self.isSame(authorization, credentials.authorization) && Self.isSame(user, credentials.user)
            && Self.isSame(technicalUser, credentials.technicalUser)
    }

    private static func isSame(_ known: [UInt8], _ new: UnsafeRawBufferPointer?) -> Bool {
        guard let new = unsafe new else { return known.isEmpty }
        return unsafe known.count == new.count && known.withUnsafeBytes { unsafe Bytes.isEqual($0, new) }
    }
}
