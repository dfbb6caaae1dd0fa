#if canImport(CIPSecMB)
internal import CIPSecMB
internal import COpenSSL
internal import Synchronization

/// One direction of a connection: AES-128-GCM with nonces of 12 bytes and tags of 16, in the order of EVP_EncryptInit(3).
///
///     needsNonce ──▶ ready ──▶ started ──▶ needsNonce
///       ready: the nonce is there; started: associated data or the message has begun
@safe final class RecordCipher {
    private enum Phase { case needsNonce, ready, started }

    private let library: WideAESGCM
    private let key = UnsafeMutablePointer<WideAESGCM.Key>.allocate(capacity: 1)
    private var progress = WideAESGCM.Progress()
    private var nonce = Block(capacity: WideAESGCM.nonceSize)
    /// Made by encryption; given to decryption, which compares.
    private var tag = Block(capacity: WideAESGCM.tagSize)
    private var (hasKey, hasTag, isEncrypting) = (false, false, true)
    private var phase = Phase.needsNonce

    /// Up to 16 bytes in place.
    private struct Block {
        private var bytes: (UInt64, UInt64) = (0, 0)
        let capacity: Int

        init(capacity: Int) { self.capacity = capacity }

        mutating func set(_ source: UnsafeRawBufferPointer) -> Bool {
            guard source.count == capacity else { return false }
            unsafe withUnsafeMutableBytes(of: &bytes) { unsafe $0.copyMemory(from: source) }
            return true
        }

        mutating func withPointer<Result>(_ body: (UnsafeMutablePointer<UInt8>) -> Result) -> Result {
            unsafe withUnsafeMutableBytes(of: &bytes) { bytes in
                unsafe body(bytes.baseAddress!.assumingMemoryBound(to: UInt8.self))
            }
        }
    }

    init(_ library: WideAESGCM) {
        self.library = library
        Self.made.wrappingAdd(1, ordering: .relaxed)
    }

    private static let made = Atomic<Int>(0)
    /// How many there have been so far.
    static var count: Int { made.load(ordering: .relaxed) }

    deinit {
        unsafe OPENSSL_cleanse(key, MemoryLayout<WideAESGCM.Key>.size)
        unsafe key.deallocate()
    }

    // MARK: What OpenSSL asks for, false where it asks for what this cipher is not

    func begin(isEncrypting: Bool, key bytes: UnsafeRawBufferPointer?, nonce: UnsafeRawBufferPointer?) -> Bool {
        self.isEncrypting = isEncrypting
        if let bytes = unsafe bytes {
            guard bytes.count == WideAESGCM.keySize else { return false }
            unsafe library.expand(bytes.baseAddress, key)
            hasKey = true
        }
        if let nonce = unsafe nonce {
            guard unsafe self.nonce.set(nonce) else { return false }
            phase = .ready
        }
        return true
    }

    /// Once for each message, before its text.
    func authenticate(_ data: UnsafeRawBufferPointer) -> Bool {
        guard hasKey, phase == .ready else { return false }
        phase = .started
        unsafe nonce.withPointer { nonce in
            let bytes = unsafe data.baseAddress?.assumingMemoryBound(to: UInt8.self)
            unsafe library.begin(key, &progress, nonce, bytes, UInt64(data.count))
        }
        return true
    }

    /// - Parameter output: of at least as many bytes; it may be where the input is.
    func update(_ input: UnsafeRawBufferPointer, into output: UnsafeMutablePointer<UInt8>) -> Bool {
        if phase == .ready, unsafe !authenticate(UnsafeRawBufferPointer(start: nil, count: 0)) { return false }
        guard phase == .started else { return false }
        let bytes = unsafe input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        if isEncrypting {
            unsafe library.encrypt(key, &progress, output, bytes, UInt64(input.count))
        } else {
            unsafe library.decrypt(key, &progress, output, bytes, UInt64(input.count))
        }
        return true
    }

    /// - Returns: for decryption, whether the message is what was encrypted.
    func finish() -> Bool {
        if phase == .ready, unsafe !authenticate(UnsafeRawBufferPointer(start: nil, count: 0)) { return false }
        guard phase == .started else { return false }
        // A nonce serves one message.
        phase = .needsNonce
        let size = UInt64(WideAESGCM.tagSize)
        if isEncrypting {
            unsafe tag.withPointer { unsafe library.finishEncryption(key, &progress, $0, size) }
            hasTag = true
            return true
        }
        var computed = Block(capacity: WideAESGCM.tagSize)
        unsafe computed.withPointer { unsafe library.finishDecryption(key, &progress, $0, size) }
        defer { hasTag = false }
        return unsafe hasTag
            && computed.withPointer { computed in
                unsafe tag.withPointer { unsafe CRYPTO_memcmp($0, computed, WideAESGCM.tagSize) == 0 }
            }
    }

    /// For decryption, before `finish`.
    func expect(tag bytes: UnsafeRawBufferPointer) -> Bool {
        guard !isEncrypting, unsafe tag.set(bytes) else { return false }
        hasTag = true
        return true
    }

    /// Of what was encrypted last.
    func withTag(_ body: (UnsafePointer<UInt8>) -> Bool) -> Bool {
        isEncrypting && hasTag && phase == .needsNonce ? unsafe tag.withPointer { unsafe body($0) } : false
    }
}
#endif
