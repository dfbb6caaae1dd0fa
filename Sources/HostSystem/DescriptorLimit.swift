internal import Glibc

/// How many descriptors the process may use for connections: what the system allows, less some that are kept for
/// tunnels, files and the admin socket.
package enum DescriptorLimit {
    /// Kept back.
    package static let reserve = 48

    /// - Parameter wanted: a configured number of connections.
    package static func cap(_ wanted: Int) -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return wanted }
        let allowed = Int(clamping: limit.rlim_cur)
        return min(wanted, max(8, allowed - reserve))
    }
}
