internal import AccessPolicy
package import CloudConnector
internal import Cryptography
internal import HostSystem
internal import Kerberos
internal import PrincipalPropagation
internal import TextFormats

/// What would become of a request, in lines for a person.
package struct Explanation {
    package private(set) var lines: [String] = []
    package private(set) var isAllowed = false
    private let userToken: [UInt8]?

    /// - Parameter userToken: of a user in whose name the request comes; nil for none.
    package init(
        method: String,
        url: String,
        isUpgrade: Bool,
        userToken: [UInt8]? = nil,
        configuration: ConnectorConfiguration
    ) {
        self.userToken = userToken
        let bytes = Array(url.utf8)
        do throws(RequestTargetError) {
            let parts = try RequestTarget.Parts(bytes.span)
            guard let authority = parts.authority else { throw .unsupportedForm }
            // As the service takes them out of a request's target.
            let text = bytes[authority.host.lowerBound..<parts.originForm.lowerBound]
            let isWhole = method == "OPTIONS" && parts.originForm.isEmpty
            let path =
                isWhole
                ? "*" : (parts.needsLeadingSlash ? "/" : "") + String(decoding: bytes[parts.originForm], as: UTF8.self)
            try decide(method, String(decoding: text, as: UTF8.self), path, authority, isUpgrade, configuration)
        } catch {
            let isHTTPS = error == .unsupportedScheme && url.hasPrefix("https")
            lines = [
                isHTTPS
                    ? "decision    refused with 405: HTTPS proxying is not supported"
                    : "decision    refused with 400: \(error.rawValue)"
            ]
            if error == .unsupportedScheme || error == .unsupportedForm {
                lines.append("advice      write the URL as http://VIRTUAL-HOST:PORT/PATH")
            }
        }
    }

    /// Asks the forwarder itself.
    private mutating func decide(
        _ method: String,
        _ authority: String,
        _ path: String,
        _ parsed: RequestAuthority,
        _ isUpgrade: Bool,
        _ configuration: ConnectorConfiguration
    ) throws(RequestTargetError) {
        let policy = AccessPolicy(systems: configuration.systems)
        let decision = ForwardingDecision.make(
            policy,
            authority: authority,
            path: path,
            isOptions: method == "OPTIONS",
            isUpgrade: isUpgrade
        )
        switch decision {
        case .malformed(let error): throw error
        case .noSystem(let parts):
            let host = String(decoding: Array(authority.utf8)[parts.host], as: UTF8.self)
            explainNoSystem(HostPort(host: host, port: Int(parsed.port)), policy, configuration)
        case .denied(let denial, let target, let system):
            let place = place(of: system, configuration)
            show(system, place)
            lines.append("decision    denied with 403: \(denial.reason)")
            lines += advice(denial, target, system, place)
        case .permitted(let permit):
            let place = place(of: permit.system, configuration)
            show(permit.system, place)
            isAllowed = true
            let resource = permit.resource
            let kind = resource.access.rawValue + (resource.isSegmentMatch ? ", segment-match" : "")
            lines.append("resource    \(resource.path) (\(kind))" + place(permit.resourceIndex))
            lines.append(isUpgrade ? "decision    allowed, and WebSocket with it" : "decision    allowed")
            let user = explainUser(permit.system, configuration)
            for (index, line) in ForwardingDecision.head(permit, user, method: method, authority: authority)
                .enumerated()
            {
                lines.append((index == 0 ? "sends       " : "            ") + line)
            }
        }
    }

    /// Who the user of the token is to the system.
    private mutating func explainUser(_ system: SystemMapping, _ configuration: ConnectorConfiguration)
        -> ExplainedUser?
    {
        guard let userToken else { return nil }
        let mode = system.authentication.mode
        guard mode.takesUsers else {
            lines.append("user        does not arrive: authentication-mode is \(mode.rawValue)")
            return nil
        }
        do {
            guard let users = try configuration.loadPropagation() else { return nil }
            let token = userToken.filter { $0 > UInt8(ascii: " ") }
            if mode == .kerberos, let kerberos = configuration.kerberos {
                let user = try users.principal(for: token, isTechnical: false, now: WallClock.seconds())
                explainIssuer(user.issuer, user.rule, configuration)
                let service = system.authentication.service(of: system.internalHost)
                let realm = kerberos.realm
                lines.append("user        \(LogText.escaped(KerberosName.user(user.name, realm: realm).text.utf8))")
                lines.append(
                    "service     \(KerberosName.service(service, realm: realm)), asked for by \(kerberos.userName)"
                )
                return .ticket
            }
            let outcome = try users.certificate(for: token, isTechnical: false, now: WallClock.seconds())
            explainIssuer(outcome.issuer, outcome.rule, configuration)
            lines.append("user        \(LogText.escaped(outcome.certificate.subject.utf8))")
            return .certificate(outcome.certificate)
        } catch {
            isAllowed = false
            let cause = (error as? PropagationError)?.cause ?? "\(error)"
            lines.append("user        refused: \(cause)")
            return nil
        }
    }

    private mutating func explainIssuer(_ issuer: String, _ rule: Int, _ configuration: ConnectorConfiguration) {
        lines.append("issuer      \(LogText.escaped(issuer.utf8)) is trusted")
        lines.append("pattern     \(rule): \(configuration.propagation?.patterns[rule - 1].text ?? "")")
    }

    private mutating func show(_ system: SystemMapping, _ place: (Int?) -> String) {
        lines.append(
            "system      \(system.virtualAddress) -> \(system.internalAddress) over \(system.protocol.rawValue)"
                + place(nil)
        )
    }

    private mutating func explainNoSystem(
        _ address: HostPort,
        _ policy: AccessPolicy,
        _ configuration: ConnectorConfiguration
    ) {
        if let system = policy.system(host: address.host, port: UInt16(clamping: address.port)) {
            show(system, place(of: system, configuration))
            lines.append("decision    denied with 403: \(system.protocol.rawValue) systems take no HTTP requests")
            return
        }
        lines = ["system      \(address) is not exposed", "decision    denied with 403"]
        if let nearest = NearestName.find("\(address)", among: configuration.systems.map(\.virtualAddress)) {
            lines.append("advice      did you mean \(nearest)?")
        }
    }

    private func advice(
        _ denial: AccessDenial,
        _ target: RequestTarget,
        _ system: SystemMapping,
        _ place: (Int?) -> String
    ) -> [String] {
        switch denial {
        case .systemNotExposed: return []
        case .resourceSuspended(let path):
            let index = system.resources.firstIndex { $0.path == path && !$0.isActive }
            return ["advice      \(path) would admit it, but is suspended: set active: true" + place(index)]
        case .upgradeNotAllowed(let path):
            let index = system.resources.firstIndex { $0.path == path }
            return [
                "advice      \(path) admits the path, but not upgrades" + place(index)
                    + ": set upgrade-allowed: true for WebSocket"
            ]
        case .resourceNotExposed:
            let paths = system.resources.map(\.path)
            // Below "/" is everything, which nobody should be led to expose.
            let below = system.resources.firstIndex {
                $0.access == .pathOnly && $0.path != "/" && target.pathText.hasPrefix($0.path)
            }
            if let below {
                return [
                    "advice      \(system.resources[below].path) admits only itself; access: path-and-sub-paths would "
                        + "admit what is below" + place(below)
                ]
            }
            if let nearest = NearestName.find(target.pathText, among: paths) {
                return ["advice      the nearest exposed path is \(nearest)" + place(paths.firstIndex(of: nearest))]
            }
            return [
                "advice      exposed are: " + (paths.isEmpty ? "no paths" : paths.prefix(8).joined(separator: ", "))
            ]
        }
    }

    private func place(
        of system: SystemMapping,
        _ configuration: ConnectorConfiguration
    ) -> (Int?) -> String {
        guard let index = configuration.systems.firstIndex(where: { $0 === system }) else { return { _ in "" } }
        let place = configuration.places[index]
        return { resource in "  (\(place.file):\(resource.map { place.resourceLines[$0] } ?? place.line))" }
    }
}
