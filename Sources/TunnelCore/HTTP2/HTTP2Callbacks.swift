internal import CNghttp2
internal import NIOCore

/// Where nghttp2 calls back. Pointers to our objects travel through C unretained: the session outlives nghttp2's part of
/// it, and a stream lives in the session's table until `on_stream_close`.
enum HTTP2Callbacks {
    static func pointer(_ stream: HTTP2Stream) -> UnsafeMutableRawPointer {
        unsafe Unmanaged.passUnretained(stream).toOpaque()
    }

    static func makeSession(
        _ role: HTTP2Session.Role,
        _ owner: HTTP2Session,
        getsPreface: Bool
    ) -> OpaquePointer? {
        var callbacks: OpaquePointer?
        unsafe nghttp2_session_callbacks_new(&callbacks)
        defer { unsafe nghttp2_session_callbacks_del(callbacks) }
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, onBeginHeaders)
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks, onHeader)
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, onFrameReceived)
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, onDataChunk)
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, onStreamClose)
        unsafe nghttp2_session_callbacks_set_send_data_callback(callbacks, sendData)
        unsafe nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, readLength)
        var options: OpaquePointer?
        unsafe nghttp2_option_new(&options)
        defer { unsafe nghttp2_option_del(options) }
        unsafe nghttp2_option_set_no_auto_window_update(options, 1)
        unsafe nghttp2_option_set_no_recv_client_magic(options, getsPreface ? 0 : 1)
        // Else a server keeps closed streams for the tree of priorities, which nobody here asks for.
        unsafe nghttp2_option_set_no_closed_streams(options, 1)
        unsafe nghttp2_option_set_max_send_header_block_length(options, 256 << 10)
        unsafe nghttp2_option_set_peer_max_concurrent_streams(options, 100)
        // A client's abort is a RST_STREAM on the tunnel and must never count as an attack by the service.
        unsafe nghttp2_option_set_stream_reset_rate_limit(options, 1_000_000, 1_000_000)
        let user = unsafe Unmanaged.passUnretained(owner).toOpaque()
        var session: OpaquePointer?
        switch role {
        case .client: unsafe nghttp2_session_client_new2(&session, callbacks, user, options)
        case .server: unsafe nghttp2_session_server_new2(&session, callbacks, user, options)
        }
        return unsafe session
    }

    static func dataProvider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
        var provider = unsafe nghttp2_data_provider()
        unsafe provider.source.ptr = unsafe pointer(stream)
        unsafe provider.read_callback = unsafe readData
        return unsafe provider
    }
}

/// The session behind nghttp2's user pointer, without touching its reference count: it is the caller of nghttp2.
@inline(__always)
private func withOwner<Result>(_ user: UnsafeMutableRawPointer?, _ body: (HTTP2Session) -> Result) -> Result {
    unsafe Unmanaged<HTTP2Session>.fromOpaque(user!)._withUnsafeGuaranteedRef(body)
}

/// The stream with this ID; the session's table holds it.
@inline(__always)
private func stream(_ session: OpaquePointer?, _ id: Int32) -> HTTP2Stream? {
    guard let pointer = unsafe nghttp2_session_get_stream_user_data(session, id) else { return nil }
    return unsafe Unmanaged<HTTP2Stream>.fromOpaque(pointer).takeUnretainedValue()
}

private let streamFailure = Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)

// MARK: Receiving

private func onBeginHeaders(
    _ session: OpaquePointer?,
    _ frame: UnsafePointer<nghttp2_frame>?,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    unsafe withOwner(user) { owner in
        owner.fields.removeAll()
        if owner.role == .server, unsafe frame!.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
            let stream = owner.makeStream()
            stream.id = unsafe frame!.pointee.hd.stream_id
            unsafe nghttp2_session_set_stream_user_data(session, stream.id, HTTP2Callbacks.pointer(stream))
        }
        return 0
    }
}

private func onHeader(
    _ session: OpaquePointer?,
    _ frame: UnsafePointer<nghttp2_frame>?,
    _ name: UnsafePointer<UInt8>?,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>?,
    _ valueLength: Int,
    _ flags: UInt8,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    unsafe withOwner(user) { owner in
        unsafe owner.received(
            name: UnsafeRawBufferPointer(start: name, count: nameLength),
            value: UnsafeRawBufferPointer(start: value, count: valueLength)
        ) ? 0 : streamFailure
    }
}

private func onFrameReceived(
    _ session: OpaquePointer?,
    _ frame: UnsafePointer<nghttp2_frame>?,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    let frame = unsafe frame!
    let isEnd = unsafe frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch unsafe Int(frame.pointee.hd.type) {
    case Int(NGHTTP2_HEADERS.rawValue):
        guard let stream = unsafe stream(session, frame.pointee.hd.stream_id) else { return 0 }
        let isRequest = unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
        unsafe withOwner(user) {
            unsafe $0.received(headers: isRequest, isEnd: isEnd, stream, length: frame.pointee.hd.length)
        }
    case Int(NGHTTP2_RST_STREAM.rawValue):
        guard let stream = unsafe stream(session, frame.pointee.hd.stream_id) else { return 0 }
        unsafe withOwner(user) { $0.received(resetOf: stream) }
    case Int(NGHTTP2_DATA.rawValue) where isEnd:
        guard let stream = unsafe stream(session, frame.pointee.hd.stream_id) else { return 0 }
        unsafe withOwner(user) { $0.received(end: nil, stream) }
    case Int(NGHTTP2_PING.rawValue) where unsafe frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0:
        let payload = unsafe withUnsafeBytes(of: frame.pointee.ping.opaque_data) {
            unsafe $0.loadUnaligned(as: UInt64.self)
        }
        unsafe withOwner(user) { $0.delegate?.session($0, receivedPingAcknowledgement: payload) }
    case Int(NGHTTP2_GOAWAY.rawValue):
        let goAway = unsafe frame.pointee.goaway
        let reason = unsafe UnsafeBufferPointer(start: goAway.opaque_data, count: min(goAway.opaque_data_len, 256))
        let received = unsafe GoAway(
            lastStreamID: goAway.last_stream_id,
            errorCode: goAway.error_code,
            reason: Array(reason)
        )
        unsafe withOwner(user) { $0.received(received) }
    case Int(NGHTTP2_SETTINGS.rawValue) where unsafe frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0:
        unsafe withOwner(user) { $0.delegate?.sessionReceivedSettings($0) }
    default: break
    }
    return 0
}

extension HTTP2Session {
    /// - Returns: whether the field was within the limits.
    fileprivate func received(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) -> Bool {
        let fields = self.fields
        guard fields.count < configuration.fields,
            fields.size + name.count + value.count + 32 <= configuration.headerListSize
        else { return false }
        let identified = unsafe KnownField.identify(name)
        // An underscore twin is never carried on.
        if identified.hasUnderscore, identified.field != .locationID { return true }
        unsafe fields.append(lowercase: name, value, known: identified.field)
        return true
    }

    fileprivate func received(headers isRequest: Bool, isEnd: Bool, _ stream: HTTP2Stream, length: Int) {
        touch(stream)
        let hasHead = stream.machine.hasReceivedHead
        if isEnd { stream.machine.receivedEnd() }
        if isRequest {
            budget.earn(FrameBudget.Cost.headers(length))
            stream.machine.receivedHead()
            guard let receiver = delegate?.session(self, accept: stream) else { return refuse(stream) }
            stream.receiver = receiver
            stream.receiver?.streamReceived(head: fields, isEnd: isEnd)
        } else if hasHead {
            budget.earn(FrameBudget.Cost.headers(length))
            received(end: fields, stream)
        } else if fields.count > 0, unsafe fields.value(0).first == UInt8(ascii: "1") {
            received(interim: stream)
        } else {
            budget.earn(FrameBudget.Cost.headers(length))
            stream.machine.receivedHead()
            // Only a success makes a connection of it (RFC 9110 section 9.3.6).
            if stream.isTunnel, fields.count > 0, unsafe fields.value(0).first != UInt8(ascii: "2") {
                stream.isTunnel = false
            }
            stream.receiver?.streamReceived(head: fields, isEnd: isEnd)
        }
    }

    /// Interim responses are not subject to flow control (RFC 9113 section 5.2.1), so their number is.
    private func received(interim stream: HTTP2Stream) {
        stream.interimCount += 1
        guard stream.interimCount > configuration.interimResponses else {
            stream.receiver?.streamReceived(interim: fields)
            return
        }
        let receiver = stream.receiver
        stream.receiver = nil
        reset(stream, .enhanceYourCalm)
        receiver?.streamFailed(.tooManyInterimResponses)
    }

    /// A connector may reset what it was asked; a service that resets what it has just asked makes work for nothing.
    fileprivate func received(resetOf stream: HTTP2Stream) {
        if role == .client || stream.isLocalEnded { budget.earn(FrameBudget.Cost.reset) }
    }

    fileprivate func received(end trailers: FieldBlock?, _ stream: HTTP2Stream) {
        touch(stream)
        stream.machine.receivedEnd()
        budget.earn(FrameBudget.Cost.data)
        stream.receiver?.streamReceivedEnd(trailers: trailers)
    }

    fileprivate func received(data: UnsafeRawBufferPointer, _ stream: HTTP2Stream) {
        stream.uncredited += data.count
        if let receiver = stream.receiver {
            touch(stream)
            budget.earn(FrameBudget.Cost.data)
            unsafe receiver.streamReceived(body: data)
        } else {
            returnCredit(data.count, of: stream)
        }
    }

    fileprivate func closed(_ stream: HTTP2Stream, _ code: UInt32) {
        let receiver = stream.receiver
        let isComplete = stream.machine.isComplete(needsBoth: role == .server || stream.isTunnel)
        if code == HTTP2ErrorCode.refusedStream.rawValue { stream.keepUnsent() }
        stream.receiver = nil
        release(stream)
        guard !isComplete else { return }
        receiver?.streamFailed(code == HTTP2ErrorCode.refusedStream.rawValue ? .refused : .reset(code))
    }
}

private func onDataChunk(
    _ session: OpaquePointer?,
    _ flags: UInt8,
    _ id: Int32,
    _ data: UnsafePointer<UInt8>?,
    _ length: Int,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    if let stream = unsafe stream(session, id) {
        unsafe withOwner(user) { unsafe $0.received(data: UnsafeRawBufferPointer(start: data, count: length), stream) }
    } else {
        unsafe nghttp2_session_consume(session, id, length)
    }
    return 0
}

private func onStreamClose(
    _ session: OpaquePointer?,
    _ id: Int32,
    _ code: UInt32,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let stream = unsafe stream(session, id) else { return 0 }
    unsafe nghttp2_session_set_stream_user_data(session, id, nil)
    unsafe withOwner(user) { $0.closed(stream, code) }
    return 0
}

// MARK: Sending

/// DATA frames as large as both sides allow: nghttp2 asks with what the windows and the peer's SETTINGS leave. For more than its
/// usual buffer holds it makes one twice as large and keeps it. A connector, which has small answers to give on most of its tunnels,
/// tells it to only where there is so much to send: 3 KiB less for an idle tunnel. A service would hold 10 KiB more, since its usual
/// buffers would not be given up for others (measured; docs/performance.md).
private func readLength(
    _ session: OpaquePointer?,
    _ frameType: UInt8,
    _ id: Int32,
    _ sessionWindow: Int32,
    _ streamWindow: Int32,
    _ peerMaxFrameSize: UInt32,
    _ user: UnsafeMutableRawPointer?
) -> Int {
    let limit = unsafe min(
        Int(sessionWindow),
        Int(streamWindow),
        Int(peerMaxFrameSize),
        withOwner(user) { $0.configuration.maxFrameSize }
    )
    guard limit > usualPayload, unsafe withOwner(user, { $0.role == .server }) else { return max(1, limit) }
    guard let pointer = unsafe nghttp2_session_get_stream_user_data(session, id) else { return usualPayload }
    let queued = unsafe Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef { $0.queuedBytes }
    return max(usualPayload, min(limit, queued))
}

/// Of a frame (NGHTTP2_FRAMEBUF_CHUNKLEN, and RFC 9113 section 4.2).
private let usualPayload = 16 << 10

private func readData(
    _ session: OpaquePointer?,
    _ id: Int32,
    _ buffer: UnsafeMutablePointer<UInt8>?,
    _ length: Int,
    _ flags: UnsafeMutablePointer<UInt32>?,
    _ source: UnsafeMutablePointer<nghttp2_data_source>?,
    _ user: UnsafeMutableRawPointer?
) -> Int {
    unsafe Unmanaged<HTTP2Stream>.fromOpaque(source!.pointee.ptr)._withUnsafeGuaranteedRef { stream in
        let count = min(length, stream.queuedBytes)
        let isEnd: Bool
        switch stream.machine.writes(count, of: stream.queuedBytes) {
        case .reset:
            // nghttp2 resets the stream with INTERNAL_ERROR.
            return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        case .wait:
            stream.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        case .write(let last): isEnd = last
        }
        var result = NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if isEnd {
            result |= NGHTTP2_DATA_FLAG_EOF.rawValue
            unsafe withOwner(user) { owner in
                if let trailers = stream.trailers, trailers.count > 0 {
                    result |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                    owner.submitTrailers(stream, trailers)
                }
                owner.endedEarly(stream)
            }
        }
        unsafe flags!.pointee = UInt32(result)
        return count
    }
}

private func sendData(
    _ session: OpaquePointer?,
    _ frame: UnsafeMutablePointer<nghttp2_frame>?,
    _ header: UnsafePointer<UInt8>?,
    _ length: Int,
    _ source: UnsafeMutablePointer<nghttp2_data_source>?,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    unsafe Unmanaged<HTTP2Stream>.fromOpaque(source!.pointee.ptr)._withUnsafeGuaranteedRef { stream in
        unsafe withOwner(user) { owner in
            // nghttp2 goes from one stream's data to the next without coming back in between.
            guard owner.output.readableBytes < owner.outputLimit else { return Int32(NGHTTP2_ERR_WOULDBLOCK.rawValue) }
            // Given up since the frame was begun: nghttp2 resets the stream, and sends nothing of it.
            guard stream.queuedBytes >= length else { return streamFailure }
            owner.budget.earn(FrameBudget.Cost.dataSent(length))
            unsafe owner.output.writeBytes(UnsafeRawBufferPointer(start: header, count: 9))
            stream.dequeue(length, into: &owner.output)
            return 0
        }
    }
}
