#if canImport(CIPSecMB)
internal import COpenSSL

/// `RecordCipher` as OpenSSL finds it: a provider (provider(7)) with the one cipher AES-128-GCM, for TLS 1.3.
///
/// TLS 1.2 asks a cipher for more than this one can, so it is used by contexts that name it (`TLSContext`), and everything else
/// gets OpenSSL's own, as before.
enum RecordCipherProvider {
    /// What a context names in its property query (property(7)): this cipher where there is a choice, OpenSSL's otherwise.
    static let query = "?provider=\(name)"
    private static let name = "ipsec-mb"

    /// Whether the cipher is there, and does no harm: an OpenSSL that is told to use FIPS-validated ciphers keeps to those.
    static let isLoaded: Bool = {
        guard WideAESGCM.installed != nil, EVP_default_properties_is_fips_enabled(nil) == 0 else { return false }
        // The first cipher of a name that OpenSSL meets is what those get who name no provider: its own.
        unsafe EVP_CIPHER_free(EVP_CIPHER_fetch(nil, "AES-128-GCM", nil))
        let isKnown = unsafe OSSL_PROVIDER_add_builtin(
            nil,
            name,
            { core, _, functions, context in
                unsafe context?.pointee = UnsafeMutableRawPointer(core)
                unsafe functions?.pointee = UnsafePointer(tables.provider)
                return 1
            }
        )
        return unsafe isKnown == 1 && OSSL_PROVIDER_try_load(nil, name, 1) != nil
    }()

    // MARK: Tables, which OpenSSL reads until the end

    /// Unchecked, as nothing of them changes once they are made.
    @safe private struct Tables: @unchecked Sendable {
        let provider: UnsafeMutablePointer<OSSL_DISPATCH>
        let algorithms: UnsafeMutablePointer<OSSL_ALGORITHM>
    }

    private typealias Query =
        @convention(c) (
            UnsafeMutableRawPointer?, Int32, UnsafeMutablePointer<Int32>?
        ) -> UnsafePointer<OSSL_ALGORITHM>?

    private static let tables: Tables = {
        let query: Query = { _, operation, mayForget in
            unsafe mayForget?.pointee = 0
            return operation == OSSL_OP_CIPHER ? unsafe UnsafePointer(tables.algorithms) : nil
        }
        let algorithms = UnsafeMutablePointer<OSSL_ALGORITHM>.allocate(capacity: 2)
        unsafe algorithms.initialize(repeating: OSSL_ALGORITHM(), count: 2)
        unsafe algorithms[0].algorithm_names = unsafe UnsafePointer(
            strdup("AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6")
        )
        unsafe algorithms[0].property_definition = unsafe UnsafePointer(strdup("provider=\(name)"))
        unsafe algorithms[0].implementation = unsafe UnsafePointer(dispatch(RecordCipherFunctions.all))
        return unsafe Tables(
            provider: dispatch([(OSSL_FUNC_PROVIDER_QUERY_OPERATION, unsafeBitCast(query, to: Function.self))]),
            algorithms: algorithms
        )
    }()

    typealias Function = @convention(c) () -> Void

    private static func dispatch(_ functions: [(Int32, Function)]) -> UnsafeMutablePointer<OSSL_DISPATCH> {
        let table = UnsafeMutablePointer<OSSL_DISPATCH>.allocate(capacity: functions.count + 1)
        unsafe table.initialize(repeating: OSSL_DISPATCH(), count: functions.count + 1)
        for (index, (number, function)) in functions.enumerated() {
            unsafe table[index] = OSSL_DISPATCH(function_id: number, function: function)
        }
        return unsafe table
    }
}
#endif
