internal import CNghttp2
internal import NIOCore

/// Where nghttp2 calls back. Pointers to our objects travel through C unretained: the session outlives nghttp2's part of
/// it, and a stream lives in the session's table until `on_stream_close`.
enum HTTP2Callbacks {
    static func pointer(_ stream: HTTP2Stream) -> UnsafeMutableRawPointer {
        Unmanaged.passUnretained(stream).toOpaque()
    }

    static func makeSession(_ role: HTTP2Session.Role, _ owner: HTTP2Session) -> OpaquePointer? {
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        defer { nghttp2_session_callbacks_del(callbacks) }
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, onBeginHeaders)
        nghttp2_session_callbacks_set_on_header_callback(callbacks, onHeader)
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, onBeginFrame)
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, onFrameReceived)
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, onDataChunk)
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, onStreamClose)
        nghttp2_session_callbacks_set_send_data_callback(callbacks, sendData)
        nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, readLength)
        var options: OpaquePointer?
        nghttp2_option_new(&options)
        defer { nghttp2_option_del(options) }
        nghttp2_option_set_no_auto_window_update(options, 1)
        nghttp2_option_set_max_send_header_block_length(options, 256 << 10)
        nghttp2_option_set_peer_max_concurrent_streams(options, 100)
        // A client's abort is a RST_STREAM on the tunnel and must never count as an attack by the service.
        nghttp2_option_set_stream_reset_rate_limit(options, 1_000_000, 1_000_000)
        let user = Unmanaged.passUnretained(owner).toOpaque()
        var session: OpaquePointer?
        switch role {
        case .client: nghttp2_session_client_new2(&session, callbacks, user, options)
        case .server: nghttp2_session_server_new2(&session, callbacks, user, options)
        }
        return session
    }

    static func dataProvider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
        var provider = nghttp2_data_provider()
        provider.source.ptr = pointer(stream)
        provider.read_callback = readData
        return provider
    }
}

/// The session behind nghttp2's user pointer, without touching its reference count: it is the caller of nghttp2.
@inline(__always)
private func withOwner<Result>(_ user: UnsafeMutableRawPointer?, _ body: (HTTP2Session) -> Result) -> Result {
    Unmanaged<HTTP2Session>.fromOpaque(user!)._withUnsafeGuaranteedRef(body)
}

/// The stream with this ID; the session's table holds it.
@inline(__always)
private func stream(_ session: OpaquePointer?, _ id: Int32) -> HTTP2Stream? {
    guard let pointer = nghttp2_session_get_stream_user_data(session, id) else { return nil }
    return Unmanaged<HTTP2Stream>.fromOpaque(pointer).takeUnretainedValue()
}

private let failure = Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
private let streamFailure = Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)

// MARK: Receiving

private func onBeginHeaders(
    _ session: OpaquePointer?,
    _ frame: UnsafePointer<nghttp2_frame>?,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    withOwner(user) { owner in
        owner.fields.removeAll()
        if owner.role == .server, frame!.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
            let stream = owner.makeStream()
            stream.id = frame!.pointee.hd.stream_id
            nghttp2_session_set_stream_user_data(session, stream.id, HTTP2Callbacks.pointer(stream))
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
    withOwner(user) { owner in
        owner.received(
            name: UnsafeRawBufferPointer(start: name, count: nameLength),
            value: UnsafeRawBufferPointer(start: value, count: valueLength)
        ) ? 0 : streamFailure
    }
}

private func onBeginFrame(
    _ session: OpaquePointer?,
    _ header: UnsafePointer<nghttp2_frame_hd>?,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    let header = header!.pointee
    switch Int(header.type) {
    case Int(NGHTTP2_DATA.rawValue) where header.length > 0 || header.flags & 1 == 1: return 0
    case Int(NGHTTP2_HEADERS.rawValue), Int(NGHTTP2_RST_STREAM.rawValue): return 0
    case Int(NGHTTP2_WINDOW_UPDATE.rawValue), Int(NGHTTP2_CONTINUATION.rawValue): return 0
    default: return withOwner(user) { $0.countControlFrame() ? 0 : failure }
    }
}

private func onFrameReceived(
    _ session: OpaquePointer?,
    _ frame: UnsafePointer<nghttp2_frame>?,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    let frame = frame!
    let isEnd = frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch Int(frame.pointee.hd.type) {
    case Int(NGHTTP2_HEADERS.rawValue):
        guard let stream = stream(session, frame.pointee.hd.stream_id) else { return 0 }
        let isRequest = frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
        withOwner(user) { $0.received(headers: isRequest, isEnd: isEnd, stream) }
    case Int(NGHTTP2_DATA.rawValue) where isEnd:
        guard let stream = stream(session, frame.pointee.hd.stream_id) else { return 0 }
        withOwner(user) { $0.received(end: nil, stream) }
    case Int(NGHTTP2_PING.rawValue) where frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0:
        let payload = withUnsafeBytes(of: frame.pointee.ping.opaque_data) { $0.loadUnaligned(as: UInt64.self) }
        withOwner(user) { $0.delegate?.session($0, receivedPingAcknowledgement: payload) }
    case Int(NGHTTP2_GOAWAY.rawValue):
        let goAway = frame.pointee.goaway
        let reason = UnsafeBufferPointer(start: goAway.opaque_data, count: min(goAway.opaque_data_len, 256))
        let received = GoAway(
            lastStreamID: goAway.last_stream_id,
            errorCode: goAway.error_code,
            reason: Array(reason)
        )
        withOwner(user) { $0.received(received) }
    case Int(NGHTTP2_SETTINGS.rawValue) where frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0:
        withOwner(user) { $0.delegate?.sessionReceivedSettings($0) }
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
        let identified = KnownField.identify(name)
        // An underscore twin is never carried on.
        if identified.hasUnderscore, identified.field != .locationID { return true }
        fields.append(lowercase: name, value, known: identified.field)
        return true
    }

    /// - Returns: whether there were few enough.
    fileprivate func countControlFrame() -> Bool {
        controlFrameCount += 1
        guard controlFrameCount > configuration.controlFrames else { return true }
        fatalError = HTTP2Error(
            .flood,
            "the peer sent more than \(configuration.controlFrames) control frames in 30 seconds"
        )
        return false
    }

    fileprivate func received(headers isRequest: Bool, isEnd: Bool, _ stream: HTTP2Stream) {
        touch(stream)
        if isEnd { stream.isRemoteEnded = true }
        if isRequest {
            stream.receiver = delegate?.session(self, accept: stream)
            stream.hasReceivedHead = true
            stream.receiver?.streamReceived(head: fields, isEnd: isEnd)
        } else if stream.hasReceivedHead {
            received(end: fields, stream)
        } else if fields.count > 0, fields.value(0).first == UInt8(ascii: "1") {
            stream.receiver?.streamReceived(interim: fields)
        } else {
            stream.hasReceivedHead = true
            stream.receiver?.streamReceived(head: fields, isEnd: isEnd)
        }
    }

    fileprivate func received(end trailers: FieldBlock?, _ stream: HTTP2Stream) {
        touch(stream)
        stream.isRemoteEnded = true
        stream.receiver?.streamReceivedEnd(trailers: trailers)
    }

    fileprivate func received(data: UnsafeRawBufferPointer, _ stream: HTTP2Stream) {
        stream.uncredited += data.count
        if let receiver = stream.receiver {
            touch(stream)
            receiver.streamReceived(body: data)
        } else {
            returnCredit(data.count, of: stream)
        }
    }

    fileprivate func closed(_ stream: HTTP2Stream, _ code: UInt32) {
        let receiver = stream.receiver
        let isComplete = stream.isRemoteEnded && (stream.isLocalEnded || role == .client && !stream.isTunnel)
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
    if let stream = stream(session, id) {
        withOwner(user) { $0.received(data: UnsafeRawBufferPointer(start: data, count: length), stream) }
    } else {
        nghttp2_session_consume(session, id, length)
    }
    return 0
}

private func onStreamClose(
    _ session: OpaquePointer?,
    _ id: Int32,
    _ code: UInt32,
    _ user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let stream = stream(session, id) else { return 0 }
    nghttp2_session_set_stream_user_data(session, id, nil)
    withOwner(user) { $0.closed(stream, code) }
    return 0
}

// MARK: Sending

/// DATA frames as large as both sides allow: nghttp2 asks with what the windows and the peer's SETTINGS leave.
private func readLength(
    _ session: OpaquePointer?,
    _ frameType: UInt8,
    _ id: Int32,
    _ sessionWindow: Int32,
    _ streamWindow: Int32,
    _ peerMaxFrameSize: UInt32,
    _ user: UnsafeMutableRawPointer?
) -> Int {
    max(
        1,
        min(
            Int(sessionWindow),
            Int(streamWindow),
            Int(peerMaxFrameSize),
            withOwner(user) { $0.configuration.maxFrameSize }
        )
    )
}

private func readData(
    _ session: OpaquePointer?,
    _ id: Int32,
    _ buffer: UnsafeMutablePointer<UInt8>?,
    _ length: Int,
    _ flags: UnsafeMutablePointer<UInt32>?,
    _ source: UnsafeMutablePointer<nghttp2_data_source>?,
    _ user: UnsafeMutableRawPointer?
) -> Int {
    Unmanaged<HTTP2Stream>.fromOpaque(source!.pointee.ptr)._withUnsafeGuaranteedRef { stream in
        let count = min(length, stream.queuedOctets)
        if count == 0, stream.isAborting {
            // nghttp2 resets the stream with INTERNAL_ERROR.
            return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        if count == 0, !stream.isEndQueued {
            stream.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        var result = NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if stream.isEndQueued, count == stream.queuedOctets {
            result |= NGHTTP2_DATA_FLAG_EOF.rawValue
            withOwner(user) { owner in
                if let trailers = stream.trailers, trailers.count > 0 {
                    result |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                    owner.submitTrailers(stream, trailers)
                }
                owner.endedEarly(stream)
            }
        }
        flags!.pointee = UInt32(result)
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
    Unmanaged<HTTP2Stream>.fromOpaque(source!.pointee.ptr)._withUnsafeGuaranteedRef { stream in
        withOwner(user) { owner in
            owner.output.writeBytes(UnsafeRawBufferPointer(start: header, count: 9))
            stream.dequeue(length, into: &owner.output)
        }
    }
    return 0
}
