internal import COpenSSL
internal import JSON

/// A public key with which an identity provider signs tokens (RFC 7517), and the check of its signatures (RFC 7518
/// section 3.1).
///
/// Made in `init` and only read from then on, which OpenSSL allows from several threads.
@safe package final class WebKey: @unchecked Sendable {
    /// The algorithms that are taken: signatures with a public key, and no others (RFC 8725 section 3.1).
    package enum Algorithm: String, Sendable, CaseIterable {
        case rs256 = "RS256"
        case rs384 = "RS384"
        case rs512 = "RS512"
        case es256 = "ES256"
        case es384 = "ES384"
        case es512 = "ES512"
    }

    /// `kid`; nil for a key without one.
    package let id: String?
    private let key: OpaquePointer
    private let isRSA: Bool

    /// - Throws: for what is no RSA key of 2048 bits or more, and no key on P-256, P-384 or P-521.
    init(_ jwk: JSONValue) throws(TLSError) {
        guard case .object(let members) = jwk, let kind = members["kty"]?.string else {
            throw TLSError(.configuration, "a key of the set has no kty")
        }
        id = members["kid"]?.string
        func number(_ name: String) throws(TLSError) -> [UInt8] {
            guard let text = members[name]?.string, let bytes = Base64.decodeURL(Array(text.utf8)[...]), !bytes.isEmpty
            else {
                throw TLSError(.configuration, "a key of the set has no \(name)")
            }
            return bytes
        }
        let info: [UInt8]
        switch kind {
        case "RSA": info = DER.rsaPublicKey(try number("n"), try number("e"))
        case "EC":
            guard let curve = DER.Curve(rawValue: members["crv"]?.string ?? "") else {
                throw TLSError(.configuration, "a key of the set is on no curve that is known here")
            }
            info = DER.ecPublicKey(curve, try number("x"), try number("y"))
        default: throw TLSError(.configuration, "a key of the set is of kind \(kind); RSA and EC are known here")
        }
        unsafe key = try unsafe Self.read(info)
        isRSA = kind == "RSA"
        guard unsafe EVP_PKEY_get_security_bits(key) >= 112 else {
            throw TLSError(.configuration, "a key of the set is too short: RSA takes 2048 bits")
        }
    }

    private static func read(_ info: [UInt8]) throws(TLSError) -> OpaquePointer {
        let key = unsafe info.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return unsafe d2i_PUBKEY(nil, &start, bytes.count)
        }
        guard let key = unsafe key else {
            throw TLSError(.configuration, "a key of the set cannot be used: \(TLSError.takeQueue().text)")
        }
        return unsafe key
    }

    deinit { unsafe EVP_PKEY_free(key) }

    /// The keys of a set (RFC 7517 section 5). Those that are for encryption, and those of other kinds, are left out.
    ///
    /// - Throws: where none is left.
    package static func set(_ bytes: [UInt8]) throws(TLSError) -> [WebKey] {
        guard let value = try? JSONLines.decode(JSONValue.self, bytes), case .object(let members) = value,
            case .array(let all)? = members["keys"]
        else { throw TLSError(.configuration, "it is no JSON Web Key Set: an object with \"keys\"") }
        var keys: [WebKey] = []
        var fault: TLSError?
        for case .object(let one) in all where one["use"]?.string ?? "sig" == "sig" {
            // What is not understood is ignored (RFC 7517 section 5).
            do throws(TLSError) { keys.append(try WebKey(.object(one))) } catch { fault = error }
        }
        guard keys.isEmpty else { return keys }
        throw fault ?? TLSError(.configuration, "the set holds no key for signatures")
    }

    /// Whether the key's owner has signed these bytes.
    package func isValid(_ signature: [UInt8], over bytes: [UInt8], _ algorithm: Algorithm) -> Bool {
        let digest: OpaquePointer?
        switch algorithm {
        case .rs256, .es256: unsafe digest = unsafe EVP_sha256()
        case .rs384, .es384: unsafe digest = unsafe EVP_sha384()
        case .rs512, .es512: unsafe digest = unsafe EVP_sha512()
        }
        let isForRSA = [.rs256, .rs384, .rs512].contains(algorithm)
        guard isForRSA == isRSA else { return false }
        let encoded: [UInt8]
        if isRSA {
            encoded = signature
        } else {
            // Two numbers of equal length, which OpenSSL wants as a sequence (RFC 7518 section 3.4).
            let size = (Int(unsafe EVP_PKEY_get_bits(key)) + 7) / 8
            guard signature.count == 2 * size else { return false }
            encoded = DER.sequence(DER.integer(Array(signature[..<size])) + DER.integer(Array(signature[size...])))
        }
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        return unsafe EVP_DigestVerifyInit(context, nil, digest, nil, key) == 1
            && EVP_DigestVerify(context, encoded, encoded.count, bytes, bytes.count) == 1
    }
}

/// The little of DER (ITU-T X.690) that public keys need.
private enum DER {
    enum Curve: String {
        case p256 = "P-256"
        case p384 = "P-384"
        case p521 = "P-521"

        var object: [UInt8] {
            switch self {
            case .p256: [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
            case .p384: [0x2B, 0x81, 0x04, 0x00, 0x22]
            case .p521: [0x2B, 0x81, 0x04, 0x00, 0x23]
            }
        }

        var size: Int {
            switch self {
            case .p256: 32
            case .p384: 48
            case .p521: 66
            }
        }
    }

    static func value(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        if count < 128 { return [tag, UInt8(count)] + content }
        let length = [
            UInt8(truncatingIfNeeded: count >> 16), UInt8(truncatingIfNeeded: count >> 8), UInt8(count & 255),
        ]
        .drop { $0 == 0 }
        return [tag, 0x80 | UInt8(length.count)] + length + content
    }

    static func sequence(_ content: [UInt8]) -> [UInt8] { value(0x30, content) }

    /// Not negative.
    static func integer(_ bytes: [UInt8]) -> [UInt8] {
        let number = bytes.drop { $0 == 0 }
        guard let first = number.first else { return value(0x02, [0]) }
        return value(0x02, (first >= 0x80 ? [0] : []) + number)
    }

    private static func bits(_ content: [UInt8]) -> [UInt8] { value(0x03, [0] + content) }
    private static func object(_ content: [UInt8]) -> [UInt8] { value(0x06, content) }

    /// SubjectPublicKeyInfo (RFC 5280 section 4.1) of an RSA key (RFC 3279 section 2.3.1).
    static func rsaPublicKey(_ modulus: [UInt8], _ exponent: [UInt8]) -> [UInt8] {
        let kind = sequence(object([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01]) + [0x05, 0x00])
        return sequence(kind + bits(sequence(integer(modulus) + integer(exponent))))
    }

    /// The same of a key on a curve (RFC 5480 section 2).
    static func ecPublicKey(_ curve: Curve, _ x: [UInt8], _ y: [UInt8]) -> [UInt8] {
        let kind = sequence(object([0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]) + object(curve.object))
        func padded(_ number: [UInt8]) -> [UInt8] {
            [UInt8](repeating: 0, count: max(0, curve.size - number.count)) + number
        }
        return sequence(kind + bits([0x04] + padded(x) + padded(y)))
    }
}
