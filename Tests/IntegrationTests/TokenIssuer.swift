import Cryptography
import Foundation

/// An identity provider of a test: `https://idp.test`, whose keys are in keys.json.
struct TokenIssuer {
    let key: SigningKey

    init(_ folder: URL) throws {
        key = try SigningKey.rsa()
        let (n, e) = key.rsaParameters ?? ([], [])
        try #"{"keys":[{"kty":"RSA","kid":"k1","n":"\#(Self.text(n))","e":"\#(Self.text(e))"}]}"#
            .write(to: folder.appending(path: "keys.json"), atomically: true, encoding: .utf8)
    }

    private static func text(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// - Parameter key: another one than the provider's.
    func token(_ user: String, issuer: String = "https://idp.test", key: SigningKey? = nil) throws -> String {
        let now = Int(Date().timeIntervalSince1970)
        let claims = #"{"iss":"\#(issuer)","iat":\#(now),"exp":\#(now + 600),"zid":"test","user_name":"\#(user)"}"#
        let signed = Self.text(Array(#"{"alg":"RS256","kid":"k1"}"#.utf8)) + "." + Self.text(Array(claims.utf8))
        return signed + "." + Self.text(try (key ?? self.key).sign(Array(signed.utf8)))
    }
}
