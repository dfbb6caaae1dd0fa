internal import CGlibc

/// How much memory the machine has, and how much of it this process holds; in KiB.
package struct MemoryFigures: Sendable {
    package private(set) var totalKiB = 0
    package private(set) var availableKiB = 0
    package private(set) var swapKiB = 0
    package private(set) var freeSwapKiB = 0
    package let residentKiB: Int

    /// What they are now. Asked of the kernel, as the service sees nothing of `/proc` but itself.
    package init() {
        residentKiB = ProcessMemory.resident() / 1024
        var info = sysinfo()
        guard unsafe sysinfo(&info) == 0 else { return }
        func kibibytes(_ count: UInt) -> Int { Int(count) * Int(info.mem_unit) / 1024 }
        totalKiB = kibibytes(info.totalram)
        availableKiB = kibibytes(info.freeram + info.bufferram)
        swapKiB = kibibytes(info.totalswap)
        freeSwapKiB = kibibytes(info.freeswap)
    }
}
