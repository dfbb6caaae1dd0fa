internal import AccessPolicy
internal import AdminProtocol
internal import CloudConnector
internal import HostSystem
internal import Telemetry
internal import TextFormats

/// What the pages of the monitoring API say.
struct MonitoringReport {
    let call: APICall

    init(_ call: APICall) { self.call = call }

    // MARK: Pages by subaccount

    /// A page that has an entry for each subaccount, under the name `member`.
    struct Page<Content: Encodable>: Encodable {
        struct Entry: Encodable {
            var regionHost: String
            var subaccount: String
            var locationID: String
            var sinceTime: String?
            var member: String
            var content: Content

            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Name.self)
                try container.encode(regionHost, forKey: Name("regionHost"))
                try container.encode(subaccount, forKey: Name("subaccount"))
                try container.encode(locationID, forKey: Name("locationID"))
                try container.encodeIfPresent(sinceTime, forKey: Name("sinceTime"))
                try container.encode(content, forKey: Name(member))
            }
        }

        var subaccounts: [Entry]
        var version = 1
    }

    struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(_ text: String) { stringValue = text }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private func page<Content: Encodable>(
        _ member: String,
        since: Bool = false,
        _ content: (APISubaccount) async throws -> Content
    ) async throws -> Page<Content> {
        var page = Page<Content>(subaccounts: [])
        for subaccount in await call.subaccounts() {
            page.subaccounts.append(
                Page.Entry(
                    regionHost: subaccount.region,
                    subaccount: subaccount.status.subaccount,
                    locationID: subaccount.status.locationID,
                    sinceTime: since ? WallClock.text(call.host.startedAt).replacing("Z", with: ".000 +0000") : nil,
                    member: member,
                    content: try await content(subaccount)
                )
            )
        }
        return page
    }

    private func figures(_ subaccount: APISubaccount) async -> [SystemFigures] {
        await call.host.figures().first {
            $0.connector == (subaccount.status.subaccount, subaccount.status.locationID)
        }?.figures ?? []
    }

    private func mapping(_ subaccount: APISubaccount, _ virtualHost: String) -> ConnectorStatus.System? {
        subaccount.status.systems.first { $0.virtualHost == virtualHost }
    }

    func subaccounts() async throws -> Subaccounts {
        Subaccounts(subaccounts: await call.subaccounts().map { SubaccountDocument($0, call.base, isWhole: true) })
    }

    struct Subaccounts: Encodable {
        var subaccounts: [SubaccountDocument]
        var version = 1
    }

    struct BackendConnection: Encodable {
        var virtualBackend: String
        var internalBackend: String
        var `protocol`: String
        var idle: Int
        var active: Int
    }

    func connections() async throws -> Page<[BackendConnection]> {
        try await page("backendConnections") { subaccount in
            let figures = await figures(subaccount)
            return figures.filter { $0.connections > 0 }.map { system in
                let mapping = mapping(subaccount, system.virtualHost)
                return BackendConnection(
                    virtualBackend: system.virtualHost,
                    internalBackend: mapping?.internalHost ?? "",
                    protocol: mapping?.protocol ?? "",
                    idle: system.idle,
                    active: system.connections - system.idle
                )
            }
        }
    }

    func serviceChannels() async throws -> Page<[String]> { try await page("serviceChannelConnections") { _ in [] } }

    struct Performance: Encodable {
        struct Bucket: Encodable {
            var numberOfCalls: Int
            var minimumCallDurationMs: Int
        }

        var virtualHost: String
        var virtualPort: String
        var `protocol`: String
        var buckets: [Bucket]
    }

    func performance() async throws -> Page<[Performance]> {
        try await page("backendPerformance", since: true) { subaccount in
            await figures(subaccount).compactMap { system in
                guard let mapping = mapping(subaccount, system.virtualHost) else { return nil }
                let (host, port) = Self.split(system.virtualHost)
                return Performance(
                    virtualHost: host,
                    virtualPort: port,
                    protocol: mapping.protocol,
                    buckets: zip(system.calls, Histogram.callBounds).map {
                        Performance.Bucket(numberOfCalls: $0, minimumCallDurationMs: $1)
                    }
                )
            }
        }
    }

    private static func split(_ address: String) -> (host: String, port: String) {
        let host = address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
        return (host, String(address.dropFirst(host.count + 1)))
    }

    struct TimeConsumer: Encodable {
        var `protocol`: String
        var virtualBackend: String
        var internalBackend: String
        var resource: String
        var sentBytes: Int
        var receivedBytes: Int
        var user = ""
        // Milliseconds.
        var totalTime: Int
        var externalTime: Int
        var genSsoTime = 0
        var openRemoteTime: Int
        var validationSsoTime = 0
        var latencyTime: Int

        init(_ request: SlowRequest) {
            (self.protocol, virtualBackend, internalBackend) = (
                request.protocol, request.virtualHost, request.internalHost
            )
            resource = request.resource
            (sentBytes, receivedBytes) = (request.responseBytes, request.requestBytes)
            totalTime = Int(request.milliseconds)
            externalTime = Int(request.backendMilliseconds)
            openRemoteTime = Int(request.connectMilliseconds)
            latencyTime = max(totalTime - externalTime - openRemoteTime, 0)
        }
    }

    func topTimeConsumers() async throws -> Page<[TimeConsumer]> {
        try await page("requests", since: true) { subaccount in
            await call.host.slowest(subaccount.status.file).map { TimeConsumer($0) }
        }
    }

    struct Usage: Encodable {
        struct Resource: Encodable {
            var resourceName: String
            var enabled = true
            var bytesReceived: Int
            var bytesSent: Int
            var calls: Int
            var mostRecentAccess: Int?
        }

        var virtualHost: String
        var virtualPort: String
        var `protocol`: String
        var bytesReceived: Int
        var bytesSent: Int
        var calls: Int
        var mostRecentAccess: Int?
        var resources: [Resource]
    }

    func usage() async throws -> Page<[Usage]> {
        let now = WallClock.seconds()
        return try await page("usageStatistics", since: true) { subaccount in
            await figures(subaccount).compactMap { system in
                guard let mapping = mapping(subaccount, system.virtualHost) else { return nil }
                let (host, port) = Self.split(system.virtualHost)
                let resources = system.usage.map { usage in
                    Usage.Resource(
                        resourceName: usage.path,
                        bytesReceived: usage.requestBytes,
                        bytesSent: usage.responseBytes,
                        calls: usage.calls,
                        mostRecentAccess: usage.age.map { (now - $0) * 1000 }
                    )
                }
                return Usage(
                    virtualHost: host,
                    virtualPort: port,
                    protocol: mapping.protocol,
                    bytesReceived: system.requestBytes,
                    bytesSent: system.responseBytes,
                    calls: system.requests,
                    mostRecentAccess: resources.compactMap(\.mostRecentAccess).max(),
                    resources: resources
                )
            }
        }
    }
}
