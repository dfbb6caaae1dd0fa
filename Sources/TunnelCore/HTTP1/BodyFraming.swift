/// How the end of a message body is found (RFC 9112 section 6).
package enum BodyFraming: Equatable, Sendable {
    case none
    /// Octets.
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
        package var isWebSocketUpgrade: Bool
    }

    /// Applies RFC 9112 sections 3.2 and 6 to a complete request head. Where two rules could be read differently by
    /// someone else on the path, the request is refused rather than repaired.
    package func requestFraming(_ octets: UnsafeRawBufferPointer) throws(HTTP1Error) -> RequestFraming {
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
            let value = UnsafeRawBufferPointer(rebasing: octets[field.value])
            switch field.known {
            case .host:
                guard framing.host == nil else { throw .repeatedHost }
                framing.host = field.value
            case .contentLength:
                guard contentLength == nil else { throw .repeatedContentLength }
                guard let length = Octets.decimal(value) else { throw .invalidContentLength }
                contentLength = length
            case .transferEncoding:
                guard !hasTransferEncoding else { throw .repeatedTransferEncoding }
                guard Octets.equals(value, "chunked") else { throw .unsupportedTransferEncoding }
                hasTransferEncoding = true
            case .connection:
                try connection.add(value)
            case .expect:
                guard Octets.equals(value, "100-continue") else { throw .unsupportedExpectation }
                framing.expectsContinue = minorVersion == 1
            case .upgrade:
                if Octets.equals(value, "websocket") { framing.isWebSocketUpgrade = true }
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
        framing.isWebSocketUpgrade = framing.isWebSocketUpgrade && connection.upgrade
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
    }

    /// - Parameter isHead: the response answers a HEAD request.
    package func responseFraming(
        _ octets: UnsafeRawBufferPointer,
        isHead: Bool
    ) throws(HTTP1Error) -> ResponseFraming {
        var contentLength: Int?
        var isChunked = false
        var connection = ConnectionOptions()
        for index in 0..<fieldCount {
            let field = self[index]
            guard field.known != .other, !field.hasUnderscore else { continue }
            let value = UnsafeRawBufferPointer(rebasing: octets[field.value])
            switch field.known {
            case .contentLength:
                guard let length = Octets.decimal(value) else { throw .invalidContentLength }
                guard contentLength == nil || contentLength == length else { throw .repeatedContentLength }
                contentLength = length
            case .transferEncoding:
                guard !isChunked else { throw .repeatedTransferEncoding }
                guard Octets.equals(value, "chunked"), minorVersion == 1 else { throw .unsupportedTransferEncoding }
                isChunked = true
            case .connection: try connection.add(value)
            default: break
            }
        }
        if isChunked, contentLength != nil { throw .contentLengthAndTransferEncoding }
        var isKeptAlive = minorVersion == 1 ? !connection.close : connection.keepAlive && !connection.close
        let body: BodyFraming
        if isHead || status < 200 || status == 204 || status == 304 {
            body = .none
        } else if isChunked {
            body = .chunked
        } else if let contentLength {
            body = contentLength == 0 ? .none : .length(contentLength)
        } else {
            body = .untilClose
            isKeptAlive = false
        }
        return ResponseFraming(
            body: body,
            isKeptAlive: isKeptAlive,
            nominatesFields: connection.nominatesFields,
            contentLength: isChunked ? nil : contentLength
        )
    }

    /// Whether a `Connection` field names `field`, so that it ends here (RFC 9110 section 7.6.1).
    package func isNominated(_ field: Field, _ octets: UnsafeRawBufferPointer) -> Bool {
        let name = UnsafeRawBufferPointer(rebasing: octets[field.name])
        for index in 0..<fieldCount where self[index].known == .connection {
            var found = false
            ConnectionOptions.forEach(UnsafeRawBufferPointer(rebasing: octets[self[index].value])) { option in
                found = found || Octets.equalsIgnoringCase(option, name)
            }
            if found { return true }
        }
        return false
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
        if Octets.equals(value, "keep-alive") {
            keepAlive = true
            return
        }
        var options = self
        var isValid = true
        Self.forEach(value) { option in
            if Octets.equals(option, "close") {
                options.close = true
            } else if Octets.equals(option, "keep-alive") {
                options.keepAlive = true
            } else if Octets.equals(option, "upgrade") {
                options.upgrade = true
            } else {
                options.nominatesFields = true
                isValid = isValid && option.allSatisfy(Octets.isToken)
            }
        }
        guard isValid else { throw .invalidConnection }
        self = options
    }

    /// Calls `body` with each non-empty element of a comma-separated list.
    static func forEach(_ list: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        for index in 0...list.count where index == list.count || list[index] == UInt8(ascii: ",") {
            let element = Octets.trimmed(UnsafeRawBufferPointer(rebasing: list[start..<index]))
            if !element.isEmpty { body(element) }
            start = index + 1
        }
    }
}

extension Octets {
    static func equalsIgnoringCase(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where lowercased(left[index]) != lowercased(right[index]) { return false }
        return true
    }
}
