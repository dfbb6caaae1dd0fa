internal import Glibc

/// Tells systemd how the service is doing (sd_notify(3)). Does nothing outside of systemd.
package final class SystemdNotifier: Sendable {
    private let socket: UnixDatagram?
    /// Microseconds between signs of life that systemd waits for; nil where it does not watch.
    package let watchdogMicroseconds: Int?

    package init() {
        socket = unsafe getenv("NOTIFY_SOCKET").flatMap { unsafe UnixDatagram(path: String(cString: $0)) }
        let isForUs = unsafe getenv("WATCHDOG_PID").map { unsafe Int32(String(cString: $0)) == getpid() } ?? true
        watchdogMicroseconds =
            unsafe isForUs
            ? getenv("WATCHDOG_USEC").flatMap { unsafe Int(String(cString: $0)) }.flatMap { $0 > 0 ? $0 : nil } : nil
        // Not for programs that this one may start.
        unsafe unsetenv("NOTIFY_SOCKET")
        unsafe unsetenv("WATCHDOG_USEC")
        unsafe unsetenv("WATCHDOG_PID")
    }

    /// The start, or a reload, is done.
    package func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }
    /// One line for `systemctl status`.
    package func status(_ status: String) { send("STATUS=\(status)") }
    /// The end has begun.
    package func stopping() { send("STOPPING=1\nSTATUS=Finishing requests in flight") }
    /// Still alive; due within half of WATCHDOG_USEC.
    package func watchdog() { send("WATCHDOG=1") }

    /// Before a reload; `ready` ends it. The time is for `Type=notify-reload` (systemd 253 and newer).
    package func reloading() {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        send("RELOADING=1\nMONOTONIC_USEC=\(Int(now.tv_sec) * 1_000_000 + Int(now.tv_nsec) / 1000)")
    }

    private func send(_ text: String) {
        _ = socket?.send(Array(text.utf8))
    }
}
