internal import Cryptography
internal import Synchronization

/// The meters of all that ask for something, shared by all event loops.
final class RequestMeters: Sendable {
    enum Key: Hashable, Sendable {
        case subaccount([UInt8])
        case client([UInt8])
        /// Of one connector; as the program wrote it, in lower case.
        case virtualHost(ConnectorIdentity, [UInt8])
        /// Those for which there is no room, together.
        case others
    }

    /// Meters that are kept: names come from clients.
    static let limit = 20_000

    private let meters = Mutex<[Key: RequestMeter]>([:])
    private let others = RequestMeter()
    private let refusals = Mutex<[Scope: Int]>([:])

    enum Scope: String, Sendable, CaseIterable {
        case subaccount, client
        case virtualHost = "virtual_host"
    }

    func meter(_ key: Key, now: Int64) -> RequestMeter {
        meters.withLock { meters in
            if let meter = meters[key] { return meter }
            if meters.count >= Self.limit { meters = meters.filter { !$0.value.isIdle(now: now) } }
            guard meters.count < Self.limit else { return others }
            let meter = RequestMeter()
            meters[key] = meter
            return meter
        }
    }

    func refused(_ scope: Scope) { refusals.withLock { $0[scope, default: 0] += 1 } }
    var refusalCounts: [Scope: Int] { refusals.withLock { $0 } }
    var count: Int { meters.withLock { $0.count } }
}

/// What one connection's requests count for, found once for the same names.
struct MeteredNames {
    let subaccount: RequestMeter
    let client: RequestMeter
    let virtualHost: RequestMeter
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
        ] as [(RequestMeters.Scope, RequestMeter, RequestLimits)] where limits.isOn {
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
