/// Which places of an array the last few of many entries have: each new one takes that of the oldest. The array is with whoever
/// uses this; a generic ring in another module would look its type up with each request.
package struct RingPlaces: Sendable {
    private var next = 0
    private let limit: Int

    /// - Parameter limit: places that there are.
    package init(limit: Int) { self.limit = limit }

    /// - Returns: the place of a new entry, which is the array's end until that has `limit` places, and the entry's number.
    package mutating func begin() -> (place: Int, number: Int) {
        next += 1
        return ((next - 1) % limit, next - 1)
    }

    /// - Returns: nil if there was no entry with this number, or its place has been taken.
    package func place(of number: Int) -> Int? {
        guard number >= 0, number < next, number >= next - limit else { return nil }
        return number % limit
    }

    /// The latest first.
    package var latestFirst: [Int] { (0..<min(next, limit)).map { (next - 1 - $0) % limit } }
}
