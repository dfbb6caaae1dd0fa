internal import Glibc

/// A datagram socket for one address: journald's, or the one that systemd gives for notifications.
final class UnixDatagram: Sendable {
    private let descriptor: Int32
    private let path: String

    /// - Parameter path: a leading "@" stands for the abstract name space.
    /// - Returns: nil where the path is too long for an address.
    init?(path: String) {
        guard !path.isEmpty, path.utf8.count < 108 else { return nil }
        self.path = path
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// - Returns: whether the receiver took it.
    func send(_ octets: [UInt8]) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let sent = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, octets, octets.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
        return sent == octets.count
    }
}

/// Tells systemd how the service is doing (sd_notify(3)). Does nothing outside of systemd.
package final class SystemdNotifier: Sendable {
    private let socket: UnixDatagram?
    /// Microseconds between signs of life that systemd waits for; nil where it does not watch.
    package let watchdogMicroseconds: Int?

    package init() {
        socket = getenv("NOTIFY_SOCKET").flatMap { UnixDatagram(path: String(cString: $0)) }
        let isForUs = getenv("WATCHDOG_PID").map { Int32(String(cString: $0)) == getpid() } ?? true
        watchdogMicroseconds =
            isForUs ? getenv("WATCHDOG_USEC").flatMap { Int(String(cString: $0)) }.flatMap { $0 > 0 ? $0 : nil } : nil
        // Not for programs that this one may start.
        unsetenv("NOTIFY_SOCKET")
        unsetenv("WATCHDOG_USEC")
        unsetenv("WATCHDOG_PID")
    }

    package func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }
    package func status(_ status: String) { send("STATUS=\(status)") }
    package func stopping() { send("STOPPING=1\nSTATUS=Finishing requests in flight") }
    package func watchdog() { send("WATCHDOG=1") }

    /// Before a reload; `ready` ends it. The time is for `Type=notify-reload` (systemd 253 and newer).
    package func reloading() {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        send("RELOADING=1\nMONOTONIC_USEC=\(Int(now.tv_sec) * 1_000_000 + Int(now.tv_nsec) / 1000)")
    }

    private func send(_ text: String) {
        _ = socket?.send(Array(text.utf8))
    }
}
