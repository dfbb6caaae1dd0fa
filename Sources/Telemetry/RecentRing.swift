/// The last things of a kind, in places that are used again and again: keeping one costs no memory after a while.
package struct RecentRing<Entry> {
    private var entries: [Entry] = []
    private var next = 0
    private let limit: Int
    private let make: () -> Entry

    /// - Parameters:
    ///   - limit: entries that are kept.
    ///   - make: an empty one.
    package init(limit: Int, make: @escaping () -> Entry) {
        (self.limit, self.make) = (limit, make)
    }

    /// Takes the oldest place for a new entry.
    ///
    /// - Parameter fill: gets what was there before, to be written over.
    /// - Returns: the entry's number.
    package mutating func begin(_ fill: (inout Entry) -> Void) -> Int {
        if entries.count < limit { entries.append(make()) }
        fill(&entries[next % limit])
        next += 1
        return next - 1
    }

    /// Changes an entry, if its place has not been taken yet.
    package mutating func update(_ number: Int, _ change: (inout Entry) -> Void) {
        guard number >= 0, number < next, number >= next - limit else { return }
        change(&entries[number % limit])
    }

    /// The latest first.
    package var all: [Entry] {
        (0..<entries.count).map { entries[(next - 1 - $0) % limit] }
    }
}
