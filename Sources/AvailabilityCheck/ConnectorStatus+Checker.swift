package import AccessPolicy
package import AdminProtocol

extension ConnectorStatus.System {
    package init(_ system: SystemMapping, _ checker: AvailabilityChecker) {
        self.init(
            virtualHost: system.virtualAddress,
            internalHost: system.internalAddress,
            protocol: system.protocol.rawValue,
            activeResources: system.withoutLearning.resources.count { $0.isActive },
            availability: checker.availability(of: system),
            learnsUntil: system.learnsUntil
        )
    }
}
