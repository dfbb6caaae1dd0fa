/// Resources that a known product needs, so that nobody has to copy them.
package enum ResourcePreset: String, Sendable, CaseIterable {
    /// SAP Process Orchestration, for SAP Integration Suite (documentation of the Migration Assessment).
    case processOrchestration = "process-orchestration"

    /// All with path-and-sub-paths.
    package var paths: [String] {
        switch self {
        case .processOrchestration:
            [
                "/CommunicationChannelInService", "/IntegratedConfigurationInService",
                "/IntegratedConfiguration750InService", "/SenderAgreementInService", "/ReceiverAgreementInService",
                "/ReceiverDeterminationInService", "/ReceiverRuleInService", "/InterfaceDeterminationInService",
                "/ConfigurationScenarioInService", "/ValueMappingInService", "/AlertRuleInService",
                "/BPMFacadeBeanImplService", "/rep/read/ext", "/dir/read/ext", "/rep/query/ext", "/dir/query/ext",
                "/rep/query/int", "/rep/query/", "/dir/query/", "/rep/support/SimpleQuery", "/mdt",
            ]
        }
    }

    package var resources: [Resource] { paths.map { Resource(path: $0, access: .pathAndSubPaths) } }
}
