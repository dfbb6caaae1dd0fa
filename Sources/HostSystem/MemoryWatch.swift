internal import CGlibc

/// Decides when the allocator has so much that nobody uses that it should give it back: after a storm, not within one, and once
/// what has been set up is there, since setting it up (a tunnel's handshake) takes more than it leaves, in pieces between.
///
/// What it cannot give back (pieces between others that are in use) is remembered, so that it is not asked for the same again
/// and again.
package struct MemoryWatch {
    /// Bytes that are worth the milliseconds: an eighth of what the process holds, but not fewer than this.
    static let smallest = 1 << 20
    /// What stayed unused after the last time.
    private var rest: Int?
    /// There was too much the last time as well: traffic that comes and goes is not a storm that is over.
    private var wasTooMuch = false
    /// In use after the last release. The first one, at the start, counts for nothing: there is more to come.
    private var settled: Int?
    /// In use at the last look.
    private var lastUsed = 0
    /// Looks in a row that found as much in use as the one before: idle tunnels give up their buffers within seconds.
    private var stillLooks = 0
    static let enoughLooks = 5

    package init() {}

    /// - Parameters:
    ///   - resident: bytes of the process in memory.
    ///   - used: bytes that have been allocated and not freed.
    package mutating func mustRelease(resident: Int, used: Int) -> Bool {
        let unused = max(0, resident - used)
        // Only a release tells what cannot be given back: the first look may find a storm that is over already.
        guard let rest else { return true }
        stillLooks = abs(used - lastUsed) <= used / 64 ? stillLooks + 1 : 0
        lastUsed = used
        let hasChanged = settled.map { abs(used - $0) > max(Self.smallest / 2, $0 / 8) } ?? true
        if hasChanged, stillLooks >= Self.enoughLooks { return true }
        let least = min(rest, unused)
        self.rest = least
        let isTooMuch = unused > least + max(Self.smallest, resident / 8)
        defer { wasTooMuch = isTooMuch }
        return isTooMuch && wasTooMuch
    }

    /// What a release has left.
    package mutating func released(resident: Int, used: Int) {
        settled = rest == nil ? nil : used
        rest = max(0, resident - used)
        (wasTooMuch, lastUsed, stillLooks) = (false, used, 0)
    }

    /// Looks at this process, and has it give back what it should. Takes up to some milliseconds: never on an event loop.
    package mutating func look() {
        guard mustRelease(resident: ProcessMemory.resident(), used: ProcessMemory.used()) else { return }
        ProcessMemory.release()
        released(resident: ProcessMemory.resident(), used: ProcessMemory.used())
    }
}
