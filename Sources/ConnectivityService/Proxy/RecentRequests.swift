internal import AdminProtocol
internal import Cryptography
internal import HostSystem
internal import NIOCore
internal import Telemetry
internal import TextFormats
internal import TunnelCore

/// The last requests of one event loop, for people who look at the service. Used on that loop only.
struct RecentRequests {
    /// Requests that are kept.
    static let limit = 50
    /// Bytes of method and target that are kept.
    fileprivate static let bytes = 300

    struct Entry {
        /// Method, blank, target.
        var line: [UInt8] = []
        var id: RequestID?
        var started = NIODeadline.uptimeNanoseconds(0)
        var ended: NIODeadline?
        var status: Int?
        var connectTime: Int64?
        var backendTime: Int64?
        var requestBytes = 0
        var responseBytes = 0
        var group: TunnelGroup?
        var report: RefusalReport?

        /// Written over what was there before, whose memory it uses.
        mutating func begin(
            _ method: UnsafeRawBufferPointer,
            _ target: UnsafeRawBufferPointer,
            _ started: NIODeadline
        ) {
            line.removeAll(keepingCapacity: true)
            unsafe line.append(contentsOf: method)
            line.append(UInt8(ascii: " "))
            unsafe line.append(contentsOf: target.prefix(RecentRequests.bytes))
            self.started = started
            (ended, status, report, group) = (nil, nil, nil, nil)
            (connectTime, backendTime) = (nil, nil)
        }
    }

    private var places = RingPlaces(limit: limit)
    private var entries: [Entry] = []

    /// - Returns: the number for `update`.
    mutating func begin(
        method: UnsafeRawBufferPointer,
        target: UnsafeRawBufferPointer,
        _ started: NIODeadline
    ) -> Int {
        let (place, number) = places.begin()
        if place == entries.count { entries.append(Entry()) }
        unsafe entries[place].begin(method, target, started)
        return number
    }

    mutating func update(_ number: Int, _ change: (inout Entry) -> Void) {
        if let place = places.place(of: number) { change(&entries[place]) }
    }

    /// The latest first.
    var all: [RecentRequest] {
        let (now, time) = (NIODeadline.now(), WallClock.seconds())
        return places.latestFirst.map { place in
            let entry = entries[place]
            let blank = entry.line.firstIndex(of: UInt8(ascii: " ")) ?? 0
            let target = entry.line[min(blank + 1, entry.line.count)...]
            return RecentRequest(
                time: time - Int((now - entry.started).nanoseconds / 1_000_000_000),
                id: entry.id?.description ?? "",
                subaccount: entry.group?.identity.subaccount ?? "",
                locationID: entry.group?.identity.locationID ?? "",
                method: LogText.escaped(entry.line[..<blank]),
                target: unsafe target.withUnsafeBytes { unsafe LogText.target($0) },
                status: entry.status,
                report: entry.report,
                milliseconds: entry.ended.map { Double(($0 - entry.started).nanoseconds / 1000) / 1000 },
                connectMilliseconds: entry.connectTime.map { Double($0) / 1000 },
                backendMilliseconds: entry.backendTime.map { Double($0) / 1000 },
                requestBytes: entry.requestBytes,
                responseBytes: entry.responseBytes
            )
        }
    }
}
