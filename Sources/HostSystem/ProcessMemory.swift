internal import CGlibc
internal import Glibc

/// What the process holds.
package enum ProcessMemory {
    /// Bytes in memory now (proc(5), statm); 0 where the system does not tell.
    package static func resident() -> Int {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 128)
        let count = unsafe read(descriptor, &text, text.count)
        guard count > 0 else { return 0 }
        let fields = text[..<count].split(separator: UInt8(ascii: " "))
        guard fields.count > 1, let pages = Int(String(decoding: fields[1], as: UTF8.self)) else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Bytes that the process may take as it seems: of the machine, or of its control group where that is less (cgroups(7),
    /// memory.max).
    package static func available() -> Int {
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        let machine = pages > 0 ? pages * Int(sysconf(Int32(_SC_PAGESIZE))) : Int.max
        guard let bytes = try? PlainFile.read("/sys/fs/cgroup/memory.max", maxBytes: 64),
            let group = Int(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)), group > 0
        else { return machine }
        return min(machine, group)
    }

    /// Bytes that have been allocated and not freed (mallinfo(3)). Goes through the allocator's free lists.
    package static func used() -> Int {
        let info = mallinfo2()
        return Int(info.uordblks) + Int(info.hblkhd)
    }

    /// Gives back to the system what the process holds without using it. A reload reads and checks a whole file, a crowd comes
    /// and goes, and what that took stays with the allocator otherwise, for each thread that ever did it. Takes milliseconds:
    /// never on the request path.
    package static func release() { malloc_trim(0) }
}
