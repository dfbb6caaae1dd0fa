internal import AccessPolicy
internal import AdminProtocol
internal import HostSystem
internal import NIOCore
internal import Telemetry
internal import TextFormats
internal import TunnelCore

/// The last requests that came through the tunnels of one event loop. Used on that loop only.
struct RecentForwards {
    /// Requests that are kept.
    static let limit = 50

    struct Entry {
        var id: RequestID?
        var method = RequestMethod.get
        /// What was decided on; nil where nothing was permitted.
        var permit: Permit?
        var started = NIODeadline.uptimeNanoseconds(0)
        var took: Int64 = 0
        var status = 0
        var connectTime: Int64 = 0
        var backendTime: Int64 = 0
        var requestBytes = 0
        var responseBytes = 0
        var report: RefusalReport?
        /// Of a request without a permit, as it is logged.
        var target = ""
    }

    private var places = RingPlaces(limit: limit)
    private var entries: [Entry] = []

    /// Writes over the oldest one.
    mutating func add(_ fill: (inout Entry) -> Void) {
        let place = places.begin().place
        if place == entries.count { entries.append(Entry()) }
        fill(&entries[place])
    }

    /// The latest first.
    func all(_ subaccount: String, _ locationID: String) -> [RecentRequest] {
        let (now, time) = (NIODeadline.now(), WallClock.seconds())
        return places.latestFirst.map { place in
            let entry = entries[place]
            return RecentRequest(
                time: time - Int((now - entry.started).nanoseconds / 1_000_000_000),
                id: entry.id?.description ?? "",
                subaccount: subaccount,
                locationID: locationID,
                method: "\(entry.method)",
                target: entry.permit.map { "http://\($0.system.virtualAddress)\(LogText.escaped($0.target.path))" }
                    ?? entry.target,
                status: entry.status,
                report: entry.report,
                milliseconds: Double(entry.took / 1000) / 1000,
                connectMilliseconds: Double(entry.connectTime / 1000) / 1000,
                backendMilliseconds: Double(entry.backendTime / 1000) / 1000,
                requestBytes: entry.requestBytes,
                responseBytes: entry.responseBytes
            )
        }
    }
}
