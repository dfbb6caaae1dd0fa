internal import NIOCore

/// A connection as a pool sees it.
protocol PooledConnection: AnyObject {
    /// Open, and nobody uses it.
    var isReusable: Bool { get }
    /// Since when.
    var idleSince: NIODeadline { get }
    /// Until when its server means to keep it.
    var usableUntil: NIODeadline { get }
}

/// Unused connections to one internal host, the one used last at the end.
struct IdleConnections<Connection: PooledConnection> {
    private(set) var all: [Connection] = []

    var count: Int { all.count }
    /// The one that has been unused for longest.
    var oldest: Connection? { all.first }

    /// The one used last: its internal host is the least likely to have closed it. Those that were closed meanwhile are
    /// dropped.
    ///
    /// - Parameter mustBeFresh: for a request that may not be sent twice. Servers close connections that have been unused for
    ///   some seconds; one that was used within `freshness` is there (RFC 9110 section 9.2.2).
    mutating func take(at now: NIODeadline, mustBeFresh: Bool) -> Connection? {
        while let connection = all.last {
            if connection.isReusable, connection.usableUntil > now {
                if mustBeFresh, now - connection.idleSince > Self.freshness { return nil }
                all.removeLast()
                return connection
            }
            all.removeLast()
        }
        return nil
    }

    private static var freshness: TimeAmount { .seconds(1) }

    /// - Parameter limit: of the pool.
    /// - Returns: whether there was room.
    mutating func keep(_ connection: Connection, limit: Int) -> Bool {
        guard all.count < limit else { return false }
        all.append(connection)
        return true
    }

    mutating func forget(_ connection: Connection) {
        guard let index = all.firstIndex(where: { $0 === connection }) else { return }
        all.remove(at: index)
    }
}

/// Unused connections to one internal host that are logged on as users, each for its user only.
struct OwnedConnections<Connection: PooledConnection> {
    private var byOwner: [[UInt8]: IdleConnections<Connection>] = [:]

    var all: [Connection] { byOwner.values.flatMap(\.all) }
    var count: Int { byOwner.values.reduce(0) { $0 + $1.count } }
    /// The one that has been unused for longest.
    var oldest: Connection? { byOwner.values.compactMap(\.oldest).min { $0.idleSince < $1.idleSince } }

    mutating func take(of owner: [UInt8], at now: NIODeadline, mustBeFresh: Bool) -> Connection? {
        let connection = byOwner[owner]?.take(at: now, mustBeFresh: mustBeFresh)
        tidy(owner)
        return connection
    }

    /// - Parameter limit: of all users together.
    mutating func keep(_ connection: Connection, of owner: [UInt8], limit: Int) -> Bool {
        guard count < limit else { return false }
        return byOwner[owner, default: IdleConnections()].keep(connection, limit: limit)
    }

    mutating func forget(_ connection: Connection, of owner: [UInt8]) {
        byOwner[owner]?.forget(connection)
        tidy(owner)
    }

    private mutating func tidy(_ owner: [UInt8]) {
        if byOwner[owner]?.count == 0 { byOwner[owner] = nil }
    }
}

/// Connections that authentication has bound to one client each: they answer only requests that carry their pin.
struct PinnedConnections<Connection: PooledConnection> {
    private var byPin: [String: Connection] = [:]
    private var counter: UInt64

    /// - Parameter start: of the numbers in pins.
    init(start: UInt64 = .random(in: 0 ... .max)) { counter = start }

    var all: Dictionary<String, Connection>.Values { byPin.values }

    /// Binds a connection.
    ///
    /// - Parameters:
    ///   - limit: of connections that are bound at a time.
    ///   - secret: of 64 random bits, so that nobody can guess the pin.
    /// - Returns: the pin; nil where there are too many.
    mutating func pin(_ connection: Connection, limit: Int, secret: UInt64 = .random(in: 0 ... .max)) -> String? {
        guard byPin.count < limit else { return nil }
        counter &+= 1
        let pin = String(counter, radix: 36) + "-" + String(secret, radix: 36)
        byPin[pin] = connection
        return pin
    }

    /// - Returns: nil for a pin that is unknown, or whose connection is in use or gone.
    func connection(_ pin: String) -> Connection? {
        guard let connection = byPin[pin], connection.isReusable else { return nil }
        return connection
    }

    mutating func forget(_ pin: String) { byPin[pin] = nil }
}
