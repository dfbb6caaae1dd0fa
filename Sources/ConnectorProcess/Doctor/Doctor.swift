internal import AccessPolicy
package import CloudConnector
internal import Cryptography
internal import HostSystem
internal import NIOCore
internal import NIOPosix
internal import Networking
internal import TextFormats
internal import TunnelCore

/// Goes the way to the service step by step and says what each step found, and what to ask for where one fails.
package struct Doctor {
    private let configuration: ConnectorConfiguration
    private let eventLoop: any EventLoop
    private(set) var isHealthy = true

    /// Internal hosts whose names are looked at.
    private static let hostLimit = 50

    package init(_ configuration: ConnectorConfiguration) {
        self.configuration = configuration
        eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    }

    private func ok(_ step: String, _ finding: String) { print("ok      \(pad(step)) \(finding)") }

    private mutating func failed(_ step: String, _ finding: String, _ advice: String) {
        isHealthy = false
        print("FAILED  \(pad(step)) \(finding)")
        print("        \(pad("")) -> \(advice)")
    }

    private func pad(_ step: String) -> String { step + String(repeating: " ", count: max(0, 14 - step.count)) }

    /// - Returns: whether a tunnel can be opened.
    package mutating func examine() async -> Bool {
        ok(
            "configuration",
            "\(configuration.file): \(Count.text(configuration.systems.count, "system")), \(configuration.identity)"
        )
        guard examineCertificate() else { return false }
        guard let targets = await resolve() else { return false }
        var isOneUp = false
        for target in targets where await examine(target) { isOneUp = true }
        if isOneUp, !isHealthy { print("        One address works, so the connector works; the others are reserve.") }
        if isOneUp {
            let hosts = Set(configuration.systems.map(\.internalHost)).sorted().prefix(Self.hostLimit)
            for host in hosts { await noteSuffix(host, "internal-host") }
        }
        return isOneUp
    }

    // MARK: What is here

    private mutating func examineCertificate() -> Bool {
        let tunnel = configuration.tunnel
        let certificate: CertificateDetails
        do {
            certificate = try CertificateDetails(.file(tunnel.certificate))
            _ = try TLSContext(configuration.tunnelTLS)
        } catch {
            failed("enrolment", "\(error)", "ask the service's operator for a token and run `connectord enrol TOKEN`")
            return false
        }
        let now = WallClock.seconds()
        guard certificate.notBefore <= now else {
            failed(
                "clock",
                "the certificate is valid from \(WallClock.text(certificate.notBefore)), but it is \(WallClock.timestamp())",
                "set this machine's clock; let it follow a time server"
            )
            return false
        }
        ok("clock", WallClock.timestamp())
        guard certificate.notAfter > now else {
            failed(
                "enrolment",
                "the certificate ended on \(WallClock.text(certificate.notAfter))",
                "if the clock is right, ask for a new token and run `connectord enrol TOKEN`"
            )
            return false
        }
        guard configuration.isOwn(certificate) else {
            let found = certificate.connector.map { "\($0)" } ?? "no connector"
            failed(
                "enrolment",
                "the certificate is for \(found)",
                "enrol again, or put subaccount and location ID right"
            )
            return false
        }
        let subject = certificate.connector.map { "\($0)" } ?? certificate.subject
        ok("enrolment", "certificate for \(subject) until \(WallClock.text(certificate.notAfter))")
        return true
    }

    // MARK: The way

    private mutating func resolve() async -> [DialTarget]? {
        let dialer = configuration.dialer
        let (host, port) = dialer.proxy.map { ($0.host, $0.port) } ?? (dialer.host, dialer.port)
        do {
            let addresses = try await AddressResolver.resolve(host, port)
            ok("name", "\(host) is \(addresses.map(\.text).joined(separator: ", "))")
            await noteSuffix(host, "tunnel.service")
            return addresses.map { DialTarget(name: $0.text, address: $0) }
        } catch {
            let advice =
                dialer.proxy == nil
                ? "check tunnel.service, /etc/resolv.conf, or whether only a proxy may resolve it"
                : "check tunnel.http-proxy and /etc/resolv.conf"
            failed("name", "\(error)", advice)
            return nil
        }
    }

    /// A name that is whole only here is found otherwise, or not at all, on the next machine.
    private func noteSuffix(_ host: String, _ key: String) async {
        guard let suffix = await Self.suffix(host) else { return }
        print(
            "        \(key): \(host) is found as \(host).\(suffix), by the search list of /etc/resolv.conf; write the whole name"
        )
    }

    /// On a thread that may wait.
    private static func suffix(_ host: String) async -> String? {
        try? await NIOThreadPool.singleton.runIfActive { SearchSuffix.find(host) }
    }

    private mutating func examine(_ target: DialTarget) async -> Bool {
        guard let address = target.address else { return false }
        let probe = DoctorProbe(configuration, address, eventLoop)
        do {
            try await probe.connect()
            ok("connection", target.name + (configuration.dialer.proxy == nil ? "" : ", the proxy"))
        } catch {
            let cause = ConnectionError(error).cause
            guard configuration.dialer.proxy == nil else {
                failed(
                    "proxy",
                    "\(target.name): \(cause)",
                    "does the proxy run, and listen on this port? Check tunnel.http-proxy, or ask who runs the proxy"
                )
                return false
            }
            failed(
                "connection",
                "\(target.name): \(cause)",
                "does the service run, and listen on this port? If so, ask the firewall's operator to allow this machine "
                    + "out to \(target.name), or for a proxy"
            )
            return false
        }
        if configuration.dialer.proxy != nil {
            do {
                try await probe.openThroughProxy()
                ok("proxy", "opens connections to \(configuration.dialer.service)")
            } catch {
                failed("proxy", "\(ConnectionError(error).cause)", "see above")
                return false
            }
        }
        guard await examineTLS(probe) else { return false }
        do {
            try await probe.openTunnel()
            let service = configuration.dialer.proxy == nil ? target.name : configuration.dialer.service
            let isEnvoy = configuration.tunnel.dialect == .envoy
            ok(
                "tunnel",
                "\(service) takes tunnels of this connector"
                    + (isEnvoy ? "; the TLS session for requests begins with the first of them" : "")
            )
            return true
        } catch let error as TLSError where error.code == .applicationProtocol {
            failed(
                "protocol",
                "\(error)",
                "is \(configuration.dialer.service) the tunnel port of a connectivity service?"
            )
        } catch {
            failed(
                "tunnel",
                "\(ConnectionError(error).cause)",
                configuration.tunnel.dialect == .envoy
                    ? "see tunnel.envoy in the file, and the Envoy's log"
                    : "the service's log says why; if the certificate was revoked, ask for a new token"
            )
        }
        return false
    }

    /// Who answers, and whether it is whom we trust.
    private mutating func examineTLS(_ probe: DoctorProbe) async -> Bool {
        let presented: CertificateDetails
        do {
            presented = try await probe.presentedCertificate()
        } catch {
            failed(
                "TLS",
                "\(ConnectionError(error).cause)",
                "is there a TLS server behind \(configuration.dialer.service)? A firewall may cut what it does not know"
            )
            return false
        }
        let anchors = (try? CertificateDetails.all(.file(configuration.tunnel.trustedCA))) ?? []
        do {
            try await probe.verifyService()
            ok("TLS", "\(presented.subject), issued by \(presented.issuer)")
            return true
        } catch let error as TLSError {
            let isIntercepted = !anchors.contains { $0.subject == presented.issuer || $0.subject == presented.subject }
            let expected = anchors.map(\.subject).joined(separator: " or ")
            switch error.code {
            case .applicationProtocol:
                // The next step says what that means.
                ok("TLS", "\(presented.subject), issued by \(presented.issuer)")
                return true
            case .peerName:
                failed("TLS", error.description, "dial the service by a name in its certificate, or have one made")
            case _ where isIntercepted:
                failed(
                    "TLS",
                    "\(presented.subject), issued by \(presented.issuer), not by \(expected)",
                    "something in between opens TLS, or this is another server; ask the network's operator to exempt "
                        + "\(configuration.dialer.service) from TLS inspection"
                )
            default:
                failed(
                    "TLS",
                    error.description,
                    "valid from \(WallClock.text(presented.notBefore)) to \(WallClock.text(presented.notAfter)); here it "
                        + "is \(WallClock.timestamp())"
                )
            }
        } catch {
            failed("TLS", "\(ConnectionError(error).cause)", "try again; if it stays, see the service's log")
        }
        return false
    }
}
