package import Cryptography
internal import Synchronization

/// The keys of an identity provider: from a file, or fetched from a URL and kept fresh.
package final class IssuerKeys: Sendable {
    private struct State {
        var keys: [WebKey] = []
        /// Seconds since 1970; nil for never.
        var fetchedAt: Int?
        var triedAt: Int?
        var failure: String?
        /// A token names a key that is not here: perhaps a new one.
        var isWanted = false
    }

    /// Nil for keys that do not change.
    package let url: String?
    private let state: Mutex<State>

    /// Seconds after which keys are fetched anew.
    package static let lifetime = 3600
    /// Between two attempts, whatever tokens ask for.
    package static let pause = 30

    package init(_ keys: [WebKey]) {
        url = nil
        state = Mutex(State(keys: keys))
    }

    package init(url: String) {
        self.url = url
        state = Mutex(State())
    }

    /// The keys that may have signed a token: the one it names, or, where it names none, the only one there is.
    func keys(for id: String?) -> [WebKey] {
        state.withLock { state in
            guard let id else { return state.keys.count == 1 ? state.keys : [] }
            let found = state.keys.filter { $0.id?.utf8.elementsEqual(id.utf8) ?? false }
            if found.isEmpty { state.isWanted = true }
            return found
        }
    }

    /// Why there are no keys; nil where there are some.
    var failure: String? { state.withLock { $0.keys.isEmpty ? $0.failure ?? "they have not been fetched yet" : nil } }

    // MARK: Fetching

    /// Whether it is time to fetch the keys.
    package func isDue(now: Int) -> Bool {
        guard url != nil else { return false }
        return state.withLock { state in
            guard let tried = state.triedAt else { return true }
            guard now - tried >= Self.pause else { return false }
            guard let fetched = state.fetchedAt, state.failure == nil else { return true }
            return state.isWanted || now - fetched >= Self.lifetime
        }
    }

    /// Has them fetched again soon; those of before stay in use meanwhile.
    package func expire() { state.withLock { ($0.triedAt, $0.isWanted) = (nil, true) } }

    /// Takes what was fetched; what is no key set changes nothing.
    ///
    /// - Returns: what is wrong with it.
    package func took(_ bytes: [UInt8], now: Int) -> String? {
        do throws(TLSError) {
            let keys = try WebKey.set(bytes)
            state.withLock { $0 = State(keys: keys, fetchedAt: now, triedAt: now) }
            return nil
        } catch {
            failed("\(error)", now: now)
            return "\(error)"
        }
    }

    /// The keys of before stay in use.
    package func failed(_ cause: String, now: Int) {
        state.withLock { state in
            (state.failure, state.triedAt, state.isWanted) = (cause, now, false)
        }
    }

    /// What another one has fetched from the same place.
    func adopt(_ other: IssuerKeys) {
        guard let url, url == other.url else { return }
        let known = other.state.withLock { $0 }
        state.withLock { $0 = known }
    }
}
