internal import EpollTransport
package import NIOCore

/// Sent through the pipeline once the handshake is complete and all checks have passed.
package struct TLSEstablished: Sendable {
    package var applicationProtocol: String?
    package var version: String
    /// The name that the client asked for; nil where it asked for none.
    package var serverName: String?
    /// Nil where the peer showed none.
    package var peerCertificate: CertificateDetails?
    /// Clients only: the server has asked for a certificate.
    package var isAskedForCertificate = false
    /// And got ours.
    package var sentCertificate = false
}

/// Sent the other way, by whoever has had no traffic for a while: records need no memory of the connection's own, until `TLSBusy`.
package struct TLSIdle: Sendable {
    package init() {}
}

/// Sent the other way, when there is traffic again.
package struct TLSBusy: Sendable {
    package init() {}
}

/// Sent the other way, by whoever has read that both sides go on without this TLS session. Its bytes end with the record that
/// said so; there is no closing alert.
package struct TLSDeparture: Sendable {
    package init() {}
}

/// Puts a `TLSSession` between a socket and the rest of the pipeline. The handler behind it sees plaintext only.
package final class TLSHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let context: TLSContext
    private let serverName: String?
    private let peer: String
    private let handshakeTimeout: TimeAmount
    private let keepsBuffers: Bool
    private var session: TLSSession?
    private var buffers = LoopBuffers()
    private var timer: Scheduled<Void>?
    private var hasFailed = false
    private var hasToldOfEnd = false
    private var isLeaving = false

    /// Of the peer, up to the one that is trusted here; for those who want to show it.
    package var verifiedChain: [CertificateDetails] { session?.verifiedChain ?? [] }

    /// - Parameter keepsBuffers: see `TLSSession.keepBuffers`; then somebody should send `TLSIdle`.
    package init(
        _ context: TLSContext,
        serverName: String?,
        peer: String,
        handshakeTimeout: TimeAmount = .seconds(10),
        keepsBuffers: Bool = false
    ) {
        self.context = context
        self.serverName = serverName
        self.peer = peer
        self.handshakeTimeout = handshakeTimeout
        self.keepsBuffers = keepsBuffers
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    package func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    /// Of a peer that did not finish the handshake in time.
    package static func timeout(by peer: String) -> TLSError {
        TLSError(.handshakeTimeout, "\(peer) did not complete the TLS handshake in time")
    }

    private func start(_ context: ChannelHandlerContext) {
        guard session == nil else { return }
        buffers = LoopBuffers.of(context.eventLoop)
        do throws(TLSError) {
            session = try TLSSession(
                self.context,
                serverName: serverName,
                peer: peer,
                buffers: buffers
            )
            session?.keepBuffers(keepsBuffers)
            let box = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            timer = context.eventLoop.scheduleTask(in: handshakeTimeout) {
                let (handler, context) = box.value
                guard handler.session?.state == .handshaking else { return }
                handler.fail(context, Self.timeout(by: handler.peer))
            }
            try proceed(context)
        } catch {
            fail(context, error)
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let session else { return }
        session.receive(unwrapInboundIn(data))
        do throws(TLSError) {
            try proceed(context)
        } catch {
            fail(context, error)
        }
        if isLeaving { leave(context, session) }
    }

    /// What has come after the last record is not TLS, or another session's.
    private func leave(_ context: ChannelHandlerContext, _ session: TLSSession) {
        self.session = nil
        let rest = session.takeUnread()
        if rest.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(rest)) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func proceed(_ context: ChannelHandlerContext) throws(TLSError) {
        guard let session else { return }
        if session.state == .handshaking {
            defer { send(context, flush: true) }
            try session.handshake()
            if session.state == .established {
                timer?.cancel()
                send(context, flush: true)
                context.fireUserInboundEventTriggered(
                    TLSEstablished(
                        applicationProtocol: session.applicationProtocol,
                        version: session.version,
                        serverName: session.serverName,
                        peerCertificate: session.peerCertificate,
                        isAskedForCertificate: session.isAskedForCertificate,
                        sentCertificate: session.sentCertificate
                    )
                )
            }
        }
        try readRecords(context, session)
        if session.isInputEnded, !hasToldOfEnd {
            hasToldOfEnd = true
            // The peer's closing alert: an orderly end of its bytes.
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
    }

    /// One after the other, each while it is in the processor's cache.
    private func readRecords(_ context: ChannelHandlerContext, _ session: TLSSession) throws(TLSError) {
        var plaintext = exchange(&buffers.plaintext, with: ByteBuffer())
        defer { buffers.plaintext = plaintext }
        var isMore = true
        while isMore, !isLeaving {
            plaintext.clear()
            isMore = try session.readRecord(into: &plaintext)
            if plaintext.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(plaintext)) }
        }
    }

    private func send(_ context: ChannelHandlerContext, flush: Bool) {
        guard let ciphertext = session?.takeCiphertext() else { return }
        context.write(wrapOutboundOut(ciphertext), promise: nil)
        if flush { context.flush() }
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard let session, session.isWritable else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        do throws(TLSError) {
            try session.write(unwrapOutboundIn(data))
        } catch {
            promise?.fail(error)
            fail(context, error)
            return
        }
        if let ciphertext = session.takeCiphertext() {
            context.write(wrapOutboundOut(ciphertext), promise: promise)
        } else {
            promise?.succeed()
        }
    }

    package func triggerUserOutboundEvent(
        context: ChannelHandlerContext,
        event: Any,
        promise: EventLoopPromise<Void>?
    ) {
        switch event {
        case is TLSIdle:
            session?.keepBuffers(false)
            session?.freeBuffers()
        case is TLSBusy: session?.keepBuffers(keepsBuffers)
        case is TLSDeparture: isLeaving = true
        default: return context.triggerUserOutboundEvent(event, promise: promise)
        }
        promise?.succeed()
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input {
            session?.close()
            send(context, flush: true)
        }
        context.close(mode: mode, promise: promise)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        if session?.state == .handshaking, !hasFailed {
            context.fireErrorCaught(
                TLSError(.closedDuringHandshake, "\(peer) closed the connection during the TLS handshake")
            )
        }
        context.fireChannelInactive()
    }

    private func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
        timer?.cancel()
        hasFailed = true
        send(context, flush: true)  // the alert that tells the peer
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }
}
