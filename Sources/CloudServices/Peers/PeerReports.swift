package import AdminProtocol
package import ConnectivityService
internal import JSON

/// What the services of one store say of themselves, as one.
package enum PeerReports {
    /// Completes a service's own status with what the others say. One that does not answer is listed with the reason.
    package static func add(to status: inout ServiceStatus, own name: String, _ peers: PeerNetwork) async {
        status.name = name
        for index in status.connectors.indices where status.connectors[index].tunnels > 0 {
            status.connectors[index].services = [name: status.connectors[index].tunnels]
        }
        let services = peers.directory.services
        let answers = await withTaskGroup(of: (Int, Result<ServiceStatus, any Error>).self) { group in
            for (index, service) in services.enumerated() {
                group.addTask { (index, await ask(service.name, peers)) }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        status.services = services.enumerated().map { index, service in
            var report = PeerStatus(
                name: service.name,
                address: "\(service.address)",
                version: service.version,
                failure: nil
            )
            switch answers[index] {
            case .success(let other):
                report.take(other)
                status.add(other, of: service.name)
            case .failure(let error): report.failure = "\(error)"
            case nil: report.failure = "not asked"
            }
            return report
        }
    }

    private static func ask(_ name: String, _ peers: PeerNetwork) async -> Result<ServiceStatus, any Error> {
        do { return .success(try JSONLines.decode(ServiceStatus.self, try await peers.ask(name))) } catch {
            return .failure(error)
        }
    }
}
