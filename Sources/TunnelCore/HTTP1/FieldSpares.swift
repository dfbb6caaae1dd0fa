/// Memory for the fields of heads, that the parsers of one event loop hand on to each other: a connection has some only while it
/// reads a head.
@safe package final class FieldSpares {
    /// Fields of one piece. Most heads have fewer.
    static let capacity = 16
    /// Pieces that nobody uses at the moment.
    static let maxCount = 128

    private var pieces: [UnsafeMutablePointer<HTTP1HeadParser.Field>] = unsafe []

    package init() {}

    deinit { unsafe pieces.forEach { unsafe $0.deallocate() } }

    var count: Int { unsafe pieces.count }

    func take() -> UnsafeMutablePointer<HTTP1HeadParser.Field> {
        unsafe pieces.popLast() ?? .allocate(capacity: Self.capacity)
    }

    /// - Parameter piece: from `take`, or as large.
    func giveBack(_ piece: UnsafeMutablePointer<HTTP1HeadParser.Field>) {
        if unsafe pieces.count < Self.maxCount { unsafe pieces.append(piece) } else { unsafe piece.deallocate() }
    }
}
