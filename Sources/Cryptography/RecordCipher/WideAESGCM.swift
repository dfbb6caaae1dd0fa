#if canImport(CIPSecMB)
internal import CIPSecMB
internal import Glibc

/// AES-128-GCM with a processor's wide AES instructions, out of libIPSec_MB: two and a half times as fast as that of OpenSSL
/// 3.0, which has none of them (docs/decisions/0040).
///
/// Unchecked, as it holds C functions and nothing else, and these have no state of their own.
@safe struct WideAESGCM: @unchecked Sendable {
    typealias Key = gcm_key_data
    typealias Progress = gcm_context_data

    static let keySize = 16
    static let nonceSize = 12
    static let tagSize = 16

    typealias Begin =
        @convention(c) (
            UnsafePointer<Key>?, UnsafeMutablePointer<Progress>?, _ nonce: UnsafePointer<UInt8>?,
            _ associatedData: UnsafePointer<UInt8>?, UInt64
        ) -> Void
    /// The output may be where the input is.
    typealias Update =
        @convention(c) (
            UnsafePointer<Key>?, UnsafeMutablePointer<Progress>?, _ output: UnsafeMutablePointer<UInt8>?,
            _ input: UnsafePointer<UInt8>?, UInt64
        ) -> Void
    typealias Finish =
        @convention(c) (
            UnsafePointer<Key>?, UnsafeMutablePointer<Progress>?, _ tag: UnsafeMutablePointer<UInt8>?, UInt64
        ) -> Void

    let expand: @convention(c) (UnsafeRawPointer?, UnsafeMutablePointer<Key>?) -> Void
    let begin: Begin
    let encrypt: Update
    let decrypt: Update
    let finishEncryption: Finish
    let finishDecryption: Finish

    /// Nil where the library is not installed, is older than what this program was built with, or finds no such processor.
    static let installed: WideAESGCM? = load()

    private static func load() -> WideAESGCM? {
        // Never closed: its functions are used until the end.
        guard let library = unsafe dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL),
            let version = unsafe symbol(library, "imb_get_version", as: Version.self),
            let make = unsafe symbol(library, "alloc_mb_mgr", as: Make.self),
            let free = unsafe symbol(library, "free_mb_mgr", as: Free.self),
            let choose = unsafe symbol(library, "init_mb_mgr_auto", as: Choose.self),
            version() >= IMB_VERSION_NUM, let manager = unsafe make(0)
        else { return nil }
        defer { unsafe free(manager) }
        unsafe choose(manager, nil)
        guard unsafe manager.pointee.features & CIPSecMB_wideAES == CIPSecMB_wideAES else { return nil }
        let found = unsafe WideAESGCM(manager)
        return found?.isRight == true ? found : nil
    }

    private init?(_ manager: UnsafeMutablePointer<IMB_MGR>) {
        guard let expand = unsafe manager.pointee.gcm128_pre, let begin = unsafe manager.pointee.gcm128_init,
            let encrypt = unsafe manager.pointee.gcm128_enc_update,
            let decrypt = unsafe manager.pointee.gcm128_dec_update,
            let finishEncryption = unsafe manager.pointee.gcm128_enc_finalize,
            let finishDecryption = unsafe manager.pointee.gcm128_dec_finalize
        else { return nil }
        unsafe self.expand = unsafe expand
        unsafe self.begin = unsafe begin
        unsafe self.encrypt = unsafe encrypt
        unsafe self.decrypt = unsafe decrypt
        unsafe self.finishEncryption = unsafe finishEncryption
        unsafe self.finishDecryption = unsafe finishDecryption
    }

    private typealias Version = @convention(c) () -> UInt32
    private typealias Make = @convention(c) (UInt64) -> UnsafeMutablePointer<IMB_MGR>?
    private typealias Free = @convention(c) (UnsafeMutablePointer<IMB_MGR>?) -> Void
    private typealias Choose = @convention(c) (UnsafeMutablePointer<IMB_MGR>?, UnsafeMutablePointer<IMB_ARCH>?) -> Void

    private static func symbol<Function>(
        _ library: UnsafeMutableRawPointer,
        _ name: String,
        as: Function.Type
    ) -> Function? {
        unsafe dlsym(library, name).map { unsafe unsafeBitCast($0, to: Function.self) }
    }

    /// Whether it computes what it should: test case 2 of the GCM specification (McGrew and Viega, appendix B).
    private var isRight: Bool {
        let key = UnsafeMutablePointer<Key>.allocate(capacity: 1)
        defer { unsafe key.deallocate() }
        var progress = Progress()
        var block = [UInt8](repeating: 0, count: 16)
        var tag = [UInt8](repeating: 0, count: Self.tagSize)
        unsafe expand(block, key)
        unsafe begin(key, &progress, block, nil, 0)
        unsafe block.withUnsafeMutableBufferPointer {
            unsafe encrypt(key, &progress, $0.baseAddress, $0.baseAddress, 16)
        }
        unsafe finishEncryption(key, &progress, &tag, UInt64(Self.tagSize))
        return block == [
            0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92, 0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78,
        ]
            && tag == [
                0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec, 0x13, 0xbd, 0xf5, 0x3a, 0x67, 0xb2, 0x12, 0x57, 0xbd, 0xdf,
            ]
    }
}
#endif
