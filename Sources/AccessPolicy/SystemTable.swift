/// Finds a system by virtual host and port in constant time, without making a string of the host.
struct SystemTable: Sendable {
    private struct Entry {
        var host: Range<Int>
        var port: UInt16
        var system: Int
    }

    /// Open addressing over a power of two at least twice the number of entries; -1 is empty.
    private var slots: [Int32]
    private var entries: [Entry] = []
    private var bytes: [UInt8] = []
    private var internalAddresses: [String: Int] = [:]
    private var internalHosts: [String: Int] = [:]

    init(_ systems: [SystemMapping]) {
        var size = 8
        let ports = systems.reduce(0) { $0 + $1.portCount }
        while size < ports * 2 { size *= 2 }
        slots = Array(repeating: -1, count: size)
        entries.reserveCapacity(ports)
        internalAddresses.reserveCapacity(systems.count)
        for (index, system) in systems.enumerated() {
            let name = Array(system.virtualHost.utf8)
            for offset in 0..<system.portCount { insert(name, system.virtualPort + UInt16(offset), index) }
            let host = system.internalHost.lowercased()
            let address = "\(host):\(system.internalPort)"
            if internalAddresses[address] == nil { internalAddresses[address] = index }
            if internalHosts[host] == nil { internalHosts[host] = index }
        }
    }

    private mutating func insert(_ host: [UInt8], _ port: UInt16, _ system: Int) {
        guard find(host.span, port) == nil else { return }
        var slot = Self.hash(host.span, port) & (slots.count - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(entries.count)
        let start = bytes.count
        bytes.append(contentsOf: host)
        entries.append(Entry(host: start..<bytes.count, port: port, system: system))
    }

    func find(_ host: Span<UInt8>, _ port: UInt16) -> Int? {
        var slot = Self.hash(host, port) & (slots.count - 1)
        while slots[slot] >= 0 {
            let entry = entries[Int(slots[slot])]
            if entry.port == port, equals(entry.host, host) { return entry.system }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    func findInternal(_ host: String, _ port: UInt16) -> Int? { internalAddresses["\(host):\(port)"] }
    func findInternal(_ host: String) -> Int? { internalHosts[host] }

    private func equals(_ stored: Range<Int>, _ host: Span<UInt8>) -> Bool {
        guard stored.count == host.count else { return false }
        for offset in 0..<host.count where bytes[stored.lowerBound + offset] != ASCII.lowercased(host[offset]) {
            return false
        }
        return true
    }

    /// FNV-1a over the lower-case host, then the port. Keys come from the configuration, so nobody outside can make
    /// them collide; a look-up ends at the first empty slot.
    private static func hash(_ host: Span<UInt8>, _ port: UInt16) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in 0..<host.count {
            hash = (hash ^ UInt64(ASCII.lowercased(host[index]))) &* 0x100_0000_01B3
        }
        hash = (hash ^ UInt64(port)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: hash >> 20)
    }
}
