internal import AdminAccess
internal import AdminProtocol
internal import Cryptography
internal import HostSystem
internal import Telemetry
internal import TextFormats

extension MonitoringReport {
    // MARK: Memory

    struct Memory: Encodable {
        struct Share: Encodable {
            var total: Int
            var CloudConnector: Int
            var others: Int
            var free: Int
        }
        struct Heap: Encodable {
            var total: Int
            var used: Int
            var free: Int
        }

        var physicalKB: Share
        var virtualKB: Share
        var cloudConnectorHeapKB: Heap
        var version = 1
    }

    /// There is no heap of a fixed size here: what is free of it is free on the machine.
    func memory() -> Memory {
        let figures = MemoryFigures()
        func share(_ total: Int, _ own: Int, _ free: Int) -> Memory.Share {
            Memory.Share(total: total, CloudConnector: own, others: max(total - free - own, 0), free: free)
        }
        let own = figures.residentKiB
        return Memory(
            physicalKB: share(figures.totalKiB, own, figures.availableKiB),
            virtualKB: share(figures.totalKiB + figures.swapKiB, own, figures.availableKiB + figures.freeSwapKiB),
            cloudConnectorHeapKB: Memory.Heap(
                total: own + figures.availableKiB,
                used: own,
                free: figures.availableKiB
            )
        )
    }

    // MARK: Processors and disk

    struct Processors: Encodable {
        var total: Int
        var CloudConnector: Int
        var version = 1
    }

    /// In percent of all of them: the last minute's load, and what this process has taken in the last seconds.
    func processors() -> Processors {
        let seen = call.host.machine.current.seen
        return Processors(total: seen.load, CloudConnector: seen.ownLoad)
    }

    struct Disk: Encodable {
        var total: Int
        var CloudConnector: Int
        var others: Int
        var free: Int
        var version = 1
    }

    /// In MB, of the file system with the audit log.
    func disk() -> Disk {
        let figures = MachineFigures(folder: call.host.machine.folder)
        let (total, free, own) = (figures.totalMiB ?? 0, figures.freeMiB ?? 0, ownDisk)
        return Disk(total: total, CloudConnector: own, others: max(total - free - own, 0), free: free)
    }

    private var ownDisk: Int {
        let folders = [call.host.audit.configuration.directory, call.host.administration?.settings.folder ?? ""]
        return folders.filter { !$0.isEmpty }.reduce(0) { $0 + Folder.size($1) } >> 20
    }

    // MARK: Certificates

    struct Certificates: Encodable {
        var expired: [Certificate] = []
        var expiring: [Certificate] = []
        var ok: [Certificate] = []
    }

    struct Certificate: Encodable {
        var type: String
        /// Milliseconds since 1970.
        var validTo: Int
        var subjectDN: String?
        var issuerDN: String?
        var serialNumber: String?
        var subaccountName: String?
        var subaccountRegion: String?
    }

    func certificates() async -> Certificates {
        var all: [Certificate] = []
        if let own = call.host.administration?.certificate.details {
            all.append(
                Certificate(
                    type: "UI",
                    validTo: own.notAfter * 1000,
                    subjectDN: own.subjectDN.replacing(",", with: ", "),
                    issuerDN: own.issuerDN.replacing(",", with: ", "),
                    serialNumber: CertificateDocument.serial(own.serial)
                )
            )
        }
        for subaccount in await call.subaccounts() {
            guard let end = subaccount.status.certificateExpires else { continue }
            all.append(
                Certificate(
                    type: "subaccount",
                    validTo: end * 1000,
                    subaccountName: subaccount.status.subaccount,
                    subaccountRegion: subaccount.region
                )
            )
        }
        var certificates = Certificates()
        let now = WallClock.seconds()
        for certificate in all {
            let left = certificate.validTo / 1000 - now
            if left <= 0 {
                certificates.expired.append(certificate)
            } else if left < call.host.machine.thresholds.certificateDays * 86400 {
                certificates.expiring.append(certificate)
            } else {
                certificates.ok.append(certificate)
            }
        }
        return certificates
    }

    // MARK: Alerts

    struct Alerts: Encodable {
        struct Alert: Encodable {
            var timestamp: Int
            var status = "Warning"
            var type: String
            var origin = "Master"
            var message: String
            var entity: String?
        }

        var alerts: [Alert]
        var version = 1
    }

    /// What is wrong now; nothing is kept of what was.
    func alerts() async -> Alerts {
        let now = WallClock.seconds() * 1000
        let certificates = await certificates()
        return Alerts(
            alerts: machineAlerts
                + (certificates.expired + certificates.expiring).map { certificate in
                    let end = WallClock.text(certificate.validTo / 1000)
                    guard let name = certificate.subaccountName else {
                        let who = "'\(certificate.subjectDN ?? "")' issued by '\(certificate.issuerDN ?? "")'"
                        return Alerts.Alert(
                            timestamp: now,
                            type: "UICertificate",
                            message: "UI certificate (\(who)) expires \(end)"
                        )
                    }
                    let entity = "\(name)@\(certificate.subaccountRegion ?? "")"
                    return Alerts.Alert(
                        timestamp: now,
                        type: "SubaccountCertificate",
                        message:
                            "Certificate of subaccount \(name) (\(entity)) will expire \(end). Renew as soon as possible.",
                        entity: entity
                    )
                }
        )
    }

    private var machineAlerts: [Alerts.Alert] {
        let (current, thresholds) = (call.host.machine.current, call.host.machine.thresholds)
        return current.alerts.map { alert in
            let timestamp = alert.since * 1000
            switch alert.kind {
            case .disk:
                let message =
                    "Free disk space dropped below configured threshold — \(current.seen.freeMiB ?? 0) MB are free "
                    + "(Currently used by Cloud Connector: \(ownDisk) MB)"
                return Alerts.Alert(timestamp: timestamp, type: "Disk", message: message)
            case .load:
                let message =
                    "CPU load exceeded \(thresholds.load) percent for more than \(thresholds.loadSeconds) seconds "
                    + "(Current usage all processes: \(current.seen.load)%, Cloud Connector: \(current.seen.ownLoad)%), "
                    + "check the hardware monitor for details"
                return Alerts.Alert(timestamp: timestamp, type: "CPU", message: message)
            }
        }
    }
}
