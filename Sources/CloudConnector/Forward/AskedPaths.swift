internal import NIOCore

/// What was asked of one system: counts by method and path for each of the last hours, for learning what it needs and for
/// rehearsing a change. Used on one event loop only.
struct AskedPaths {
    /// Hours that are told apart.
    static let hours = 24
    /// Bytes of a path; longer ones are not kept.
    static let pathLimit = 512
    /// Bytes of a method that is none of the common ones.
    static let methodLimit = 32
    /// Paths that one event loop keeps of all its systems.
    static let limit = 10_000

    struct Entry {
        let method: RequestMethod
        let path: [UInt8]
        fileprivate let hash: UInt64
        /// The last hour in which it was asked for, since the machine's start.
        var hour: Int
        /// By hour, modulo their number.
        var counts = [UInt32](repeating: 0, count: AskedPaths.hours)
        /// Of all of them, those that were refused by the policy.
        var refused = 0
    }

    private(set) var entries: [Entry] = []
    private let seed = UInt64.random(in: 0...UInt64.max)
    /// Places of entries by their hash, -1 for none; each is looked for from its own on. A power of two, at most half of them taken.
    private var slots: [Int32] = []
    /// Requests that were not kept, because there were too many paths, or theirs or their method is too long.
    private(set) var missed = 0

    static func hour(_ time: NIODeadline) -> Int { Int(time.uptimeNanoseconds / 3_600_000_000_000) }

    /// - Parameter room: of the loop for one more path.
    /// - Returns: whether a path was added.
    mutating func record(
        _ method: RequestMethod,
        _ path: ArraySlice<UInt8>,
        at hour: Int,
        isRefused: Bool,
        hasRoom: Bool
    ) -> Bool {
        let code = method.code
        let hash = hash(code, path)
        if let place = place(code, path, hash) {
            count(place, hour, isRefused)
            return false
        }
        guard hasRoom, path.count <= Self.pathLimit, method.isShort else {
            missed += 1
            return false
        }
        entries.append(Entry(method: method, path: Array(path), hash: hash, hour: hour))
        if entries.count * 2 > slots.count { build() } else { fill(entries.count - 1) }
        count(entries.count - 1, hour, isRefused)
        return true
    }

    private func place(_ code: UInt64, _ path: ArraySlice<UInt8>, _ hash: UInt64) -> Int? {
        guard !slots.isEmpty else { return nil }
        var slot = slot(hash)
        while slots[slot] >= 0 {
            let place = Int(slots[slot])
            if entries[place].hash == hash, entries[place].method.code == code, entries[place].path.elementsEqual(path)
            {
                return place
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private mutating func build() {
        var count = 16
        while count < entries.count * 4 { count *= 2 }
        slots = [Int32](repeating: -1, count: count)
        for place in entries.indices { fill(place) }
    }

    private mutating func fill(_ place: Int) {
        var slot = slot(entries[place].hash)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(place)
    }

    private mutating func count(_ place: Int, _ hour: Int, _ isRefused: Bool) {
        let last = entries[place].hour
        if hour > last {
            // What lies between was quiet.
            for quiet in (last + 1)...max(last + 1, hour) where quiet > hour - Self.hours {
                entries[place].counts[quiet % Self.hours] = 0
            }
            entries[place].hour = hour
        }
        entries[place].counts[hour % Self.hours] &+= 1
        if isRefused { entries[place].refused += 1 }
    }

    /// Lets go of what nobody has asked for in all of the hours.
    ///
    /// - Returns: how many paths went.
    mutating func trim(at hour: Int) -> Int {
        let kept = entries.filter { $0.hour > hour - Self.hours }
        let gone = entries.count - kept.count
        guard gone > 0 else { return 0 }
        entries = kept
        build()
        return gone
    }

    /// FNV-1a from a beginning that nobody knows, so that nobody can choose paths that share a slot.
    private func hash(_ method: UInt64, _ path: ArraySlice<UInt8>) -> UInt64 {
        var hash = seed ^ method
        for byte in path { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash
    }

    /// From the high bits, which all of a path's bytes have a part in.
    private func slot(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: (hash &* 0x9E37_79B9_7F4A_7C15) >> 32) & (slots.count - 1)
    }

    /// - Parameter since: hours back.
    func all(at hour: Int, since: Int) -> [(method: String, path: [UInt8], count: Int, refused: Int)] {
        entries.compactMap { entry in
            let count = (max(hour - since + 1, entry.hour - Self.hours + 1)...hour).reduce(0) { sum, at in
                at > entry.hour ? sum : sum + Int(entry.counts[((at % Self.hours) + Self.hours) % Self.hours])
            }
            return count == 0 ? nil : (entry.method.description, entry.path, count, entry.refused)
        }
    }
}

extension RequestMethod {
    fileprivate var isShort: Bool {
        if case .other(let name) = self { name.count <= AskedPaths.methodLimit } else { true }
    }

    /// Tells methods apart; others than the common ones by what they are called.
    fileprivate var code: UInt64 {
        switch self {
        case .get: 1
        case .head: 2
        case .post: 3
        case .put: 4
        case .patch: 5
        case .delete: 6
        case .options: 7
        case .other(let name): name.reduce(1 << 40) { ($0 << 5) ^ UInt64($1) }
        }
    }
}
