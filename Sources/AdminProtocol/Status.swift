package import ControlProtocol

/// What `connectord status` shows of a connector; the answer of `GET /status` on its admin socket.
package struct ConnectorStatus: Codable, Sendable {
    /// One tunnel, as its connector sees it.
    package struct Tunnel: Codable, Sendable {
        package var service: String
        package var connectedSince: Int
        package var streams: Int
        /// Of the last ping.
        package var roundTripMilliseconds: Double?
        /// Since the service was heard, where that is longer than it should be.
        package var silentSeconds: Int?
        /// There is no control stream: the other end does not hear what is exposed. Nil for false.
        package var isStatic: Bool?

        package init(
            service: String,
            connectedSince: Int,
            streams: Int,
            roundTripMilliseconds: Double?,
            silentSeconds: Int? = nil,
            isStatic: Bool = false
        ) {
            self.isStatic = isStatic ? true : nil
            self.service = service
            self.connectedSince = connectedSince
            self.streams = streams
            self.roundTripMilliseconds = roundTripMilliseconds
            self.silentSeconds = silentSeconds
        }
    }

    /// A system mapping, and what the last check of its internal host said.
    package struct System: Codable, Sendable {
        package var virtualHost: String
        package var internalHost: String
        package var `protocol`: String
        package var activeResources: Int
        package var availability: Availability
        /// While everything below it passes: until when, in seconds since 1970.
        package var learnsUntil: Int?

        package init(
            virtualHost: String,
            internalHost: String,
            `protocol`: String,
            activeResources: Int,
            availability: Availability,
            learnsUntil: Int? = nil
        ) {
            self.learnsUntil = learnsUntil
            self.virtualHost = virtualHost
            self.internalHost = internalHost
            self.protocol = `protocol`
            self.activeResources = activeResources
            self.availability = availability
        }
    }

    package struct Connector: Codable, Sendable {
        package var subaccount: String
        package var locationID: String
        package var file: String
        package var service: String
        /// "Connected", "ConnectFailure" or "Disconnected", as SAP's product has it.
        package var state: String
        package var tunnels: [Tunnel]
        /// Of addresses without a tunnel: why there is none.
        package var failures: [String: String]
        /// Seconds since 1970; nil where the certificate cannot be read.
        package var certificateExpires: Int?
        package var systems: [System]
        /// Another connector of the same identity serves, and this one takes over when it goes. Nil for false.
        package var isStandingBy: Bool?

        package init(
            subaccount: String,
            locationID: String,
            file: String,
            service: String,
            state: String,
            tunnels: [Tunnel],
            failures: [String: String],
            certificateExpires: Int?,
            systems: [System]
        ) {
            self.subaccount = subaccount
            self.locationID = locationID
            self.file = file
            self.service = service
            self.state = state
            self.tunnels = tunnels
            self.failures = failures
            self.certificateExpires = certificateExpires
            self.systems = systems
        }
    }

    package var version: String
    package var startedAt: Int
    package var configuration: ConfigurationState
    package var logLevel: String
    package var audit: String
    package var connectors: [Connector]

    package init(
        version: String,
        startedAt: Int,
        configuration: ConfigurationState,
        logLevel: String,
        audit: String,
        connectors: [Connector]
    ) {
        self.version = version
        self.startedAt = startedAt
        self.configuration = configuration
        self.logLevel = logLevel
        self.audit = audit
        self.connectors = connectors
    }
}

/// What became of the configuration file when it was last read.
package struct ConfigurationState: Codable, Sendable {
    package var file: String
    /// Seconds since 1970: when what is in force was read.
    package var loadedAt: Int
    package var reloads: Int
    /// Findings of the last attempt, if it failed; what was in force before still is.
    package var lastError: [String]

    package init(file: String, loadedAt: Int, reloads: Int = 0, lastError: [String] = []) {
        self.file = file
        self.loadedAt = loadedAt
        self.reloads = reloads
        self.lastError = lastError
    }
}

/// Whether an internal host can be reached.
package struct Availability: Codable, Sendable, Equatable {
    /// Whether an internal host can be reached, as SAP's product names it.
    package enum State: String, Codable, Sendable {
        case unchecked
        case reachable
        case notReachable = "not reachable"
    }

    package var state: State
    /// What failed, and what to do about it; empty for other states.
    package var cause: String
    /// "name", "connect", "timeout", "tls" or "protocol": fit for metrics and for the cloud side.
    package var kind: String
    /// Seconds since 1970.
    package var checkedAt: Int?
    package var milliseconds: Double?

    package init(
        state: State = .unchecked,
        cause: String = "",
        kind: String = "",
        checkedAt: Int? = nil,
        milliseconds: Double? = nil
    ) {
        self.state = state
        self.cause = cause
        self.kind = kind
        self.checkedAt = checkedAt
        self.milliseconds = milliseconds
    }

    /// For the cloud side.
    package var summary: String { state == .notReachable ? "not reachable: \(kind)" : state.rawValue }
}

/// What `connectord status` shows of a connectivity service; the answer of `GET /status` on its admin socket.
package struct ServiceStatus: Codable, Sendable {
    package struct Connector: Codable, Sendable {
        package var subaccount: String
        package var locationID: String
        package var state: String
        package var tunnels: Int
        /// Of the tunnel that has been silent the longest, if longer than it should be.
        package var silentSeconds: Int?
        package var connectedSince: Int?
        package var disconnectedSince: Int?
        package var remote: String
        package var version: String
        package var description: String
        package var certificateExpires: Int?
        /// When the connector's process began; seconds since 1970.
        package var startedAt: Int?
        package var systems: [ExposedSystem]
        /// Further ones that are not listed; nil for none.
        package var omittedSystems: Int?
        /// "haproxy" where it is a connector of another make, which says nothing of itself.
        package var dialect: String?
        /// Where several services share a store: those that it has tunnels to, and how many.
        package var services: [String: Int]?
        /// Those that serve side by side; nil for one that shares with nobody.
        package var replicas: [Replica]?

        package init(
            subaccount: String,
            locationID: String,
            state: String,
            tunnels: Int,
            connectedSince: Int?,
            disconnectedSince: Int?,
            remote: String,
            version: String,
            description: String,
            certificateExpires: Int?,
            startedAt: Int? = nil,
            systems: [ExposedSystem],
            omittedSystems: Int = 0
        ) {
            self.omittedSystems = omittedSystems > 0 ? omittedSystems : nil
            self.startedAt = startedAt
            self.subaccount = subaccount
            self.locationID = locationID
            self.state = state
            self.tunnels = tunnels
            self.connectedSince = connectedSince
            self.disconnectedSince = disconnectedSince
            self.remote = remote
            self.version = version
            self.description = description
            self.certificateExpires = certificateExpires
            self.systems = systems
        }
    }

    package var version: String
    package var startedAt: Int
    package var configuration: ConfigurationState
    package var logLevel: String
    package var audit: String
    package var proxy: String
    package var tunnel: String
    package var isDraining: Bool
    package var connectors: [Connector]

    /// A connection to the tunnels' address that was refused: a handshake, a certificate, a token for enrolment.
    package struct RefusedConnection: Codable, Sendable {
        /// Of the last one; seconds since 1970.
        package var time: Int
        package var count = 1
        /// The address it came from, without the port.
        package var remote: String
        /// Of the certificate that was shown, whether or not it counts; nil without one.
        package var subaccount: String?
        package var locationID: String?
        /// What was refused.
        package var what: String
        package var cause: String

        package init(
            time: Int,
            remote: String,
            subaccount: String?,
            locationID: String?,
            what: String,
            cause: String
        ) {
            (self.time, self.remote, self.what, self.cause) = (time, remote, what, cause)
            (self.subaccount, self.locationID) = (subaccount, locationID)
        }

        /// The same refusal, only at another time.
        package func isSame(as other: RefusedConnection) -> Bool {
            remote == other.remote && subaccount == other.subaccount && locationID == other.locationID
                && what == other.what && cause == other.cause
        }
    }

    /// How full an address is on which the service listens.
    package struct Listener: Codable, Sendable {
        /// "proxy", "socks" or "tunnel".
        package var name: String
        package var connections: Int
        package var limit: Int
        /// Closed at once, because their address had its share or memory was short.
        package var refused: Int
        /// Times at which there was no file descriptor left.
        package var exhaustions: Int
        /// Who comes now waits.
        package var isFull: Bool { connections >= limit }

        package init(name: String, connections: Int, limit: Int, refused: Int, exhaustions: Int) {
            (self.name, self.connections, self.limit) = (name, connections, limit)
            (self.refused, self.exhaustions) = (refused, exhaustions)
        }
    }

    /// Nil from a service of an earlier version, as the lists below.
    package var listeners: [Listener]?
    /// The latest first.
    package var refusedConnections: [RefusedConnection]?

    /// A certificate that the service's authority has issued.
    package struct Certificate: Codable, Sendable {
        package var serial: String
        package var subaccount: String
        package var locationID: String
        package var expires: Int
        package var isRevoked: Bool
        /// Of connectors that serve side by side.
        package var instance: String?

        package init(
            serial: String,
            subaccount: String,
            locationID: String,
            expires: Int,
            isRevoked: Bool,
            instance: String? = nil
        ) {
            self.instance = instance
            (self.serial, self.subaccount, self.locationID) = (serial, subaccount, locationID)
            (self.expires, self.isRevoked) = (expires, isRevoked)
        }
    }

    /// A one-time token that has not been used; the secret itself nobody knows any more.
    package struct Token: Codable, Sendable {
        package var subaccount: String
        package var locationID: String
        package var expires: Int

        package init(subaccount: String, locationID: String, expires: Int) {
            (self.subaccount, self.locationID, self.expires) = (subaccount, locationID, expires)
        }
    }

    /// Nil without an authority.
    package var certificates: [Certificate]?
    /// Nil where what is remembered is in files of this instance.
    package var store: StoreStatus?
    package var tokens: [Token]?
    /// Among those that share the store; nil for one that is alone.
    package var name: String?
    /// The others.
    package var services: [PeerStatus]?
    /// Why this one and the others may not know each other; nil while they do.
    package var directoryFault: String?

    package init(
        version: String,
        startedAt: Int,
        configuration: ConfigurationState,
        logLevel: String,
        audit: String,
        proxy: String,
        tunnel: String,
        isDraining: Bool,
        connectors: [Connector]
    ) {
        self.version = version
        self.startedAt = startedAt
        self.configuration = configuration
        self.logLevel = logLevel
        self.audit = audit
        self.proxy = proxy
        self.tunnel = tunnel
        self.isDraining = isDraining
        self.connectors = connectors
    }
}
