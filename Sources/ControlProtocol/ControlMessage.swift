/// One line on the control stream of a tunnel. Exactly one of the members is set; one that this version does not know
/// is left alone, so that both sides can be newer than the other.
package struct ControlMessage: Codable, Sendable, Equatable {
    /// The connector's first message.
    package struct Hello: Codable, Sendable, Equatable {
        /// Made anew at each start of a connector's process. Tunnels of another session of the same connector are
        /// superseded.
        package var session: String
        package var version: String
        package var description: String
        /// Seconds since 1970.
        package var startedAt: Int
        /// "active" for one that others of its identity may serve beside, if its certificate names an instance.
        package var replicas: String?
        /// Tells whether two connectors offer the same.
        package var configuration: String?

        package init(session: String, version: String, description: String, startedAt: Int) {
            self.session = session
            self.version = version
            self.description = description
            self.startedAt = startedAt
        }
    }

    /// The service's answer to `Hello`.
    package struct Welcome: Codable, Sendable, Equatable {
        package var version: String

        package init(version: String) { self.version = version }
    }

    /// A part of the list of exposed systems; the first part replaces what was said before.
    package struct Exposed: Codable, Sendable, Equatable {
        package var isFirst: Bool
        package var systems: [ExposedSystem]
        /// As in `Hello`, where it has changed since.
        package var configuration: String?

        package init(isFirst: Bool, systems: [ExposedSystem]) {
            self.isFirst = isFirst
            self.systems = systems
        }
    }

    /// What a check has found out about one exposed system.
    package struct AvailabilityChange: Codable, Sendable, Equatable {
        package var host: String
        package var availability: String

        package init(host: String, availability: String) {
            self.host = host
            self.availability = availability
        }
    }

    package var hello: Hello?
    /// From the service: requests use this tunnel from now on.
    package var welcome: Welcome?
    package var exposed: Exposed?
    package var availability: [AvailabilityChange]?
    /// From the connector: a request for a new certificate (PKCS #10, PEM).
    package var certificateRequest: String?
    /// From the service: the answer, PEM.
    package var certificate: String?
    /// From the service: why there is no new certificate.
    package var certificateRefused: String?

    /// From the connector: the serial number of a certificate that another connector has shown it.
    package var validityOf: String?
    /// From the service: the answer.
    package var validity: Validity?

    /// What the service's authority knows of a certificate.
    package struct Validity: Codable, Sendable, Equatable {
        package var serial: String
        package var isRevoked: Bool

        package init(serial: String, isRevoked: Bool) { (self.serial, self.isRevoked) = (serial, isRevoked) }
    }

    package init() {}

    package init(validityOf serial: String) { validityOf = serial }
    package init(validity: Validity) { self.validity = validity }
    package init(hello: Hello) { self.hello = hello }
    package init(welcome: Welcome) { self.welcome = welcome }
    package init(exposed: Exposed) { self.exposed = exposed }
    package init(availability: [AvailabilityChange]) { self.availability = availability }
    package init(certificateRequest: String) { self.certificateRequest = certificateRequest }
    package init(certificate: String) { self.certificate = certificate }
    package init(certificateRefused: String) { self.certificateRefused = certificateRefused }
}

/// A system as the cloud side may know it: never its internal host, never its paths.
package struct ExposedSystem: Codable, Sendable, Equatable {
    /// "host:port", virtual.
    package var host: String
    package var `protocol`: String
    package var type: String
    package var description: String
    /// Whether any resource is active.
    package var hasResources: Bool
    /// "unchecked", "reachable" or "not reachable: " and a cause that names nothing inside.
    package var availability: String

    package init(
        host: String,
        protocol: String,
        type: String,
        description: String,
        hasResources: Bool,
        availability: String
    ) {
        self.host = host
        self.protocol = `protocol`
        self.type = type
        self.description = description
        self.hasResources = hasResources
        self.availability = availability
    }
}

/// How the control stream is asked for: extended CONNECT (RFC 8441) with this `:protocol`.
package enum ControlStream {
    package static let `protocol`: StaticString = "connector-control"
    /// Bytes of one message.
    package static let messageLimit = 256 << 10
    /// Systems in one message: what they are at most fits well into it.
    package static let systemsPerMessage = 200
}

extension ControlMessage.Hello {
    /// With every text cut at what it may need, since the service remembers it, and a time that can be computed with.
    package var bounded: ControlMessage.Hello {
        var hello = ControlMessage.Hello(
            // It stands in lists that others read, and in a database.
            session: String(
                decoding: session.bounded(64).utf8.map { $0 > 0x20 && $0 < 0x7F ? $0 : UInt8(ascii: "_") },
                as: UTF8.self
            ),
            version: version.bounded(64),
            description: description.bounded(1024),
            // The years 1970 to 9999.
            startedAt: min(max(startedAt, 0), 253_402_300_799)
        )
        hello.replicas = replicas?.bounded(16)
        hello.configuration = configuration?.bounded(64)
        return hello
    }

    /// Others may serve beside it.
    package var isActive: Bool { replicas == Self.active }
    package static let active = "active"
}

extension ExposedSystem {
    /// With every text cut at what it may need, since the service remembers it.
    package var bounded: ExposedSystem {
        ExposedSystem(
            host: host.bounded(270),
            protocol: self.protocol.bounded(16),
            type: type.bounded(32),
            description: description.bounded(256),
            hasResources: hasResources,
            availability: availability.bounded(64)
        )
    }
}

extension String {
    /// The text, cut to so many bytes where it is longer.
    package func bounded(_ bytes: Int) -> String {
        utf8.count <= bytes ? self : String(decoding: utf8.prefix(bytes), as: UTF8.self)
    }
}
