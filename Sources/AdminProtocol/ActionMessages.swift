/// Bodies under `/actions/` of the admin socket.
package enum ActionMessage {
    /// What is to be called: an operation's request, through a destination.
    package struct Request: Codable, Sendable {
        /// A subaccount's ID; nil for the service's own.
        package var subaccount: String?
        package var destination = ""
        package var method = "GET"
        /// Path and query, appended to the destination's URL.
        package var target = ""
        package var headers: [String: String] = [:]
        /// Base64.
        package var body = ""
        /// Where an X-CSRF-Token is fetched first: path and query, empty for `target`; nil for nowhere.
        package var csrfTarget: String?

        package init(
            subaccount: String? = nil,
            destination: String = "",
            method: String = "GET",
            target: String = "",
            headers: [String: String] = [:],
            body: String = "",
            csrfTarget: String? = nil
        ) {
            self.csrfTarget = csrfTarget
            self.subaccount = subaccount
            self.destination = destination
            self.method = method
            self.target = target
            self.headers = headers
            self.body = body
        }
    }

    /// What came back, from the internal host or from whoever refused.
    package struct Answer: Codable, Sendable {
        /// One field of the answer, as it came.
        package struct Header: Codable, Sendable {
            package var name: String
            package var value: String

            package init(name: String, value: String) {
                self.name = name
                self.value = value
            }
        }

        package var url: String
        package var status: Int
        package var reason: String
        package var headers: [Header]
        /// Base64.
        package var body: String
        /// Of an answer that is not the system's own: who failed, and why.
        package var refusal: String?

        package init(
            url: String,
            status: Int,
            reason: String,
            headers: [Header],
            body: String,
            refusal: String? = nil
        ) {
            self.url = url
            self.status = status
            self.reason = reason
            self.headers = headers
            self.body = body
            self.refusal = refusal
        }
    }
}
