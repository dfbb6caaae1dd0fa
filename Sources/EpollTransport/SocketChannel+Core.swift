internal import Glibc
package import NIOCore
internal import Synchronization

extension SocketChannel: ChannelCore {
    package func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard state == .active else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard case .open = outputEnd else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        output.append(unwrapData(data, as: ByteBuffer.self), promise)
        if output.count > settings.highWatermark, isWritable {
            writable.store(false, ordering: .relaxed)
            ownPipeline.syncOperations.fireChannelWritabilityChanged()
        }
    }

    package func flush0() {
        output.flush()
        if !isBlocked { send() }
    }

    func send() {
        guard state == .active, !isSending else { return }
        isSending = true
        var completed: [EventLoopPromise<Void>] = []
        let progress = output.send(to: descriptor, &completed)
        isSending = false
        for promise in completed { promise.succeed() }
        switch progress {
        case .done: break
        case .blocked: isBlocked = true
        case .failed(let number):
            readRest()
            return close0(error: IOError(errnoCode: number, reason: "write"), mode: .all, promise: nil)
        }
        guard state == .active else { return }
        if !isWritable, output.count < settings.lowWatermark {
            writable.store(true, ordering: .relaxed)
            ownPipeline.syncOperations.fireChannelWritabilityChanged()
        }
        if case .wanted(let promise) = outputEnd, output.isEmpty, state == .active { endOutput(promise) }
    }

    package func read0() {
        guard state == .active, !isInputClosed else { return }
        isReadWanted = true
        planRead()
    }

    // MARK: Close

    var isOutputEnded: Bool { if case .ended = outputEnd { true } else { false } }

    package func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard state != .closed else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        switch mode {
        case .all: closeAll(error, promise)
        case .output where isInputClosed && output.isEmpty: closeAll(error, promise)
        case .output:
            guard case .open = outputEnd, state == .active else {
                promise?.fail(ChannelError.outputClosed)
                return
            }
            if output.isEmpty { endOutput(promise) } else { outputEnd = .wanted(promise) }
        case .input where isOutputEnded: closeAll(error, promise)
        case .input:
            shutdown(descriptor, CInt(SHUT_RD))
            isInputClosed = true
            promise?.succeed()
            ownPipeline.syncOperations.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
    }

    private func endOutput(_ promise: EventLoopPromise<Void>?) {
        guard !isInputClosed else { return closeAll(ChannelError.eof, promise) }
        outputEnd = .ended
        shutdown(descriptor, CInt(SHUT_WR))
        promise?.succeed()
        ownPipeline.syncOperations.fireUserInboundEventTriggered(ChannelEvent.outputClosed)
    }

    private func closeAll(_ error: any Error, _ promise: EventLoopPromise<Void>?) {
        let wasActive = state == .active
        state = .closed
        active.store(false, ordering: .relaxed)
        closeDescriptor()
        let waiting = output.removeAll()
        for promise in waiting { promise.fail(error) }
        if case .wanted(let promise) = outputEnd { promise?.fail(error) }
        outputEnd = .ended
        takeConnected()?.fail(error)
        promise?.succeed()
        if wasActive {
            ownPipeline.syncOperations.fireChannelInactive()
            ownPipeline.syncOperations.fireChannelUnregistered()
        }
        // Handlers that are at work above us on the stack keep their place until they are done.
        loop.execute { [self] in
            removeHandlers(pipeline: ownPipeline)
            closePromise.succeed()
        }
    }

    // MARK: The rest of what a channel is asked

    package func localAddress0() throws -> SocketAddress {
        guard let address = boundAddress else { throw ChannelError.operationUnsupported }
        return address
    }

    package func remoteAddress0() throws -> SocketAddress {
        guard let remoteAddress else { throw ChannelError.operationUnsupported }
        return remoteAddress
    }
}
