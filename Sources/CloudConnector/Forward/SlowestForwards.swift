internal import AccessPolicy
internal import NIOCore
internal import TextFormats

/// The requests of one event loop that have taken the longest. Used on that loop only.
struct SlowestForwards {
    /// Requests that are kept, as many as SAP's product shows.
    static let limit = 50

    struct Entry {
        var system: SystemMapping
        var path: ArraySlice<UInt8>
        /// Nanoseconds, as all times here.
        var took: Int64
        var connectTime: Int64
        var backendTime: Int64
        var requestBytes: Int
        var responseBytes: Int
    }

    /// What is not slower is not kept: nothing else is looked at with each request.
    private(set) var threshold: Int64 = -1
    private(set) var entries: [Entry] = []

    mutating func add(_ entry: Entry) {
        guard entries.count >= Self.limit else {
            entries.append(entry)
            if entries.count == Self.limit { threshold = entries.map(\.took).min() ?? -1 }
            return
        }
        guard let place = entries.indices.min(by: { entries[$0].took < entries[$1].took }) else { return }
        entries[place] = entry
        threshold = entries.map(\.took).min() ?? -1
    }
}

/// One of the requests that have taken the longest, as the monitoring API tells it.
package struct SlowRequest: Sendable {
    package var virtualHost: String
    package var internalHost: String
    package var `protocol`: String
    /// Escaped.
    package var resource: String
    package var milliseconds: Double
    package var connectMilliseconds: Double
    package var backendMilliseconds: Double
    package var requestBytes: Int
    package var responseBytes: Int

    init(_ entry: SlowestForwards.Entry) {
        virtualHost = entry.system.virtualAddress
        internalHost = entry.system.internalAddress
        `protocol` = entry.system.protocol.rawValue
        resource = LogText.escaped(entry.path)
        milliseconds = Double(entry.took / 1000) / 1000
        connectMilliseconds = Double(entry.connectTime / 1000) / 1000
        backendMilliseconds = Double(entry.backendTime / 1000) / 1000
        (requestBytes, responseBytes) = (entry.requestBytes, entry.responseBytes)
    }
}
