package import TextFormats

/// One of the last requests, as `connectord status --requests` and the page show it.
package struct RecentRequest: Codable, Sendable, Equatable {
    /// When it began, in seconds since 1970.
    package var time: Int
    /// The same in the answer and in the logs of both sides.
    package var id: String
    package var subaccount: String
    package var locationID: String
    package var method: String
    /// A URL without its query in most cases.
    package var target: String
    /// 0 where there was no complete answer; nil while it is in progress.
    package var status: Int?
    /// "forwarded", or the phase in which it was refused or failed.
    package var decision: String
    /// Who is at fault; nil for what was forwarded.
    package var source: RefusalSource?
    /// As in the answer's Proxy-Status, in logs and metrics.
    package var error: String?
    package var cause: String?
    /// From its head to the end of its response, in milliseconds.
    package var milliseconds: Double?
    /// To connect to the internal host, and until its response began, in milliseconds; where that is known.
    package var connectMilliseconds: Double?
    package var backendMilliseconds: Double?
    /// Bytes of bodies.
    package var requestBytes: Int
    package var responseBytes: Int

    package init(
        time: Int,
        id: String,
        subaccount: String,
        locationID: String,
        method: String,
        target: String,
        status: Int?,
        report: RefusalReport?,
        milliseconds: Double?,
        connectMilliseconds: Double?,
        backendMilliseconds: Double?,
        requestBytes: Int,
        responseBytes: Int
    ) {
        (self.time, self.id, self.subaccount, self.locationID) = (time, id, subaccount, locationID)
        (self.method, self.target, self.status) = (method, target, status)
        (source, error, cause) = (report?.source, report?.error, report?.cause)
        decision = report.map { "\($0.phase.rawValue)" } ?? "forwarded"
        self.milliseconds = milliseconds
        self.connectMilliseconds = connectMilliseconds
        self.backendMilliseconds = backendMilliseconds
        (self.requestBytes, self.responseBytes) = (requestBytes, responseBytes)
    }
}
