internal import Cryptography
internal import EpollTransport
internal import NIOCore
internal import TextFormats
internal import TunnelCore

/// A client switches to WebSocket: an extended CONNECT in the tunnel (RFC 8441), and bytes both ways after it.
extension ProxyConnection {
    /// Whether the request in progress asks for WebSocket in a way that can be carried.
    var isUpgrade: Bool { exchange.rare?.webSocketKey != nil }

    /// Begins the fields of a request for WebSocket. One that is not made as RFC 6455 section 4.1 has it goes on as it
    /// is, with a mark, because the policy is asked first.
    func beginUpgrade(
        _ bytes: UnsafeRawBufferPointer,
        _ method: UnsafeRawBufferPointer,
        _ framing: HTTP1HeadParser.RequestFraming
    ) {
        let fields = loop.fields
        rare.webSocketKey = nil
        // Frames that do not wait for the answer are no request, whatever it will be.
        if bytes.count > parser.headLength { exchange.isKeptAlive = false }
        guard framing.body == .none, unsafe Bytes.isExactly(method, "GET"), let key = unsafe webSocketKey(bytes) else {
            return unsafe fields.append(":method", method)
        }
        rare.webSocketKey = key
        fields.append(":method", "CONNECT")
        fields.append(":protocol", "websocket")
    }

    /// The one that the request has; nil for none, for several, and for one that is not 16 bytes in Base64.
    private func webSocketKey(_ bytes: UnsafeRawBufferPointer) -> String? {
        var key: String?
        for index in 0..<parser.fieldCount where parser[index].known == .webSocketKey {
            guard key == nil, !parser[index].hasUnderscore else { return nil }
            key = unsafe String(decoding: slice(bytes, parser[index].value), as: UTF8.self)
        }
        return key.flatMap { WebSocketKey.isValid($0) ? $0 : nil }
    }

    /// Whether a response says that the internal host has switched. A success without the mark is an ordinary answer, except
    /// from a connector of another make, which knows RFC 8441 only.
    func isSwitch(_ fields: FieldBlock) -> Bool {
        guard isUpgrade, unsafe fields.value(0).elementsEqual("200".utf8) else { return false }
        return fields.contains(.upgradeRequest) || exchange.tunnel?.dialect == .haproxy
    }

    /// Tells the client, and hands its connection over to a pipe.
    func switchProtocols(_ fields: FieldBlock) {
        guard let context, let stream, let key = exchange.rare?.webSocketKey else { return }
        dropHead()
        exchange.status = 101
        writeSwitch(fields, key)
        // Whether or not the client reads: nobody comes back for it.
        if let buffer = output.take() { context.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }
        let pipe = StreamPipe(stream, .webSocket(isPeerClient: true), sweeper: loop.sweeper, idle: .hours(12))
        pipe.onEnd = { [self, weak pipe] end in ended(end, pipe) }
        do {
            try context.pipeline.syncOperations.addHandler(pipe, position: .after(self))
        } catch {
            return context.close(promise: nil)
        }
        stream.deliver(to: pipe)
        machine.switched()
        self.stream = nil
        hold(0)
        output.release()
        // What the client has sent already.
        if inbound.readableBytes > 0 { pipe.take(inbound) }
        loop.buffers.giveBack(Swift.exchange(&inbound, with: ByteBuffer()))
        if isInputClosed { pipe.inputEnded() }
        let channel = context.channel
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
        resumeReading(channel)
    }

    private func writeSwitch(_ fields: FieldBlock, _ key: String) {
        var accept = WebSocketKey.accept(key)
        unsafe output.write(upTo: fields.size + 256 + RequestID.capacity) { target in
            var writer = unsafe HeadWriter(target)
            unsafe writer.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
            unsafe writer.write("Sec-WebSocket-Accept: ")
            accept.withUTF8 { unsafe writer.write(UnsafeRawBufferPointer($0)) }
            unsafe writer.write("\r\n")
            for index in 1..<max(1, fields.count) {
                let known = fields.known(index)
                guard known.isForwardedInResponse, known != .contentLength else { continue }
                unsafe writer.field(fields.name(index), fields.value(index))
            }
            if let id = exchange.id { unsafe writer.requestID(id) }
            unsafe writer.write("\r\n")
            return unsafe writer.count
        }
    }

    private func ended(_ end: StreamPipe.End, _ pipe: StreamPipe?) {
        exchange.requestBytes = pipe?.bytesIn ?? 0
        exchange.responseBytes = pipe?.bytesOut ?? 0
        settle(isCut: end == .reset)
        giveUpPlace()
    }
}

extension ProxyConnection: RemovableChannelHandler {}
