/// One of several services that share a store, as another one sees it.
package struct PeerStatus: Codable, Sendable {
    package var name: String
    /// Where it is reached by the others.
    package var address: String
    package var version: String
    /// Why nothing more is known; nil where it has answered.
    package var failure: String?
    package var startedAt: Int?
    package var isDraining: Bool?
    /// Connectors that have tunnels to it, and their tunnels.
    package var connectors: Int
    package var tunnels: Int

    package init(name: String, address: String, version: String, failure: String?) {
        (self.name, self.address, self.version, self.failure) = (name, address, version, failure)
        (connectors, tunnels) = (0, 0)
    }

    /// With what it says of itself.
    package mutating func take(_ status: ServiceStatus) {
        (startedAt, isDraining, version) = (status.startedAt, status.isDraining, status.version)
        connectors = status.connectors.count { $0.tunnels > 0 }
        tunnels = status.connectors.reduce(0) { $0 + $1.tunnels }
    }
}

extension ServiceStatus {
    /// Adds what another service says of its connectors: those that are not here as they are there, and of all, where their tunnels are.
    package mutating func add(_ other: ServiceStatus, of name: String) {
        var places: [[String]: Int] = [:]
        for (place, connector) in connectors.enumerated() {
            places[[connector.subaccount, connector.locationID]] = place
        }
        for connector in other.connectors {
            guard let place = places[[connector.subaccount, connector.locationID]] else {
                var new = connector
                new.services = connector.tunnels > 0 ? [name: connector.tunnels] : nil
                connectors.append(new)
                continue
            }
            if connector.tunnels > 0 {
                var tunnels = connectors[place].services ?? [:]
                tunnels[name] = connector.tunnels
                if connectors[place].tunnels == 0 { connectors[place] = connector }
                connectors[place].services = tunnels
            }
        }
        connectors.sort { ($0.subaccount, $0.locationID) < ($1.subaccount, $1.locationID) }
    }
}
