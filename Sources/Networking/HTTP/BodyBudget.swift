internal import Synchronization

/// The memory that bodies of requests take on one listener while they arrive, shared out among addresses: half a body from
/// each of many connections is all it takes to fill a machine otherwise.
package final class BodyBudget: Sendable {
    let limits: HTTPServerLimits

    private struct Usage {
        var total = 0
        var byAddress: [String: Int] = [:]
    }

    private let usage = Mutex(Usage())

    package init(_ limits: HTTPServerLimits = HTTPServerLimits()) { self.limits = limits }

    /// - Parameter address: of the client; empty for a socket in the file system.
    /// - Returns: whether there was room.
    func reserve(_ bytes: Int, _ address: String) -> Bool {
        usage.withLock { usage in
            let own = usage.byAddress[address, default: 0]
            guard usage.total + bytes <= limits.allBodyBytes,
                address.isEmpty || own + bytes <= limits.allBodyBytes / 4 * 3
            else { return false }
            usage.total += bytes
            usage.byAddress[address] = own + bytes
            return true
        }
    }

    func release(_ bytes: Int, _ address: String) {
        guard bytes > 0 else { return }
        usage.withLock { usage in
            usage.total -= bytes
            let own = usage.byAddress[address, default: 0] - bytes
            usage.byAddress[address] = own > 0 ? own : nil
        }
    }

    var used: Int { usage.withLock { $0.total } }
}
