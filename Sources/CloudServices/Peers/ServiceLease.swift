package import ConnectivityService
internal import Cryptography
internal import HostSystem
package import Logging
internal import NIOPosix
package import PostgreSQL
internal import Synchronization
internal import TextFormats

/// Keeps a service in the directory, says there which connectors have tunnels to it, and reads what the others say: on a thread and a
/// connection of its own. While the store is away, what was read last stays in force.
package final class ServiceLease: Sendable {
    private let own: PeerDirectory.Service
    private let database: DirectoryDatabase
    private let service: ConnectivityService
    private let logger: Logger
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let pause = ThreadPause()
    private let isNews = Atomic<Bool>(true)
    private let isTaken = Atomic<Bool>(false)
    private let problem = Mutex<String?>(nil)

    /// Milliseconds between two looks at whether there is something to do.
    private static let turn = 100
    /// And after a fault.
    private static let pauseAfterFault = 1000
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

    /// Another process has taken the name: this one is in no directory until that has gone.
    private var isNameTaken: Bool { isTaken.load(ordering: .relaxed) }

    package var name: String { own.name }
    /// Why the directory is not kept; nil while it is.
    package var fault: String? { isNameTaken ? "another process has taken this one's name" : problem.withLock { $0 } }

    /// The directory may have changed.
    package func wake() {
        isNews.store(true, ordering: .releasing)
        pause.wake()
    }

    package func start() {
        thread.start()
        thread.submit { [self] _ in
            var work = Work()
            while !pause.isOver {
                do {
                    try look(&work)
                    failed(nil)
                    pause.wait(milliseconds: Self.turn)
                } catch {
                    failed("\(error)")
                    work.trouble()
                    pause.wait(milliseconds: Self.pauseAfterFault)
                }
            }
            if work.isRegistered { try? database.leave() }
        }
    }

    /// Said once: the feed tells of a store that is away, but not of what this service may not do there.
    private func failed(_ cause: String?) {
        let isNews = problem.withLock { old in
            defer { old = cause }
            return old != cause
        }
        guard isNews else { return }
        if let cause {
            logger.error("the directory of services is not kept", metadata: ["cause": "\(cause)"])
        } else {
            logger.notice("the directory of services is kept again")
        }
    }

    /// Takes the service out of the directory, and returns when the thread is done.
    package func stop() async {
        pause.end()
        try? await thread.shutdownGracefully()
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
        /// The connection to the database with which all was read, and up to which change; 0 for none yet.
        var generation = 0
        var last = 0
        var services: [PeerDirectory.Service] = []
        /// This service's own rows.
        var own: [ConnectorIdentity: PeerDirectory.Entry] = [:]
        /// Until then others may not have come back yet: none is forgotten.
        var patience = ContinuousClock.now

        mutating func trouble() {
            generation = 0
            patience = .now + .seconds(DirectoryDatabase.lifetime + 5)
        }
    }

    private func look(_ work: inout Work) throws {
        try keepLease(&work)
        let isNews = isNews.exchange(false, ordering: .acquiring)
        if isNews || work.generation != database.generation {
            do { try read(&work) } catch {
                self.isNews.store(true, ordering: .releasing)
                throw error
            }
        }
        if work.isRegistered { try publish(&work) }
    }

    private func keepLease(_ work: inout Work) throws {
        if work.isRegistered, work.renewed.duration(to: .now) < .seconds(Self.renewal) { return }
        if !work.isRegistered, isNameTaken, work.renewed.duration(to: .now) < .seconds(Self.renewal) { return }
        let found = work.isRegistered || isNameTaken ? try database.renew() : .gone
        switch found {
        case .renewed: break
        case .gone:
            try database.register()
            work.isRegistered = true
            (work.published, work.version) = ([:], -1)
            if isTaken.exchange(false, ordering: .relaxed) {
                logger.notice("the service's name is free again", metadata: ["name": "\(own.name)"])
            }
        case .taken where isNameTaken: break
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
        if work.renewals % Self.renewalsToCleanUp == 2 { try database.cleanUp() }
        // Those whose lease has run out say nothing of it.
        isNews.store(true, ordering: .releasing)
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
        if !changes.isEmpty { try publish(changes) }
        (work.published, work.version) = (present, version)
    }

    /// What the database does not take of one connector is no reason to say nothing of the others.
    private func publish(_ changes: [DirectoryDatabase.Change]) throws {
        do {
            try database.publish(changes)
        } catch {
            guard !error.isAway else { throw error }
            guard changes.count > 1 else {
                logger.error(
                    "a connector cannot stand in the directory",
                    metadata: [
                        "subaccount": "\(LogText.escaped(changes[0].subaccount.utf8))",
                        "location_id": "\(LogText.escaped(changes[0].location_id.utf8))", "cause": "\(error)",
                    ]
                )
                return
            }
            for change in changes { try publish([change]) }
        }
    }

    // MARK: What the others say

    private func read(_ work: inout Work) throws {
        let generation = database.generation
        let services = try servicesThere(&work)
        // A connection that is new may be one to another server, which may know less than the one before.
        if services != work.services || work.generation != generation || generation != database.generation {
            try readAll(&work, services)
        } else {
            let (rows, last) = try database.changes(after: work.last)
            for row in rows { take(row, &work) }
            work.last = last
            settle(Set(rows.map(\.identity)), work)
        }
    }

    private func servicesThere(_ work: inout Work) throws -> [PeerDirectory.Service] {
        let there = try database.services()
        guard work.patience > .now else { return there }
        let names = Set(there.map(\.name))
        return (there + work.services.filter { !names.contains($0.name) }).sorted { $0.name < $1.name }
    }

    private func readAll(_ work: inout Work, _ services: [PeerDirectory.Service]) throws {
        let (rows, last) = try database.changes(after: 0)
        let others = rows.filter { $0.service != own.name }
        service.peers.directory.replace(
            services.filter { $0.name != own.name },
            others.compactMap { row in row.entry.map { (row.service, row.identity, $0) } }
        )
        service.peers.connect()
        work.own = [:]
        for row in rows where row.service == own.name { work.own[row.identity] = row.entry }
        // What the database has lost of this service is said again.
        work.published = work.own.mapValues(\.session)
        (work.version, work.services, work.last, work.generation) = (-1, services, last, database.generation)
        settle(Set(work.own.keys), work)
    }

    private func take(_ row: DirectoryDatabase.Row, _ work: inout Work) {
        if row.service == own.name {
            work.own[row.identity] = row.entry
        } else {
            service.peers.directory.set(row.entry, of: row.identity, at: row.service)
        }
    }

    /// Of two sessions of one connector at two services, the one with the greater number stays.
    private func settle(_ touched: Set<ConnectorIdentity>, _ work: Work) {
        for identity in touched {
            guard let mine = work.own[identity], let other = service.peers.directory.inForce(identity),
                other.number > mine.number, other.session != mine.session
            else { continue }
            service.registry.supersede(identity, mine.session, by: other.session)
        }
    }
}
