internal import Cryptography
internal import Synchronization

/// The meters of all that ask for something, shared by all event loops.
final class RequestMeters: Sendable {
    enum Key: Hashable, Sendable {
        case subaccount([UInt8])
        case client([UInt8])
        /// Of one connector; host and port in one form.
        case virtualHost(ConnectorIdentity, [UInt8])

        var scope: Scope {
            switch self {
            case .subaccount: .subaccount
            case .client: .client
            case .virtualHost: .virtualHost
            }
        }
    }

    enum Scope: String, Sendable, CaseIterable {
        case subaccount, client
        case virtualHost = "virtual_host"
    }

    /// Meters of one scope that are kept: names come from clients.
    static let limit = 20_000

    private struct Table {
        var meters: [Key: RequestMeter] = [:]
        /// For those for which there is no room, together.
        let others = RequestMeter()
        /// Not more often than once a second: it looks at all of them.
        var trimmed = Int64.min
    }

    private let tables = Mutex<[Scope: Table]>([:])
    private let refusals = Mutex<[Scope: Int]>([:])

    func meter(_ key: Key, now: Int64) -> RequestMeter {
        tables.withLock { tables in
            if let meter = tables[key.scope]?.meters[key] { return meter }
            var table = tables.removeValue(forKey: key.scope) ?? Table()
            defer { tables[key.scope] = table }
            if table.meters.count >= Self.limit, table.trimmed < now - 1_000_000_000 {
                table.trimmed = now
                for (name, meter) in table.meters where meter.isIdle(now: now) {
                    meter.retire()
                    table.meters[name] = nil
                }
            }
            guard table.meters.count < Self.limit else { return table.others }
            let meter = RequestMeter()
            table.meters[key] = meter
            return meter
        }
    }

    func refused(_ scope: Scope) { refusals.withLock { $0[scope, default: 0] += 1 } }
    var refusalCounts: [Scope: Int] { refusals.withLock { $0 } }
    func count(_ scope: Scope) -> Int { tables.withLock { $0[scope]?.meters.count ?? 0 } }
}

/// What one connection's requests count for, found once for the same names.
struct MeteredNames {
    let subaccount: RequestMeter
    let client: RequestMeter
    /// Nil where there is no connector, so that nobody is behind the name.
    let virtualHost: RequestMeter?

    /// None has been forgotten, for another one to take its place.
    var isCurrent: Bool { !subaccount.isRetired && !client.isRetired && !(virtualHost?.isRetired ?? false) }
}

/// A request that was let in, until it is over.
final class Admission {
    private let meters: [(RequestMeter, RequestLimits)]
    /// Of the request and its response, to be set before it ends.
    var bytes = 0
    private var isOver = false

    /// - Returns: nil where `excess` is set.
    init?(
        _ names: MeteredNames,
        _ limits: FairnessLimits,
        now: Int64,
        excess: inout (scope: RequestMeters.Scope, Excess)?
    ) {
        var admitted: [(RequestMeter, RequestLimits)] = []
        for (scope, meter, limits) in [
            (.subaccount, names.subaccount, limits.subaccount), (.client, names.client, limits.client),
            (.virtualHost, names.virtualHost, limits.virtualHost),
        ] as [(RequestMeters.Scope, RequestMeter?, RequestLimits)] where limits.isOn {
            guard let meter else { continue }
            if let found = meter.begin(limits, now: now) {
                for (meter, limits) in admitted { meter.takeBack(limits) }
                excess = (scope, found)
                return nil
            }
            admitted.append((meter, limits))
        }
        meters = admitted
    }

    /// A connection that goes away has told nobody of its end.
    deinit { end(now: 0) }

    func end(now: Int64) {
        guard !isOver else { return }
        isOver = true
        for (meter, limits) in meters { meter.end(limits, bytes: bytes, now: now) }
    }
}
