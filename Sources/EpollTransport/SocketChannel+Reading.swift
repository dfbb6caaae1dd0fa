internal import Glibc
internal import NIOCore

extension SocketChannel {
    /// One read a turn, so that a connection with much to read leaves the others theirs.
    func readOnce() {
        isReadWanted = false
        let size = readSize.current
        let isLarge = size > 64 << 10
        var buffer =
            isLarge
            ? exchange(&loop.buffers.largeRead, with: ByteBuffer()) : exchange(&loop.buffers.read, with: ByteBuffer())
        buffer.clear()
        var count = 0
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { target in
            unsafe count = recv(descriptor, target.baseAddress, size, 0)
            return max(0, count)
        }
        let error = errno
        if count < size { isReadable = isEndSeen }
        readSize.took(count)
        if count > 0 { ownPipeline.syncOperations.fireChannelRead(NIOAny(buffer)) }
        if isLarge { loop.buffers.largeRead = buffer } else { loop.buffers.read = buffer }
        switch count {
        case 0: return inputEnded()
        case ..<0 where error == EAGAIN || error == EINTR:
            isReadable = error == EINTR
            isReadWanted = true
        case ..<0: return fail(IOError(errnoCode: error, reason: "read"))
        default:
            if state == .active { ownPipeline.syncOperations.fireChannelReadComplete() }
            readIfAuto()
        }
        planRead()
    }

    func planRead() {
        guard isReadable, isReadWanted, !isReadLater, state == .active else { return }
        isReadLater = true
        loop.readLater(self)
    }

    func readIfAuto() {
        if settings.autoRead, !isReadWanted, state == .active { ownPipeline.syncOperations.read() }
    }

    func setAutoRead(_ value: Bool) {
        settings.autoRead = value
        readIfAuto()
    }

    private func inputEnded() {
        isReadable = false
        guard !isInputClosed, state == .active else { return }
        guard settings.allowsHalfClosure, !isOutputEnded else {
            return close0(error: ChannelError.eof, mode: .all, promise: nil)
        }
        isInputClosed = true
        ownPipeline.syncOperations.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        if state == .active { ownPipeline.syncOperations.fireChannelReadComplete() }
    }

    /// The connection is broken.
    func fail(_ error: IOError) {
        guard state == .active else { return }
        ownPipeline.syncOperations.fireErrorCaught(error)
        close0(error: error, mode: .all, promise: nil)
    }

    /// What a peer has sent before it broke the connection off is heard, since its answer may say why.
    func readRest() {
        while isReadWanted, state == .active {
            isEndSeen = true
            let before = isReadable
            readOnce()
            if !isReadable, !before { return }
        }
    }
}
