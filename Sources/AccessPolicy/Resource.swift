/// A path of a system that requests may reach.
///
/// Source: SAP Cloud Connector, "Configure Access Control (HTTP)".
package struct Resource: Sendable, Equatable {
    /// How far below its path a resource reaches.
    package enum Access: String, Sendable, CaseIterable {
        /// The request's path equals the resource's.
        case pathOnly = "path-only"
        /// The request's path starts with the resource's: a plain string prefix, as SAP's product has it.
        case pathAndSubPaths = "path-and-sub-paths"
    }

    package var path: String
    package var access: Access
    /// Makes `pathAndSubPaths` strict: the request's path equals the resource's or goes on at a "/".
    package var isSegmentMatch: Bool
    /// A suspended resource stays in the configuration and admits nothing.
    package var isActive: Bool
    /// Whether protocol upgrades (WebSocket) are admitted.
    package var isUpgradeAllowed: Bool

    package init(
        path: String,
        access: Access,
        isSegmentMatch: Bool = false,
        isActive: Bool = true,
        isUpgradeAllowed: Bool = false
    ) {
        self.path = path
        self.access = access
        self.isSegmentMatch = isSegmentMatch
        self.isActive = isActive
        self.isUpgradeAllowed = isUpgradeAllowed
    }

    /// Why a path can stand in no resource, because no request that passes the checks could ever match it.
    package static func pathError(_ path: String) -> String? {
        if path.isEmpty { return "a resource path is not empty; the whole system is \"/\"" }
        if !path.hasPrefix("/") { return "a resource path starts with \"/\"" }
        if path.utf8.contains(UInt8(ascii: "?")) { return "a resource path has no query; queries are never compared" }
        do {
            _ = try RequestTarget(path)
            return nil
        } catch {
            return error.rawValue
        }
    }
}
