/// How much a connection reads at once: what is usual for it, and more while there is more than that each time. The memory is the
/// loop's, so it costs a connection nothing.
struct ReadSize {
    /// Bytes at most.
    static let largest = 256 << 10
    /// From which on it grows: who reads less has a reason.
    static let smallestThatGrows = 64 << 10

    private let usual: Int
    private(set) var current: Int

    init(_ usual: Int) { (self.usual, current) = (usual, usual) }

    /// - Parameter count: bytes of the last read; below 0 where there were none.
    mutating func took(_ count: Int) {
        if count == current, usual >= Self.smallestThatGrows {
            current = max(current, min(2 * current, Self.largest))
        } else if count < current / 4 {
            current = usual
        }
    }
}
