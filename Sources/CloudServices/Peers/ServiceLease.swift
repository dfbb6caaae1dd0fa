package import ConnectivityService
internal import Cryptography
internal import Glibc
internal import HostSystem
package import Logging
internal import NIOPosix
package import PostgreSQL
internal import Synchronization

/// Keeps a service in the directory, says there which connectors have tunnels to it, and reads what the others say: on a thread and a
/// connection of its own. While the store is away, what was read last stays in force.
package final class ServiceLease: Sendable {
    private let own: PeerDirectory.Service
    private let database: DirectoryDatabase
    private let service: ConnectivityService
    private let logger: Logger
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let isEnding = Atomic<Bool>(false)
    private let isNews = Atomic<Bool>(true)
    private let isTaken = Atomic<Bool>(false)

    /// Milliseconds between two looks at whether there is something to do.
    private static let turn: UInt32 = 100
    /// Seconds between two renewals.
    private static let renewal = 5
    /// Renewals between two times at which what nobody needs is removed.
    private static let renewalsToCleanUp = 60

    package init(
        _ own: PeerDirectory.Service,
        _ address: DatabaseAddress,
        _ service: ConnectivityService,
        logger: Logger
    ) {
        self.own = own
        database = DirectoryDatabase(Database(address), own)
        self.service = service
        self.logger = logger
    }

    /// Another process has taken the name: this one is in no directory until it is started again, with another name.
    package var isNameTaken: Bool { isTaken.load(ordering: .relaxed) }

    package var name: String { own.name }

    /// The directory may have changed.
    package func wake() { isNews.store(true, ordering: .releasing) }

    package func start() {
        thread.start()
        thread.submit { [self] _ in
            var work = Work()
            while !isEnding.load(ordering: .relaxed) {
                do {
                    try look(&work)
                } catch {
                    // The feed says that the store is away, and why.
                    work.hasRead = false
                    wait(1000)
                }
                wait(Self.turn)
            }
            if work.isRegistered, !isNameTaken { try? database.leave() }
        }
    }

    /// Takes the service out of the directory, and returns when the thread is done.
    package func stop() async {
        isEnding.store(true, ordering: .relaxed)
        try? await thread.shutdownGracefully()
    }

    private func wait(_ milliseconds: UInt32) {
        var left = milliseconds
        while left > 0, !isEnding.load(ordering: .relaxed) {
            usleep(min(left, Self.turn) * 1000)
            left -= min(left, Self.turn)
        }
    }

    /// What the thread remembers.
    private struct Work {
        var isRegistered = false
        var renewed = ContinuousClock.now
        var renewals = 0
        /// As the directory has it.
        var published: [ConnectorIdentity: String] = [:]
        /// The registry's, when it was compared last.
        var version = -1
        /// All is known up to the last change.
        var hasRead = false
        var last = 0
        var services: [PeerDirectory.Service] = []
        /// This service's own rows.
        var own: [ConnectorIdentity: PeerDirectory.Entry] = [:]
    }

    private func look(_ work: inout Work) throws {
        try keepLease(&work)
        guard work.isRegistered else { return }
        try publish(&work)
        let isNews = isNews.exchange(false, ordering: .acquiring)
        if isNews || !work.hasRead {
            do { try read(&work) } catch {
                wake()
                throw error
            }
        }
    }

    private func keepLease(_ work: inout Work) throws {
        guard work.isRegistered else {
            guard !isNameTaken else { return }
            try database.register()
            work.isRegistered = true
            (work.published, work.version, work.hasRead) = ([:], -1, false)
            work.renewed = .now
            return
        }
        guard work.renewed.duration(to: .now) >= .seconds(Self.renewal) else { return }
        switch try database.renew() {
        case .renewed: break
        case .gone: work.isRegistered = false
        case .taken:
            isTaken.store(true, ordering: .relaxed)
            work.isRegistered = false
            logger.error(
                "another service has taken this one's name: give each a peers.name of its own, and start this one again",
                metadata: ["name": "\(own.name)"]
            )
        }
        work.renewed = .now
        work.renewals += 1
        if work.renewals % Self.renewalsToCleanUp == 1 { try database.cleanUp() }
        // Those whose lease has run out say nothing of it.
        wake()
    }

    private func publish(_ work: inout Work) throws {
        let version = service.registry.version
        guard version != work.version else { return }
        let present = Dictionary(service.registry.presences.map { ($0.identity, $0.session) }) { _, last in last }
        var changes = present.compactMap { identity, session in
            work.published[identity] == session
                ? nil : DirectoryDatabase.Change(identity, session: session, isUp: true)
        }
        for (identity, session) in work.published where present[identity] == nil {
            changes.append(DirectoryDatabase.Change(identity, session: session, isUp: false))
        }
        if !changes.isEmpty { try database.publish(changes) }
        (work.published, work.version) = (present, version)
    }

    private func read(_ work: inout Work) throws {
        let directory = service.peers.directory
        let services = try database.services()
        if services != work.services || !work.hasRead {
            // Of one that has come back nothing is known any more.
            work.services = services
            (work.last, work.own) = (0, [:])
            directory.removeTunnels()
            directory.replace(services.filter { $0.name != own.name })
            service.peers.connect()
        }
        let (rows, last) = try database.changes(after: work.last)
        var touched: Set<ConnectorIdentity> = []
        for row in rows {
            touched.insert(row.identity)
            if row.service == own.name {
                work.own[row.identity] = row.entry
            } else {
                directory.set(row.entry, of: row.identity, at: row.service)
            }
        }
        (work.last, work.hasRead) = (last, true)
        for identity in touched {
            guard let mine = work.own[identity], let other = directory.inForce(identity), other.number > mine.number,
                other.session != mine.session
            else { continue }
            service.registry.supersede(identity, by: other.session)
        }
    }
}
