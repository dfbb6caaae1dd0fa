package import NIOCore

/// How long a request that comes now would wait for a free place, by how fast places have become free of late (Little's law). It lives while
/// all places are taken, and is made anew when there was room.
package struct QueueForecast: Sendable {
    /// Over which the rate is taken.
    private let window: TimeAmount
    private var start: NIODeadline?
    private var endedBefore = 0
    /// Places a second; nil until a whole window has passed.
    private var rate: Double?

    package init(window: TimeAmount) { self.window = window }

    /// - Parameters:
    ///   - ended: all places that have ever become free.
    ///   - waiting: requests that are before it.
    /// - Returns: seconds, infinite where nothing has become free; nil while nobody can say.
    package mutating func wait(behind waiting: Int, ended: Int, now: NIODeadline) -> Double? {
        guard let start else {
            (self.start, endedBefore) = (now, ended)
            return nil
        }
        let passed = now - start
        if passed >= window {
            rate = Double(ended - endedBefore) / (Double(passed.nanoseconds) / 1e9)
            (self.start, endedBefore) = (now, ended)
        }
        guard let rate else { return nil }
        return rate > 0 ? Double(waiting + 1) / rate : .infinity
    }
}
