internal import Cryptography
internal import Dispatch
internal import Glibc
internal import Synchronization

/// The first key of a new service. An RSA key takes up to a second to make, so another thread does it while everything else
/// starts; whoever needs the key waits for it. Nobody has a token that it signed before it is there.
final class FirstKey: Sendable {
    private let result = Mutex<Result<TokenKey, any Error>?>(nil)
    private let isThere = DispatchSemaphore(value: 0)

    /// Those that are being made in this process.
    private static let making = DispatchGroup()

    /// A process that ends meanwhile, because its start has failed, waits: OpenSSL frees what the other thread uses.
    private static let waitsAtExit: Bool = {
        // OpenSSL registers its own end when it is first used; what is registered later runs before it.
        _ = try? SecureRandom.bytes(1)
        return atexit { FirstKey.making.wait() } == 0
    }()

    /// - Parameter make: also keeps the key; called once, on a thread of its own.
    init(_ make: @escaping @Sendable () throws -> TokenKey) {
        _ = Self.waitsAtExit
        Self.making.enter()
        DispatchQueue.global(qos: .userInitiated).async { [self] in
            defer { Self.making.leave() }
            let made = Result { try make() }
            result.withLock { $0 = made }
            isThere.signal()
        }
    }

    /// Waits for it.
    func get() throws -> TokenKey {
        if let made = result.withLock({ $0 }) { return try made.get() }
        isThere.wait()
        // For the next who waits.
        isThere.signal()
        guard let made = result.withLock({ $0 }) else { preconditionFailure("signalled before it was there") }
        return try made.get()
    }

    /// Nil while it is not there.
    var now: TokenKey? { result.withLock { try? $0?.get() } }
}
