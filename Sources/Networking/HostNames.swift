package import NIOCore
internal import NIOPosix
internal import Synchronization

/// Addresses of internal hosts. Names are looked up on threads of their own, each name once at a time, and remembered
/// for a moment: a name server that is silent holds up only the hosts whose names it should know.
package final class HostNames: Sendable {
    package static let shared = HostNames()

    /// In the order in which they should be tried.
    package typealias Addresses = [SocketAddress]

    private struct Entry {
        var result: Result<Addresses, any Error>?
        var until: NIODeadline = .now()
        var waiting: [EventLoopPromise<Addresses>] = []
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let pool = NIOThreadPool(numberOfThreads: 16)

    /// How long an address may be used after it has changed.
    private static let lifetime = TimeAmount.seconds(10)
    private static let failureLifetime = TimeAmount.seconds(1)
    /// Names remembered; they come from the configuration.
    private static let limit = 10_000

    private init() { pool.start() }

    /// The addresses of a name, with port 0.
    package func addresses(of name: String, on eventLoop: any EventLoop) -> EventLoopFuture<Addresses> {
        let promise = eventLoop.makePromise(of: Addresses.self)
        let mustLookUp = entries.withLock { entries in
            var entry = entries[name] ?? Entry()
            if let result = entry.result, entry.until > .now() {
                promise.completeWith(result)
                return false
            }
            entry.waiting.append(promise)
            let isFirst = entry.waiting.count == 1
            if isFirst, entries.count >= Self.limit { entries = entries.filter { !$0.value.waiting.isEmpty } }
            entries[name] = entry
            return isFirst
        }
        if mustLookUp {
            pool.submit { [self] state in
                guard case .active = state else { return }
                keep(Result { try AddressResolver.lookUp(name, 0) }, name)
            }
        }
        return promise.futureResult
    }

    private func keep(_ result: Result<Addresses, any Error>, _ name: String) {
        let isKnown = if case .success = result { true } else { false }
        let waiting = entries.withLock { entries in
            let waiting = entries[name]?.waiting ?? []
            let until = NIODeadline.now() + (isKnown ? Self.lifetime : Self.failureLifetime)
            entries[name] = Entry(result: result, until: until)
            return waiting
        }
        for promise in waiting { promise.completeWith(result) }
    }
}

/// `HostNames` as a bootstrap wants it; IP addresses need no look-up.
package final class HostResolver: Resolver, Sendable {
    private let eventLoop: any EventLoop

    package init(on eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        find(host, port, .inet)
    }

    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        find(host, port, .inet6)
    }

    func cancelQueries() {}

    private func find(
        _ host: String,
        _ port: Int,
        _ family: NIOBSDSocket.ProtocolFamily
    ) -> EventLoopFuture<[SocketAddress]> {
        if let address = try? SocketAddress(ipAddress: host, port: port) {
            return eventLoop.makeSucceededFuture(address.protocol == family ? [address] : [])
        }
        return HostNames.shared.addresses(of: host, on: eventLoop).map { addresses in
            addresses.filter { $0.protocol == family }.map { address in
                var address = address
                address.port = port
                return address
            }
        }
    }
}
