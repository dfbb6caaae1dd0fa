package import HostSystem
package import NIOCore
internal import Synchronization

/// Tells systemd that the event loops get on. An idle loop answers at once; a stuck one does not, and after
/// `WatchdogSec` systemd restarts the service.
package struct Watchdog {
    package let notifier: SystemdNotifier
    let eventLoops: @Sendable () -> [any EventLoop]

    package init(notifier: SystemdNotifier, eventLoops: @escaping @Sendable () -> [any EventLoop]) {
        self.notifier = notifier
        self.eventLoops = eventLoops
    }

    /// Runs until its task is cancelled.
    package func run() async {
        guard let microseconds = notifier.watchdogMicroseconds else { return }
        while !Task.isCancelled {
            // All loops have to answer before the next sign of life.
            for loop in eventLoops() { try? await loop.submit {}.get() }
            notifier.watchdog()
            try? await Task.sleep(for: .microseconds(microseconds / 3))
        }
    }
}
