internal import COpenSSL

/// Text out of OpenSSL.
enum MemoryBIO {
    static func text(_ write: (OpaquePointer?) -> Int32) -> String {
        let bio = unsafe BIO_new(BIO_s_mem())
        defer { unsafe BIO_free(bio) }
        _ = unsafe write(bio)
        return unsafe text(bio)
    }

    /// What was written to a memory BIO.
    static func text(_ bio: OpaquePointer?) -> String {
        var bytes: UnsafeMutablePointer<CChar>?
        let count = unsafe COpenSSL_BIO_get_mem_data(bio, &bytes)
        guard let bytes = unsafe bytes else { return "" }
        return unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
}
