/// What was asked of a system in the last hours: how often, by method and path.
package struct AskedRequest: Codable, Sendable, Equatable {
    /// Of the connector; filled in where several are asked.
    package var subaccount = ""
    package var locationID = ""
    package var virtualHost: String
    package var method: String
    package var path: String
    package var count: Int
    /// Of all since the path was first asked for, those that the policy refused.
    package var refused: Int

    package init(virtualHost: String, method: String, path: String, count: Int, refused: Int) {
        (self.virtualHost, self.method, self.path) = (virtualHost, method, path)
        (self.count, self.refused) = (count, refused)
    }
}

/// All of them, over one admin socket.
package struct AskedRequests: Codable, Sendable {
    package var requests: [AskedRequest]
    /// Further ones whose path was not kept, since there were too many or it is too long.
    package var missed: Int

    package init(requests: [AskedRequest], missed: Int) { (self.requests, self.missed) = (requests, missed) }
}
