import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import DaemonSupport

struct DaemonPartsTests {
    private final class Order: Sendable {
        private let names = Mutex<[String]>([])
        func note(_ name: String) { names.withLock { $0.append(name) } }
        var all: [String] { names.withLock { $0 } }
    }

    private struct Taken: Error {}

    @Test("A start that fails stops what it has started, the last part first")
    func unwinding() async {
        let order = Order()
        await #expect(throws: Taken.self) {
            _ = try await DaemonParts.start { parts in
                parts.add { order.note("audit") }
                parts.add { order.note("admin") }
                parts.add { order.note("listener") }
                throw Taken()
            }
        }
        #expect(order.all == ["listener", "admin", "audit"])
    }

    @Test("A start that succeeds stops nothing; the end does, in the same order")
    func end() async throws {
        let order = Order()
        let (daemon, parts) = try await DaemonParts.start { parts in
            parts.add { order.note("audit") }
            parts.add { order.note("connectors") }
            return "daemon"
        }
        #expect(daemon == "daemon" && order.all.isEmpty)
        var configuration = ServiceGroupConfiguration(services: parts.services, logger: .init(label: "test"))
        configuration.gracefulShutdownSignals = []
        let group = ServiceGroup(configuration: configuration)
        await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            tasks.addTask { await group.triggerGracefulShutdown() }
            try? await tasks.waitForAll()
        }
        #expect(order.all == ["connectors", "audit"])
    }
}
