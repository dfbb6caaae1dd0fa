internal import COpenSSL

/// OpenSSL as a whole.
package enum TLSLibrary {
    /// To be called before anything else uses OpenSSL: it should not clear up at the end of the process, when event loops
    /// may still be using it.
    package static func start() { OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) }
}
