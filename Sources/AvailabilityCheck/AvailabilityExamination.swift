package import AccessPolicy
package import AdminProtocol
internal import Cryptography
internal import HostSystem
internal import NIOCore
internal import NIOPosix
internal import Networking
internal import Synchronization
internal import TextFormats

/// A look at an internal host that tells each step: name, connection, TLS, HTTP.
enum AvailabilityExamination {
    private struct Seen: Sendable {
        var stage: AvailabilityProbe.Stage
        var milliseconds: Double
    }

    static func run(_ target: AvailabilityTarget, tls: BackendTLS, timeout: TimeAmount) async -> [CheckStep] {
        let start = ContinuousClock.now
        var steps: [CheckStep] = []
        do {
            let addresses = try await AddressResolver.resolve(target.host, target.port)
            let list = addresses.prefix(4).map(\.text).joined(separator: ", ")
            steps.append(CheckStep("name", isGood: true, milliseconds(since: start), "\(target.host) is \(list)"))
        } catch {
            return [CheckStep("name", isGood: false, milliseconds(since: start), "\(error)")]
        }
        let begun = ContinuousClock.now
        let seen = Box()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let result = await AvailabilityProbe.run(target, tls: tls, timeout: timeout, on: loop) { stage in
            seen.add(Seen(stage: stage, milliseconds: milliseconds(since: begun)))
        }
        var last = 0.0
        for one in seen.all {
            steps.append(step(one.stage, one.milliseconds - last))
            last = one.milliseconds
        }
        if result.state == .notReachable {
            let names = ["TCP", "TLS", "HTTP"]
            let missing = names.first { name in
                !steps.contains { $0.name == name } && (name != "TLS" || target.isTLS)
                    && (name != "HTTP" || target.isHTTP)
            }
            let took = max(milliseconds(since: begun) - last, 0)
            steps.append(CheckStep(missing ?? "HTTP", isGood: false, took, result.cause))
        }
        return steps
    }

    private static func milliseconds(since start: ContinuousClock.Instant) -> Double {
        let parts = (ContinuousClock.now - start).components
        return Double(parts.seconds) * 1000 + Double(parts.attoseconds / 1_000_000_000_000) / 1000
    }

    private static func step(_ stage: AvailabilityProbe.Stage, _ took: Double) -> CheckStep {
        switch stage {
        case .connected: CheckStep("TCP", isGood: true, took, "connected")
        case .answered(let status): CheckStep("HTTP", isGood: true, took, "answered HEAD / with \(status)")
        case .secured(let tls, let chain): CheckStep("TLS", isGood: true, took, describe(tls, chain))
        }
    }

    private static func describe(_ tls: TLSEstablished, _ chain: [CertificateDetails]) -> String {
        guard let own = tls.peerCertificate else { return tls.version }
        let issuers = chain.dropFirst().prefix(8).map { ", by \(describe($0))" }
        let issuer = issuers.isEmpty ? ", by \(LogText.escaped(own.issuerDN.utf8))" : issuers.joined()
        return "\(tls.version); certificate of \(describe(own))\(issuer)\(asked(tls))"
    }

    private static func describe(_ certificate: CertificateDetails) -> String {
        let days = (certificate.notAfter - WallClock.seconds()) / 86400
        return "\(LogText.escaped(certificate.subjectDN.utf8)) (\(Count.text(days, "day")) left)"
    }

    /// Whether users can arrive there (SAP Cloud Connector, "Configure Identity Propagation for HTTPS").
    private static func asked(_ tls: TLSEstablished) -> String {
        if tls.sentCertificate { return "; asked for the system certificate, and got it" }
        return tls.isAskedForCertificate
            ? "; asks for a client certificate, and there is no system-certificate" : "; asks for no client certificate"
    }

    private final class Box: Sendable {
        private let list = Mutex<[Seen]>([])
        func add(_ one: Seen) { list.withLock { $0.append(one) } }
        var all: [Seen] { list.withLock { $0 } }
    }
}

extension AvailabilityChecker {
    /// Looks at a system's internal host now, step by step.
    package func examine(_ system: SystemMapping) async -> [CheckStep] {
        guard let (tls, timeout) = settings else { return [] }
        return await AvailabilityExamination.run(AvailabilityTarget(system), tls: tls, timeout: timeout)
    }
}
