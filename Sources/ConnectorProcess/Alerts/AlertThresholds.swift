internal import ConfigurationReading
internal import NIOCore

/// Beyond which the machine is worth a warning (SAP Help, "Configure Alerting"), with SAP's usual values.
package struct AlertThresholds: Sendable, Equatable {
    /// Percent of all processors.
    var load = 90
    /// Seconds for which it has to last.
    var loadSeconds = 60
    /// Of the file system with the audit log.
    var freeMiB = 100
    /// Before a certificate ends.
    var certificateDays = 30

    /// Reads the section `alerts`.
    static func read(_ section: inout Section, _ findings: Findings) -> AlertThresholds {
        var thresholds = AlertThresholds()
        guard let node = section.value("alerts") else { return thresholds }
        var alerts = Section(node, "alerts", findings)
        thresholds.load = alerts.integer("cpu-load", thresholds.load, in: 1...100)
        let lasting = alerts.duration("cpu-duration", .seconds(Int64(thresholds.loadSeconds)), atLeast: .seconds(1))
        thresholds.loadSeconds = Int(lasting.nanoseconds / 1_000_000_000)
        thresholds.freeMiB = alerts.integer("free-disk-mib", thresholds.freeMiB, in: 0...1_000_000_000)
        thresholds.certificateDays = alerts.integer("certificate-days", thresholds.certificateDays, in: 0...3650)
        alerts.finish()
        return thresholds
    }
}
