internal import ControlProtocol
internal import Cryptography
internal import HostSystem
internal import Logging
internal import Networking
internal import Synchronization
internal import Telemetry

/// Renews a connector's certificate over its tunnel at two thirds of its life. The key stays the same, so that only one
/// file changes and no moment exists in which certificate and key do not belong together.
final class CertificateRenewal: Sendable {
    private let warned = Mutex(0)
    private let question = ControlQuestion { $0.certificate != nil || $0.certificateRefused != nil }

    /// Between two looks at the files.
    private static let pace = Duration.seconds(5)
    /// An answer that does not come.
    private static let answerLimit = Duration.seconds(30)

    func received(_ message: ControlMessage) { question.received(message) }

    /// Runs until its task is cancelled.
    func run(for connector: Connector) async {
        while !Task.isCancelled {
            connector.noticeNewFiles()
            guard let certificate = try? CertificateDetails(.file(connector.configuration.tunnel.certificate)) else {
                try? await Task.sleep(for: Self.pace)
                continue
            }
            warn(certificate, connector)
            let now = WallClock.seconds()
            let due = certificate.notBefore + (certificate.notAfter - certificate.notBefore) * 2 / 3
            if now >= due, connector.configuration.tunnel.renews, connector.state.connectedTunnels > 0 {
                let isRenewed = await renew(connector, answerLimit(certificate, now)) == nil
                // What is refused today is asked again; a short life leaves less time for that.
                if !isRenewed {
                    let left = max(certificate.notAfter - now, 0)
                    try? await Task.sleep(for: .seconds(max(1, min(3600, left / 10))))
                }
            } else {
                try? await Task.sleep(for: min(Self.pace, .seconds(max(1, due - now))))
            }
        }
    }

    /// Thirty days, seven days and one day before the end, or at nine tenths of a short life.
    private func warn(_ certificate: CertificateDetails, _ connector: Connector) {
        let left = certificate.notAfter - WallClock.seconds()
        let life = certificate.notAfter - certificate.notBefore
        let steps = [30, 7, 1].map { $0 * 86400 }.filter { $0 < life / 2 } + [life / 10]
        let passed = steps.count { left < $0 }
        let isNews = warned.withLock { warned in
            defer { warned = passed }
            return passed > warned
        }
        guard isNews else { return }
        let text: Logger.Message =
            left > 0 ? "the tunnel's certificate ends soon" : "the tunnel's certificate has ended"
        connector.log(.warning, text, ["ends": "\(WallClock.text(certificate.notAfter))"])
    }

    /// Short lives leave less time to wait for an answer.
    private func answerLimit(_ certificate: CertificateDetails, _ now: Int) -> Duration {
        min(Self.answerLimit, .seconds(max(2, (certificate.notAfter - now) / 2)))
    }

    /// Has it renewed now, however long it may still be used.
    ///
    /// - Returns: why it was not.
    func renewNow(_ connector: Connector) async -> String? { await renew(connector, Self.answerLimit) }

    /// - Returns: why it was not.
    private func renew(_ connector: Connector, _ limit: Duration) async -> String? {
        do {
            let tunnel = connector.configuration.tunnel
            let key = try SigningKey(.file(tunnel.privateKey))
            let request = ControlMessage(certificateRequest: try key.certificateRequest())
            // The service's answer is for one who waits.
            guard let outcome = await question.ask(request, connector, upTo: limit) else {
                return "it is being renewed just now"
            }
            let pem = try Self.certificate(outcome)
            let certificate = try CertificateDetails(.pem(pem))
            guard certificate.connector == connector.configuration.identity else {
                throw EnrolError("the new certificate is not for this connector")
            }
            if let instance = tunnel.instance, certificate.instance != instance {
                throw EnrolError("the new certificate does not name the instance \(instance)")
            }
            var tls = connector.configuration.tunnelTLS
            tls.certificateChain = .pem(pem)
            _ = try TLSContext(tls)
            try AtomicFile.write(pem, to: tunnel.certificate, mode: 0o644)
            connector.log(.notice, "certificate renewed", ["ends": "\(WallClock.text(certificate.notAfter))"])
            connector.recordChange(
                .certificateIssued,
                "Own certificate renewed until \(WallClock.text(certificate.notAfter))"
            )
            try connector.certificateRenewed()
            return nil
        } catch {
            if Task.isCancelled { return "the connector is stopping" }
            connector.log(.error, "certificate not renewed", ["cause": "\(error)"])
            return "\(error)"
        }
    }

    private static func certificate(_ outcome: ControlQuestion.Outcome) throws(EnrolError) -> String {
        switch outcome {
        case .failed(let cause): throw EnrolError(cause)
        case .answer(let message):
            guard let pem = message.certificate else {
                throw EnrolError(message.certificateRefused ?? "the service did not answer")
            }
            return pem
        }
    }
}

/// What went wrong between a connector and the authority.
package struct EnrolError: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
