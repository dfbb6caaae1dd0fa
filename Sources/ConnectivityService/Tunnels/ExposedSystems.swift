package import ControlProtocol

/// What a connector says it offers, as far as the service remembers it. A change costs what it changes, however long the list
/// is; what is beyond the limit is only counted.
package struct ExposedSystems: Sendable {
    package private(set) var list: [ExposedSystem] = []
    /// Systems that the connector told of and that are not in `list`. Requests reach them all the same: the connector decides.
    package private(set) var omitted = 0
    private var places: [String: Int] = [:]

    package init() {}

    /// Forgets everything, for a list that begins anew.
    package mutating func removeAll() { self = ExposedSystems() }

    /// - Parameter room: systems that may be added.
    /// - Returns: how many were.
    package mutating func append(_ systems: [ExposedSystem], room: Int) -> Int {
        let before = list.count
        for system in systems {
            let system = system.bounded
            if let place = places[system.host] {
                list[place] = system
            } else if list.count - before < room {
                places[system.host] = list.count
                list.append(system)
            } else {
                omitted += 1
            }
        }
        return list.count - before
    }

    /// Changes the availability of systems that are known; others are passed over.
    package mutating func apply(_ changes: [ControlMessage.AvailabilityChange]) {
        for change in changes {
            guard let place = places[change.host] else { continue }
            list[place].availability = change.availability.bounded(64)
        }
    }
}

/// Counts what is remembered.
struct ExposedSystemCounts: Sendable {
    private var bySubaccount: [String: Int] = [:]
    private var total = 0

    /// - Parameter own: systems that are remembered of the connector already.
    func room(_ subaccount: String, own: Int, _ limits: ExposedSystemLimits) -> Int {
        max(
            0,
            min(
                limits.perConnector - own,
                limits.perSubaccount - bySubaccount[subaccount, default: 0],
                limits.inAll - total
            )
        )
    }

    mutating func add(_ count: Int, _ subaccount: String) {
        total += count
        let sum = bySubaccount[subaccount, default: 0] + count
        bySubaccount[subaccount] = sum > 0 ? sum : nil
    }
}
