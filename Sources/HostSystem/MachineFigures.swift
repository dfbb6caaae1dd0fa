internal import CGlibc
internal import Glibc

/// How busy a machine is, and how full the file system that a folder is on.
package struct MachineFigures: Sendable {
    /// Processes that run or want to, averaged over the last minute, in percent of the processors; at most 100. Asked of the
    /// kernel, as the service sees nothing of `/proc` but itself.
    package let loadPercent: Int
    /// Seconds of processor time that this process has taken so far.
    package let ownSeconds: Double
    package let processors: Int
    /// Of the folder's file system; nil where there is no such folder.
    package private(set) var totalMiB: Int?
    /// For those without privileges.
    package private(set) var freeMiB: Int?

    package init(folder: String) {
        processors = max(sysconf(CInt(_SC_NPROCESSORS_ONLN)), 1)
        var info = sysinfo()
        // Fixed point of 16 bits (sysinfo(2)).
        let load = unsafe sysinfo(&info) == 0 ? Double(info.loads.0) / 65_536 : 0
        loadPercent = min(Int(load * 100) / processors, 100)
        var usage = rusage()
        unsafe _ = getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
        ownSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        var system = statvfs()
        guard unsafe statvfs(folder, &system) == 0 else { return }
        func mebibytes(_ blocks: UInt) -> Int { Int(clamping: (UInt64(blocks) * UInt64(system.f_frsize)) >> 20) }
        totalMiB = mebibytes(system.f_blocks)
        freeMiB = mebibytes(system.f_bavail)
    }
}
