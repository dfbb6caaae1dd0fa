internal import Glibc

/// Under which address others reach this machine.
package enum MachineAddress {
    /// Of the first interface that is up and is no loopback, IPv4 before IPv6, without addresses that hold for one link only; nil where there
    /// is none. In a container that is the container's own.
    package static var first: String? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return nil }
        defer { unsafe freeifaddrs(list) }
        var (v4, v6): (String?, String?)
        var entry = unsafe list
        while let current = unsafe entry {
            let flags = unsafe current.pointee.ifa_flags
            let isUsable = flags & UInt32(IFF_UP) != 0 && flags & UInt32(IFF_LOOPBACK) == 0
            if isUsable, let address = unsafe current.pointee.ifa_addr {
                switch unsafe CInt(address.pointee.sa_family) {
                case AF_INET where v4 == nil: v4 = unsafe text(address, MemoryLayout<sockaddr_in>.size)
                case AF_INET6 where v6 == nil:
                    if let found = unsafe text(address, MemoryLayout<sockaddr_in6>.size), !found.contains("%") {
                        v6 = found
                    }
                default: break
                }
            }
            unsafe entry = current.pointee.ifa_next
        }
        return v4 ?? v6
    }

    private static func text(_ address: UnsafeMutablePointer<sockaddr>, _ size: Int) -> String? {
        var bytes = [CChar](repeating: 0, count: 128)
        guard unsafe getnameinfo(address, socklen_t(size), &bytes, socklen_t(bytes.count), nil, 0, NI_NUMERICHOST) == 0
        else { return nil }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
