#if canImport(Glibc)
internal import Glibc
#endif

/// Reads the head of one HTTP/1.1 message without copying: the result is a set of offsets.
///
/// Requests are read strictly (RFC 9112). In responses it takes what RFC 9112 lets a recipient take, and what internal hosts
/// do send: lines that end with LF alone, empty lines in front, whitespace before a colon, folded fields. `isLenient` then
/// says so, since such a sender is not trusted with a second message on the connection.
///
/// Feed it the bytes received so far, always from the first byte of the message; it goes on where it stopped. Each
/// line is checked when it is complete, and an incomplete line already for what can never become valid, so that a
/// refusal does not depend on how the bytes were cut into packets.
///
///     idle ──bytes──▶ start line ──CRLF──▶ field lines ──CRLF CRLF──▶ complete ──reset()──▶ idle
@safe package struct HTTP1HeadParser: ~Copyable {
    package enum Kind: Sendable { case request, response }

    /// Offsets of one field line, relative to the first byte of the message.
    package struct Field {
        package var name: Range<Int>
        package var value: Range<Int>
        package var known: KnownField
        package var hasUnderscore: Bool
        /// The value has line breaks in it, which are to be read as spaces (RFC 9112 section 5.2). Responses only.
        package var isFolded = false
    }

    package let kind: Kind
    package let limits: HTTP1Limits

    // Results. Meaningful once `parse` has returned true.
    package private(set) var method: Range<Int> = 0..<0
    package private(set) var target: Range<Int> = 0..<0
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    package private(set) var minorVersion: Int = 1
    package private(set) var status: UInt16 = 0
    package private(set) var reason: Range<Int> = 0..<0
    package private(set) var fieldCount = 0
    /// Bytes from the first one fed to the end of the empty line.
    package private(set) var headLength = 0
    /// The head is not exactly as RFC 9112 wants senders to write it. Responses only.
    package private(set) var isLenient = false

    /// Only from the first field of a message to its end.
    private var fieldStorage: UnsafeMutablePointer<Field>?
    private var fieldCapacity = 0
    private var lineStart = 0
    private var scanned = 0
    private var isInStartLine = true
    private var emptyLines = 0

    private let spares: FieldSpares?

    /// - Parameter spares: memory for the fields, shared with other parsers of the same event loop.
    package init(_ kind: Kind, limits: HTTP1Limits = HTTP1Limits(), spares: FieldSpares? = nil) {
        self.kind = kind
        self.limits = limits
        self.spares = spares
    }

    deinit { unsafe fieldStorage?.deallocate() }

    /// - Precondition: `index` is below `fieldCount`.
    package subscript(index: Int) -> Field {
        precondition(index < fieldCount)
        return unsafe fieldStorage.unsafelyUnwrapped[index]
    }

    /// Whether any byte of a message has been seen.
    package var isIdle: Bool { scanned == 0 }

    /// Forgets everything; the next `parse` starts with the first byte of another message.
    package mutating func reset() {
        releaseFields()
        fieldCount = 0
        headLength = 0
        isLenient = false
        lineStart = 0
        scanned = 0
        isInStartLine = true
        emptyLines = 0
        (method, target, reason) = (0..<0, 0..<0, 0..<0)
    }

    /// Goes on reading. `bytes` begins with the first byte of the message and only ever grows.
    ///
    /// - Returns: whether the head is complete.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        while scanned < bytes.count {
            let found = unsafe memchr(base + scanned, Int32(Bytes.lf), bytes.count - scanned)
            guard let found = unsafe found else {
                try unsafe checkIncomplete(bytes)
                scanned = bytes.count
                return false
            }
            let end = unsafe UnsafeRawPointer(found) - base
            scanned = end + 1
            let line = lineStart..<(try unsafe lineEnd(end, bytes))
            lineStart = scanned
            if try unsafe take(line, bytes) {
                headLength = scanned
                return true
            }
        }
        return false
    }

    /// - Parameter lineFeed: where the line's LF stands.
    /// - Returns: where its text ends. A recipient may take LF alone (RFC 9112 section 2.2); from clients we do not.
    @inline(__always)
    private mutating func lineEnd(_ lineFeed: Int, _ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> Int {
        if lineFeed > lineStart, unsafe bytes[lineFeed - 1] == Bytes.cr { return lineFeed - 1 }
        guard kind == .response else { throw .bareLineFeed }
        isLenient = true
        return lineFeed
    }

    /// - Returns: whether `line` was the empty line that ends the head.
    private mutating func take(_ line: Range<Int>, _ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> Bool {
        if isInStartLine {
            if line.isEmpty {
                // RFC 9112 section 2.2: be lenient to a CRLF left over from an earlier message, not to more.
                emptyLines += 1
                guard emptyLines <= 2 else { throw .tooManyEmptyLines }
                isLenient = true
                return false
            }
            guard line.count <= limits.startLine else { throw .startLineTooLong }
            switch kind {
            case .request: try unsafe takeRequestLine(line, bytes)
            case .response: try unsafe takeStatusLine(line, bytes)
            }
            isInStartLine = false
            return false
        }
        if line.isEmpty { return true }
        guard line.count <= limits.fieldLine else { throw .fieldLineTooLong }
        guard line.upperBound <= limits.head else { throw .headTooLarge }
        let first = unsafe bytes[line.lowerBound]
        if first == Bytes.space || first == Bytes.tab {
            try unsafe unfold(line, bytes)
            return false
        }
        guard fieldCount < limits.fields else { throw .tooManyFields }
        if fieldCount == fieldCapacity { growFields() }
        try unsafe takeField(line, bytes)
        return false
    }

    private mutating func releaseFields() {
        guard let storage = unsafe fieldStorage else { return }
        if let spares, fieldCapacity == FieldSpares.capacity {
            unsafe spares.giveBack(storage)
        } else {
            unsafe storage.deallocate()
        }
        unsafe fieldStorage = nil
        fieldCapacity = 0
    }

    private mutating func growFields() {
        if fieldCapacity == 0, limits.fields >= FieldSpares.capacity, let spare = unsafe spares?.take() {
            unsafe fieldStorage = unsafe spare
            fieldCapacity = FieldSpares.capacity
            return
        }
        let capacity = min(max(fieldCapacity * 2, FieldSpares.capacity), limits.fields)
        let new = UnsafeMutablePointer<Field>.allocate(capacity: capacity)
        if let old = unsafe fieldStorage {
            unsafe new.moveInitialize(from: old, count: fieldCount)
            unsafe old.deallocate()
        }
        unsafe fieldStorage = unsafe new
        fieldCapacity = capacity
    }

    /// What of a line that is not complete yet can already be judged.
    private func checkIncomplete(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) {
        let length = bytes.count - lineStart
        if isInStartLine {
            guard length <= limits.startLine + 1 else { throw .startLineTooLong }
        } else {
            guard length <= limits.fieldLine + 1 else { throw .fieldLineTooLong }
            guard bytes.count <= limits.head + 1 else { throw .headTooLarge }
        }
        var index = max(scanned, lineStart)
        while index < bytes.count {
            let byte = unsafe bytes[index]
            if byte == Bytes.cr {
                guard index == bytes.count - 1 else { throw .bareCarriageReturn }
            } else if isInStartLine {
                // A reason phrase may have what field values have; a request line may not.
                let isAllowed = kind == .response ? Bytes.isFieldValue(byte) : byte >= 0x20 && byte < 0x7F
                guard isAllowed else { throw .invalidStartLine }
                if index == lineStart { guard Bytes.isToken(byte) else { throw .invalidStartLine } }
            } else if !Bytes.isFieldValue(byte) {
                throw .invalidFieldValue
            }
            index += 1
        }
        // A CR that ended the bytes seen so far must be followed by LF, which memchr would have found.
        if scanned > lineStart, scanned < bytes.count, unsafe bytes[scanned - 1] == Bytes.cr {
            throw .bareCarriageReturn
        }
    }

    // MARK: Start line

    private mutating func takeRequestLine(
        _ line: Range<Int>,
        _ bytes: UnsafeRawBufferPointer
    ) throws(HTTP1Error) {
        var index = line.lowerBound
        while index < line.upperBound, unsafe bytes[index] != Bytes.space {
            guard unsafe Bytes.isToken(bytes[index]) else { throw .invalidMethod }
            index += 1
        }
        guard index > line.lowerBound, index < line.upperBound else { throw .invalidStartLine }
        method = line.lowerBound..<index
        guard method.count <= 32 else { throw .methodTooLong }
        let targetStart = index + 1
        // " HTTP/1.1" ends the line: nine bytes, the only other space.
        let targetEnd = line.upperBound - 9
        guard targetEnd > targetStart, unsafe bytes[targetEnd] == Bytes.space else {
            throw unsafe invalidRequestLine(from: targetStart, line, bytes)
        }
        for index in targetStart..<targetEnd {
            guard unsafe bytes[index] > 0x20, unsafe bytes[index] < 0x7F else { throw .invalidStartLine }
        }
        target = targetStart..<targetEnd
        minorVersion = try unsafe version(at: targetEnd + 1, bytes)
    }

    private func invalidRequestLine(
        from start: Int,
        _ line: Range<Int>,
        _ bytes: UnsafeRawBufferPointer
    ) -> HTTP1Error {
        for index in start..<line.upperBound where unsafe bytes[index] == Bytes.space { return .invalidVersion }
        return .invalidStartLine
    }

    /// Reads "HTTP/1.x", eight bytes.
    private func version(at start: Int, _ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> Int {
        let name: StaticString = "HTTP/"
        for index in 0..<5 where unsafe bytes[start + index] != name.utf8Start[index] { throw .invalidVersion }
        let major = unsafe bytes[start + 5] &- UInt8(ascii: "0")
        let minor = unsafe bytes[start + 7] &- UInt8(ascii: "0")
        guard major < 10, minor < 10, unsafe bytes[start + 6] == UInt8(ascii: ".") else { throw .invalidVersion }
        guard major == 1, minor < 2 else { throw .unsupportedVersion }
        return Int(minor)
    }

    private mutating func takeStatusLine(
        _ line: Range<Int>,
        _ bytes: UnsafeRawBufferPointer
    ) throws(HTTP1Error) {
        let start = line.lowerBound
        guard line.count >= 12, unsafe bytes[start + 8] == Bytes.space else { throw .invalidStartLine }
        minorVersion = try unsafe version(at: start, bytes)
        let digits = unsafe UnsafeRawBufferPointer(rebasing: bytes[(start + 9)..<(start + 12)])
        guard let value = unsafe Bytes.decimal(digits), value >= 100, value < 600 else { throw .invalidStatus }
        status = UInt16(value)
        // RFC 9112 section 4: a space follows even an empty reason; servers forget it, and nothing depends on it.
        if line.count > 12 { guard unsafe bytes[start + 12] == Bytes.space else { throw .invalidStartLine } }
        reason = min(start + 13, line.upperBound)..<line.upperBound
        for index in reason where unsafe !Bytes.isFieldValue(bytes[index]) { throw .invalidStartLine }
    }

    // MARK: Field lines

    /// A line that continues the field before it. What says where a message ends must not be written so.
    private mutating func unfold(_ line: Range<Int>, _ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) {
        guard kind == .response, fieldCount > 0 else { throw .foldedField }
        let last = unsafe fieldStorage.unsafelyUnwrapped + (fieldCount - 1)
        switch unsafe last.pointee.known {
        case .contentLength, .transferEncoding, .connection: throw .foldedField
        default: break
        }
        if let invalid = unsafe Bytes.firstInvalid(bytes, line) {
            throw unsafe bytes[invalid] == Bytes.cr ? .bareCarriageReturn : .invalidFieldValue
        }
        isLenient = true
        let text = unsafe trimmed(line, bytes)
        guard !text.isEmpty else { return }
        let start = unsafe last.pointee.value.isEmpty ? text.lowerBound : last.pointee.value.lowerBound
        guard text.upperBound - start <= limits.fieldLine else { throw .fieldLineTooLong }
        unsafe last.pointee.isFolded = unsafe !last.pointee.value.isEmpty || last.pointee.isFolded
        unsafe last.pointee.value = start..<text.upperBound
    }

    @inline(__always)
    private func trimmed(_ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, unsafe bytes[start] == Bytes.space || bytes[start] == Bytes.tab { start += 1 }
        while end > start, unsafe bytes[end - 1] == Bytes.space || bytes[end - 1] == Bytes.tab { end -= 1 }
        return start..<end
    }

    /// - Parameter colon: where the name and the whitespace after it end. A proxy has to remove that from a response (RFC 9112
    ///   section 5.1), and has to refuse a request with it.
    /// - Returns: where the name ends.
    private mutating func nameEnd(_ start: Int, _ colon: Int, _ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> Int
    {
        var end = colon
        while end > start, unsafe bytes[end - 1] == Bytes.space || bytes[end - 1] == Bytes.tab { end -= 1 }
        guard kind == .response, end > start else { throw .invalidFieldName }
        for index in start..<end where unsafe !Bytes.isToken(bytes[index]) { throw .invalidFieldName }
        isLenient = true
        return end
    }

    private mutating func takeField(_ line: Range<Int>, _ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) {
        var index = line.lowerBound
        while index < line.upperBound, unsafe Bytes.isToken(bytes[index]) { index += 1 }
        var nameEnd = index
        if index < line.upperBound, unsafe bytes[index] != Bytes.colon {
            while index < line.upperBound, unsafe bytes[index] != Bytes.colon { index += 1 }
            guard index < line.upperBound else { throw .invalidFieldName }
            nameEnd = try unsafe self.nameEnd(line.lowerBound, index, bytes)
        }
        guard index > line.lowerBound, index < line.upperBound else { throw .invalidFieldName }
        let name = line.lowerBound..<nameEnd
        let value = unsafe trimmed((index + 1)..<line.upperBound, bytes)
        if let invalid = unsafe Bytes.firstInvalid(bytes, value) {
            throw unsafe bytes[invalid] == Bytes.cr ? .bareCarriageReturn : .invalidFieldValue
        }
        let identified = unsafe KnownField.identify(UnsafeRawBufferPointer(rebasing: bytes[name]))
        unsafe (fieldStorage.unsafelyUnwrapped + fieldCount).initialize(
            to: Field(
                name: name,
                value: value,
                known: identified.field,
                hasUnderscore: identified.hasUnderscore
            )
        )
        fieldCount += 1
    }
}
