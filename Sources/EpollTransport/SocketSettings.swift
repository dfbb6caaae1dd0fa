/// What a connection is like from its start.
package struct SocketSettings: Sendable {
    /// Bytes that are read at once, at most 256 KiB.
    package var readSize: Int
    /// Bytes that wait to be sent: at `high` its channel is not writable any more, at `low` it is again.
    package var lowWatermark: Int
    package var highWatermark: Int
    /// Whether what the peer sends may end before what it receives. Otherwise its end closes the connection.
    package var allowsHalfClosure: Bool
    /// Whether it reads without being asked to.
    package var autoRead: Bool
    /// Bytes that may wait in the kernel unsent (TCP_NOTSENT_LOWAT, tcp(7)); nil for as many as it takes.
    package var unsentInKernel: Int?

    package init(
        readSize: Int = 64 << 10,
        lowWatermark: Int = 32 << 10,
        highWatermark: Int = 128 << 10,
        allowsHalfClosure: Bool = false,
        autoRead: Bool = true,
        unsentInKernel: Int? = nil
    ) {
        self.readSize = readSize
        self.lowWatermark = lowWatermark
        self.highWatermark = highWatermark
        self.allowsHalfClosure = allowsHalfClosure
        self.autoRead = autoRead
        self.unsentInKernel = unsentInKernel
    }
}
