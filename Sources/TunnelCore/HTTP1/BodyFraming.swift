/// How the end of a message body is found (RFC 9112 section 6).
package enum BodyFraming: Equatable, Sendable {
    case none
    /// Bytes.
    case length(Int)
    case chunked
    /// Responses only: the body ends with the connection.
    case untilClose
}

extension HTTP1HeadParser {
    /// What a request's framing and connection fields say together.
    package struct RequestFraming {
        package var body: BodyFraming
        package var isKeptAlive: Bool
        package var host: Range<Int>?
        package var expectsContinue: Bool
        /// `Connection` names fields other than the standard options, which then must not be forwarded.
        package var nominatesFields: Bool
        /// `Upgrade` offers WebSocket. Other protocols are ignored, as RFC 9110 section 7.8 lets a server do.
        package var isWebSocketUpgrade: Bool
    }

    /// Applies RFC 9112 sections 3.2 and 6 to a complete request head. Where two rules could be read differently by
    /// someone else on the path, the request is refused rather than repaired.
    package func requestFraming(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> RequestFraming {
        var framing = RequestFraming(
            body: .none,
            isKeptAlive: minorVersion == 1,
            host: nil,
            expectsContinue: false,
            nominatesFields: false,
            isWebSocketUpgrade: false
        )
        var contentLength: Int?
        var hasTransferEncoding = false
        var connection = ConnectionOptions()
        for index in 0..<fieldCount {
            let field = self[index]
            guard field.known != .other, !field.hasUnderscore else { continue }
            let value = unsafe UnsafeRawBufferPointer(rebasing: bytes[field.value])
            switch field.known {
            case .host:
                guard framing.host == nil else { throw .repeatedHost }
                framing.host = field.value
            case .contentLength:
                guard contentLength == nil else { throw .repeatedContentLength }
                guard let length = unsafe Bytes.decimal(value) else { throw .invalidContentLength }
                contentLength = length
            case .transferEncoding:
                guard !hasTransferEncoding else { throw .repeatedTransferEncoding }
                guard unsafe Bytes.equals(value, "chunked") else { throw .unsupportedTransferEncoding }
                hasTransferEncoding = true
            case .connection:
                try unsafe connection.add(value)
            case .expect:
                guard unsafe Bytes.equals(value, "100-continue") else { throw .unsupportedExpectation }
                framing.expectsContinue = minorVersion == 1
            case .upgrade:
                unsafe ConnectionOptions.forEach(value) { option in
                    if unsafe Bytes.equals(option, "websocket") { framing.isWebSocketUpgrade = true }
                }
            default: break
            }
        }
        if hasTransferEncoding {
            guard contentLength == nil else { throw .contentLengthAndTransferEncoding }
            guard minorVersion == 1 else { throw .transferEncodingInHTTP10 }
            framing.body = .chunked
        } else if let contentLength, contentLength > 0 {
            framing.body = .length(contentLength)
        }
        guard framing.host != nil || minorVersion == 0 else { throw .missingHost }
        if connection.close { framing.isKeptAlive = false }
        if minorVersion == 0, connection.keepAlive, !connection.close { framing.isKeptAlive = true }
        // HTTP/1.0 knows no upgrade (RFC 9110 section 7.8).
        framing.isWebSocketUpgrade = framing.isWebSocketUpgrade && connection.upgrade && minorVersion == 1
        framing.nominatesFields = connection.nominatesFields
        return framing
    }

    /// What a response's framing and connection fields say together.
    package struct ResponseFraming {
        package var body: BodyFraming
        package var isKeptAlive: Bool
        package var nominatesFields: Bool
        /// As declared; also present where no body follows (HEAD, 304).
        package var contentLength: Int?
        /// Seconds for which the sender means to keep an unused connection (`Keep-Alive: timeout`).
        package var keepAlive: Int?
    }

    /// Applies RFC 9112 section 6.3 to a complete response head. Where no body can follow, nothing that the fields say about
    /// one counts.
    ///
    /// - Parameter isHead: the response answers a HEAD request.
    package func responseFraming(
        _ bytes: UnsafeRawBufferPointer,
        isHead: Bool
    ) throws(HTTP1Error) -> ResponseFraming {
        let hasBody = !isHead && status >= 200 && status != 204 && status != 304
        var fields = ResponseFields()
        for index in 0..<fieldCount {
            let field = self[index]
            guard field.known != .other, !field.hasUnderscore else { continue }
            let value = unsafe UnsafeRawBufferPointer(rebasing: bytes[field.value])
            do throws(HTTP1Error) {
                try unsafe fields.add(field.known, value, minorVersion)
            } catch {
                if hasBody { throw error }
                fields.length = nil
            }
        }
        let connection = fields.connection
        var isKeptAlive = minorVersion == 1 ? !connection.close : connection.keepAlive && !connection.close
        // Whoever writes heads in a way of its own may also have one of its own to count bytes.
        if isLenient || fields.isLenient { isKeptAlive = false }
        let body: BodyFraming
        if !hasBody {
            body = .none
        } else if fields.isChunked {
            // Transfer-Encoding overrides Content-Length, which goes no further (RFC 9112 section 6.3 rule 3).
            if fields.length != nil { isKeptAlive = false }
            body = .chunked
        } else if let length = fields.length {
            body = length == 0 ? .none : .length(length)
        } else {
            body = .untilClose
            isKeptAlive = false
        }
        // A 204 or an interim response has no length at all (RFC 9110 section 8.6).
        let mayHaveLength = status >= 200 && status != 204 && !fields.isChunked
        return ResponseFraming(
            body: body,
            isKeptAlive: isKeptAlive && fields.remainingRequests != 0,
            nominatesFields: connection.nominatesFields,
            contentLength: mayHaveLength ? fields.length : nil,
            keepAlive: fields.keepAlive
        )
    }

    /// Whether a `Connection` field names `field`, so that it ends here (RFC 9110 section 7.6.1).
    package func isNominated(_ field: Field, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let name = unsafe UnsafeRawBufferPointer(rebasing: bytes[field.name])
        for index in 0..<fieldCount where self[index].known == .connection {
            var found = false
            unsafe ConnectionOptions.forEach(UnsafeRawBufferPointer(rebasing: bytes[self[index].value])) { option in
                found = unsafe found || Bytes.equalsIgnoringCase(option, name)
            }
            if found { return true }
        }
        return false
    }
}

/// What the fields of a response say about its end and that of its connection.
private struct ResponseFields {
    var length: Int?
    var isChunked = false
    var connection = ConnectionOptions()
    /// Of `Keep-Alive`: seconds, and requests that the connection may still take.
    var keepAlive: Int?
    var remainingRequests: Int?
    /// Something is written as no sender should.
    var isLenient = false

    mutating func add(
        _ field: KnownField,
        _ value: UnsafeRawBufferPointer,
        _ minorVersion: Int
    ) throws(HTTP1Error) {
        switch field {
        case .contentLength:
            // A list of equal numbers is one number (RFC 9112 section 6.3 rule 5).
            guard let declared = unsafe Bytes.decimalList(value) else { throw .invalidContentLength }
            guard length == nil || length == declared else { throw .repeatedContentLength }
            length = declared
        case .transferEncoding:
            // Abolished, and still sent; it means none.
            if unsafe Bytes.equals(value, "identity") { return }
            guard !isChunked else { throw .repeatedTransferEncoding }
            guard unsafe Bytes.equals(value, "chunked"), minorVersion == 1 else { throw .unsupportedTransferEncoding }
            isChunked = true
        case .connection:
            do throws(HTTP1Error) { try unsafe connection.add(value) } catch { isLenient = true }
        case .keepAlive:
            unsafe ConnectionOptions.forEach(value) { option in
                if let seconds = unsafe Bytes.parameter(option, "timeout=") { keepAlive = seconds }
                if let count = unsafe Bytes.parameter(option, "max=") { remainingRequests = count }
            }
        default: break
        }
    }
}

/// The options of `Connection` (RFC 9110 section 7.6.1).
struct ConnectionOptions {
    var close = false
    var keepAlive = false
    var upgrade = false
    var nominatesFields = false

    mutating func add(_ value: UnsafeRawBufferPointer) throws(HTTP1Error) {
        // What nearly all senders say.
        if unsafe Bytes.equals(value, "keep-alive") {
            keepAlive = true
            return
        }
        var options = self
        var isValid = true
        unsafe Self.forEach(value) { option in
            if unsafe Bytes.equals(option, "close") {
                options.close = true
            } else if unsafe Bytes.equals(option, "keep-alive") {
                options.keepAlive = true
            } else if unsafe Bytes.equals(option, "upgrade") {
                options.upgrade = true
            } else {
                options.nominatesFields = true
                isValid = unsafe isValid && option.allSatisfy(Bytes.isToken)
            }
        }
        guard isValid else { throw .invalidConnection }
        self = options
    }

    /// Calls `body` with each non-empty element of a comma-separated list.
    static func forEach(_ list: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        for index in 0...list.count where unsafe index == list.count || list[index] == UInt8(ascii: ",") {
            let element = unsafe Bytes.trimmed(UnsafeRawBufferPointer(rebasing: list[start..<index]))
            if unsafe !element.isEmpty { unsafe body(element) }
            start = index + 1
        }
    }
}

extension Bytes {
    /// One number, or the same one several times with commas.
    static func decimalList(_ text: UnsafeRawBufferPointer) -> Int? {
        if let number = unsafe decimal(text) { return number }
        var result: Int?
        var isOne = true
        unsafe ConnectionOptions.forEach(text) { element in
            let number = unsafe decimal(element)
            isOne = isOne && number != nil && (result == nil || result == number)
            result = number
        }
        return isOne ? result : nil
    }

    /// The number after `name`, which is in lower case and ends with "=".
    static func parameter(_ text: UnsafeRawBufferPointer, _ name: StaticString) -> Int? {
        guard unsafe hasPrefix(text, name) else { return nil }
        let value = unsafe trimmed(UnsafeRawBufferPointer(rebasing: text[name.utf8CodeUnitCount...]))
        return unsafe decimal(value)
    }

    static func equalsIgnoringCase(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where unsafe lowercased(left[index]) != lowercased(right[index]) { return false }
        return true
    }
}
