internal import AdminProtocol
internal import Cryptography
internal import HostSystem
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

    /// Days before its end from which a certificate is called expiring.
    static let warningDays = 30

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
            } else if left < Self.warningDays * 86400 {
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
            alerts: (certificates.expired + certificates.expiring).map { certificate in
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
}
