#if canImport(CIPSecMB)
internal import COpenSSL

/// The functions of provider-cipher(7), which find their `RecordCipher` behind a pointer that OpenSSL hands around.
enum RecordCipherFunctions {
    static var all: [(Int32, RecordCipherProvider.Function)] {
        unsafe [
            (OSSL_FUNC_CIPHER_NEWCTX, unsafeBitCast(make, to: RecordCipherProvider.Function.self)),
            (OSSL_FUNC_CIPHER_FREECTX, unsafeBitCast(free, to: RecordCipherProvider.Function.self)),
            (OSSL_FUNC_CIPHER_ENCRYPT_INIT, unsafeBitCast(encrypt, to: RecordCipherProvider.Function.self)),
            (OSSL_FUNC_CIPHER_DECRYPT_INIT, unsafeBitCast(decrypt, to: RecordCipherProvider.Function.self)),
            (OSSL_FUNC_CIPHER_UPDATE, unsafeBitCast(update, to: RecordCipherProvider.Function.self)),
            (OSSL_FUNC_CIPHER_FINAL, unsafeBitCast(finish, to: RecordCipherProvider.Function.self)),
            (OSSL_FUNC_CIPHER_GET_PARAMS, unsafeBitCast(constants, to: RecordCipherProvider.Function.self)),
            (OSSL_FUNC_CIPHER_GET_CTX_PARAMS, unsafeBitCast(get, to: RecordCipherProvider.Function.self)),
            (OSSL_FUNC_CIPHER_SET_CTX_PARAMS, unsafeBitCast(set, to: RecordCipherProvider.Function.self)),
        ]
    }

    // MARK: Life

    private static let make: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { _ in
        unsafe WideAESGCM.installed.map { unsafe Unmanaged.passRetained(RecordCipher($0)).toOpaque() }
    }

    private static let free: @convention(c) (UnsafeMutableRawPointer?) -> Void = { pointer in
        if let pointer = unsafe pointer { unsafe Unmanaged<RecordCipher>.fromOpaque(pointer).release() }
    }

    @inline(__always)
    private static func with(_ pointer: UnsafeMutableRawPointer?, _ body: (RecordCipher) -> Bool) -> Int32 {
        guard let pointer = unsafe pointer else { return 0 }
        return unsafe Unmanaged<RecordCipher>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body) ? 1 : 0
    }

    // MARK: Messages

    private typealias Begin =
        @convention(c) (
            UnsafeMutableRawPointer?, _ key: UnsafePointer<UInt8>?, Int, _ nonce: UnsafePointer<UInt8>?, Int,
            UnsafePointer<OSSL_PARAM>?
        ) -> Int32

    private static let encrypt: Begin = { pointer, key, keySize, nonce, nonceSize, parameters in
        let isDone = unsafe with(pointer) {
            unsafe $0.begin(isEncrypting: true, key: bytes(key, keySize), nonce: bytes(nonce, nonceSize))
        }
        return unsafe isDone == 1 ? set(pointer, parameters) : 0
    }

    private static let decrypt: Begin = { pointer, key, keySize, nonce, nonceSize, parameters in
        let isDone = unsafe with(pointer) {
            unsafe $0.begin(isEncrypting: false, key: bytes(key, keySize), nonce: bytes(nonce, nonceSize))
        }
        return unsafe isDone == 1 ? set(pointer, parameters) : 0
    }

    private static func bytes(_ start: UnsafePointer<UInt8>?, _ count: Int) -> UnsafeRawBufferPointer? {
        unsafe start.map { unsafe UnsafeRawBufferPointer(start: $0, count: count) }
    }

    /// Without an output, the input is data to authenticate only.
    private static let update:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int>?, Int,
            UnsafePointer<UInt8>?, Int
        ) -> Int32 = { pointer, output, written, room, input, count in
            unsafe written?.pointee = count
            let input = unsafe UnsafeRawBufferPointer(start: input, count: count)
            return unsafe with(pointer) { cipher in
                guard let output = unsafe output else { return unsafe cipher.authenticate(input) }
                guard room >= count else { return false }
                return unsafe cipher.update(input, into: output)
            }
        }

    private static let finish:
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int>?, Int) ->
            Int32 = {
                pointer,
                _,
                written,
                _ in
                unsafe written?.pointee = 0
                return unsafe with(pointer) { $0.finish() }
            }

    // MARK: Parameters

    private typealias Parameters = UnsafeMutablePointer<OSSL_PARAM>

    /// What is so for all of them.
    private static let constants: @convention(c) (Parameters?) -> Int32 = { parameters in
        unsafe each(parameters) { name, parameter in
            switch name {
            case .mode: unsafe OSSL_PARAM_set_uint(parameter, UInt32(EVP_CIPH_GCM_MODE)) == 1
            case .keySize: unsafe OSSL_PARAM_set_size_t(parameter, WideAESGCM.keySize) == 1
            case .nonceSize: unsafe OSSL_PARAM_set_size_t(parameter, WideAESGCM.nonceSize) == 1
            case .blockSize: unsafe OSSL_PARAM_set_size_t(parameter, 1) == 1
            case .authenticates, .hasOwnNonce: unsafe OSSL_PARAM_set_int(parameter, 1) == 1
            default: true
            }
        }
    }

    private static let get: @convention(c) (UnsafeMutableRawPointer?, Parameters?) -> Int32 = { pointer, parameters in
        unsafe each(parameters) { name, parameter in
            switch name {
            case .keySize: unsafe OSSL_PARAM_set_size_t(parameter, WideAESGCM.keySize) == 1
            case .nonceSize: unsafe OSSL_PARAM_set_size_t(parameter, WideAESGCM.nonceSize) == 1
            case .tagSize: unsafe OSSL_PARAM_set_size_t(parameter, WideAESGCM.tagSize) == 1
            case .tag:
                unsafe with(pointer) { cipher in
                    unsafe cipher.withTag { tag in
                        unsafe parameter.pointee.data_size == WideAESGCM.tagSize
                            && OSSL_PARAM_set_octet_string(parameter, tag, WideAESGCM.tagSize) == 1
                    }
                } == 1
            default: true
            }
        }
    }

    private static let set: @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<OSSL_PARAM>?) -> Int32 = {
        pointer,
        parameters in
        unsafe each(UnsafeMutablePointer(mutating: parameters)) { name, parameter in
            var size = 0
            switch name {
            case .keySize: return unsafe OSSL_PARAM_get_size_t(parameter, &size) == 1 && size == WideAESGCM.keySize
            case .nonceSize: return unsafe OSSL_PARAM_get_size_t(parameter, &size) == 1 && size == WideAESGCM.nonceSize
            case .tag:
                // Before encryption, a size alone.
                guard let data = unsafe parameter.pointee.data else {
                    return unsafe parameter.pointee.data_size == WideAESGCM.tagSize
                }
                let tag = unsafe UnsafeRawBufferPointer(start: data, count: parameter.pointee.data_size)
                return unsafe with(pointer) { unsafe $0.expect(tag: tag) } == 1
            default: return true
            }
        }
    }

    /// Until one is refused. What is not known is passed over, as OpenSSL's own ciphers do.
    @inline(__always)
    private static func each(_ parameters: Parameters?, _ body: (Parameter, Parameters) -> Bool) -> Int32 {
        guard var parameter = unsafe parameters else { return 1 }
        while let key = unsafe parameter.pointee.key {
            if let name = Parameter.allCases.first(where: { unsafe $0.isNamed(key) }),
                unsafe !body(name, parameter)
            {
                return 0
            }
            unsafe parameter += 1
        }
        return 1
    }

    /// By the names of core_names.h.
    private enum Parameter: CaseIterable {
        case nonceSize, tag, tagSize, keySize, blockSize, mode, authenticates, hasOwnNonce

        private var name: StaticString {
            switch self {
            case .nonceSize: "ivlen"
            case .tag: "tag"
            case .tagSize: "taglen"
            case .keySize: "keylen"
            case .blockSize: "blocksize"
            case .mode: "mode"
            case .authenticates: "aead"
            case .hasOwnNonce: "custom-iv"
            }
        }

        /// Compared where it is: a record's tag and nonce are asked for by name.
        func isNamed(_ key: UnsafePointer<CChar>) -> Bool {
            unsafe strcmp(UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), key) == 0
        }
    }
}
#endif
