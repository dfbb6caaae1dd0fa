package import AccessPolicy
package import AdminProtocol
internal import AvailabilityCheck
internal import Kerberos

extension Connector {
    /// Looks at a system's internal host now, step by step, and whether the KDC has a ticket for it where users need one.
    package func examine(_ system: SystemMapping) async -> [CheckStep] {
        let steps = await checker.examine(system)
        guard system.authentication.mode == .kerberos, let delegation = ticketing else { return steps }
        let service = system.authentication.service(of: system.internalHost)
        let start = ContinuousClock.now
        let fault = await TicketThreads.run { () -> String? in
            do throws(KerberosError) { try delegation.check(service) } catch {
                return error.cause
            }
            return nil
        }
        let text = fault ?? "the connector itself gets a ticket for \(delegation.fullName(of: service))"
        let step = CheckStep("Kerberos", isGood: fault == nil, (ContinuousClock.now - start) / .milliseconds(1), text)
        return steps + [step]
    }
}
