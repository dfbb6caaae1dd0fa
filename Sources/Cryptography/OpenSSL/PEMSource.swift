internal import COpenSSL

/// PEM, from a file or from memory. A file of certificates may also be DER (RFC 5280), as Windows exports them.
package enum PEMSource: Sendable, Equatable {
    case file(String)
    case pem(String)
    /// PEM or DER, as it was sent.
    case bytes([UInt8])

    /// For messages.
    var name: String {
        switch self {
        case .file(let path): path
        case .pem: "the PEM text"
        case .bytes: "what was sent"
        }
    }

    /// - Returns: a BIO that the caller frees.
    func open() throws(TLSError) -> OpaquePointer {
        let bio: OpaquePointer?
        switch self {
        case .file(let path): unsafe bio = unsafe BIO_new_file(path, "r")
        case .pem(let text):
            unsafe bio = unsafe BIO_new(BIO_s_mem())
            unsafe text.withCString { _ = unsafe BIO_write(bio, $0, Int32(text.utf8.count)) }
        case .bytes(let bytes):
            unsafe bio = unsafe BIO_new(BIO_s_mem())
            _ = unsafe BIO_write(bio, bytes, Int32(bytes.count))
        }
        guard let bio = unsafe bio else {
            throw TLSError(.configuration, "cannot read \(name): \(TLSError.takeQueue().text)")
        }
        return unsafe bio
    }

    /// All certificates, in order. The caller frees them.
    func certificates() throws(TLSError) -> [OpaquePointer] {
        let bio = try unsafe open()
        defer { unsafe BIO_free(bio) }
        var certificates: [OpaquePointer] = unsafe []
        while let certificate = unsafe PEM_read_bio_X509(bio, nil, nil, nil) { unsafe certificates.append(certificate) }
        let end = ERR_peek_last_error()
        ERR_clear_error()
        if COpenSSL_ERR_GET_LIB(end) != ERR_LIB_PEM || COpenSSL_ERR_GET_REASON(end) != PEM_R_NO_START_LINE {
            // What came so far would be taken for all.
            unsafe certificates.forEach { unsafe X509_free($0) }
            let number = unsafe certificates.count + 1
            throw TLSError(.configuration, "certificate \(number) in \(name) is damaged")
        }
        if unsafe certificates.isEmpty, let certificate = try unsafe binary() {
            unsafe certificates.append(certificate)
        }
        return unsafe certificates
    }

    /// A file that is one certificate in DER.
    private func binary() throws(TLSError) -> OpaquePointer? {
        let bio = try unsafe open()
        defer {
            unsafe BIO_free(bio)
            ERR_clear_error()
        }
        return unsafe d2i_X509_bio(bio, nil)
    }
}
