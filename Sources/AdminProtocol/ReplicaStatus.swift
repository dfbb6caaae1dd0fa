extension ServiceStatus {
    /// One of several connectors that serve side by side.
    package struct Replica: Codable, Sendable {
        package var instance: String
        package var tunnels: Int
        package var remote: String
        package var version: String
        package var connectedSince: Int?
        package var certificateExpires: Int?
        /// The same text for those that offer the same.
        package var configuration: String
        /// Requests pass it over, because its configuration is not that of the others.
        package var isLeftOut: Bool

        package init(
            instance: String,
            tunnels: Int,
            remote: String,
            version: String,
            connectedSince: Int?,
            certificateExpires: Int?,
            configuration: String,
            isLeftOut: Bool
        ) {
            (self.instance, self.tunnels, self.remote, self.version) = (instance, tunnels, remote, version)
            (self.connectedSince, self.certificateExpires) = (connectedSince, certificateExpires)
            (self.configuration, self.isLeftOut) = (configuration, isLeftOut)
        }
    }
}
