#if canImport(Glibc)
internal import Glibc
#endif

/// Reads the head of one HTTP/1.1 message, strictly (RFC 9112) and without copying: the result is a set of offsets.
///
/// Feed it the octets received so far, always from the first octet of the message; it goes on where it stopped. Each
/// line is checked when it is complete, and an incomplete line already for what can never become valid, so that a
/// refusal does not depend on how the octets were cut into packets.
///
///     idle ──octets──▶ start line ──CRLF──▶ field lines ──CRLF CRLF──▶ complete ──reset()──▶ idle
package struct HTTP1HeadParser: ~Copyable {
    package enum Kind: Sendable { case request, response }

    /// Offsets of one field line, relative to the first octet of the message.
    package struct Field {
        package var name: Range<Int>
        package var value: Range<Int>
        package var known: KnownField
        package var hasUnderscore: Bool
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
    /// Octets from the first one fed to the end of the empty line.
    package private(set) var headLength = 0

    private let fieldStorage: UnsafeMutablePointer<Field>
    private var lineStart = 0
    private var scanned = 0
    private var isInStartLine = true
    private var emptyLines = 0

    package init(_ kind: Kind, limits: HTTP1Limits = HTTP1Limits()) {
        self.kind = kind
        self.limits = limits
        self.fieldStorage = .allocate(capacity: limits.fields)
    }

    deinit { fieldStorage.deallocate() }

    /// - Precondition: `index` is below `fieldCount`.
    package subscript(index: Int) -> Field {
        precondition(index < fieldCount)
        return fieldStorage[index]
    }

    /// Whether any octet of a message has been seen.
    package var isIdle: Bool { scanned == 0 }

    /// Forgets everything; the next `parse` starts with the first octet of another message.
    package mutating func reset() {
        fieldCount = 0
        headLength = 0
        lineStart = 0
        scanned = 0
        isInStartLine = true
        emptyLines = 0
        (method, target, reason) = (0..<0, 0..<0, 0..<0)
    }

    /// Goes on reading. `octets` begins with the first octet of the message and only ever grows.
    ///
    /// - Returns: whether the head is complete.
    package mutating func parse(_ octets: UnsafeRawBufferPointer) throws(HTTP1Error) -> Bool {
        guard let base = octets.baseAddress else { return false }
        while scanned < octets.count {
            let found = memchr(base + scanned, Int32(Octets.lf), octets.count - scanned)
            guard let found else {
                try checkIncomplete(octets)
                scanned = octets.count
                return false
            }
            let end = UnsafeRawPointer(found) - base
            scanned = end + 1
            guard end > lineStart, octets[end - 1] == Octets.cr else { throw .bareLineFeed }
            let line = lineStart..<(end - 1)
            lineStart = scanned
            if try take(line, octets) {
                headLength = scanned
                return true
            }
        }
        return false
    }

    /// - Returns: whether `line` was the empty line that ends the head.
    private mutating func take(_ line: Range<Int>, _ octets: UnsafeRawBufferPointer) throws(HTTP1Error) -> Bool {
        if isInStartLine {
            if line.isEmpty {
                // RFC 9112 section 2.2: be lenient to a CRLF left over from an earlier message, not to more.
                emptyLines += 1
                guard kind == .request, emptyLines <= 2 else { throw .tooManyEmptyLines }
                return false
            }
            guard line.count <= limits.startLine else { throw .startLineTooLong }
            switch kind {
            case .request: try takeRequestLine(line, octets)
            case .response: try takeStatusLine(line, octets)
            }
            isInStartLine = false
            return false
        }
        if line.isEmpty { return true }
        guard line.count <= limits.fieldLine else { throw .fieldLineTooLong }
        guard line.upperBound <= limits.head else { throw .headTooLarge }
        guard fieldCount < limits.fields else { throw .tooManyFields }
        try takeField(line, octets)
        return false
    }

    /// What of a line that is not complete yet can already be judged.
    private func checkIncomplete(_ octets: UnsafeRawBufferPointer) throws(HTTP1Error) {
        let length = octets.count - lineStart
        if isInStartLine {
            guard length <= limits.startLine + 1 else { throw .startLineTooLong }
        } else {
            guard length <= limits.fieldLine + 1 else { throw .fieldLineTooLong }
            guard octets.count <= limits.head + 1 else { throw .headTooLarge }
        }
        var index = max(scanned, lineStart)
        while index < octets.count {
            let octet = octets[index]
            if octet == Octets.cr {
                guard index == octets.count - 1 else { throw .bareCarriageReturn }
            } else if isInStartLine {
                guard octet >= 0x20, octet < 0x7F else { throw .invalidStartLine }
                if index == lineStart { guard Octets.isToken(octet) else { throw .invalidStartLine } }
            } else if !Octets.isFieldValue(octet) {
                throw .invalidFieldValue
            }
            index += 1
        }
        // A CR that ended the octets seen so far must be followed by LF, which memchr would have found.
        if scanned > lineStart, scanned < octets.count, octets[scanned - 1] == Octets.cr { throw .bareCarriageReturn }
    }

    // MARK: Start line

    private mutating func takeRequestLine(
        _ line: Range<Int>,
        _ octets: UnsafeRawBufferPointer
    ) throws(HTTP1Error) {
        var index = line.lowerBound
        while index < line.upperBound, octets[index] != Octets.space {
            guard Octets.isToken(octets[index]) else { throw .invalidMethod }
            index += 1
        }
        guard index > line.lowerBound, index < line.upperBound else { throw .invalidStartLine }
        method = line.lowerBound..<index
        guard method.count <= 32 else { throw .methodTooLong }
        let targetStart = index + 1
        // " HTTP/1.1" ends the line: nine octets, the only other space.
        let targetEnd = line.upperBound - 9
        guard targetEnd > targetStart, octets[targetEnd] == Octets.space else {
            throw invalidRequestLine(from: targetStart, line, octets)
        }
        for index in targetStart..<targetEnd {
            guard octets[index] > 0x20, octets[index] < 0x7F else { throw .invalidStartLine }
        }
        target = targetStart..<targetEnd
        minorVersion = try version(at: targetEnd + 1, octets)
    }

    private func invalidRequestLine(
        from start: Int,
        _ line: Range<Int>,
        _ octets: UnsafeRawBufferPointer
    ) -> HTTP1Error {
        for index in start..<line.upperBound where octets[index] == Octets.space { return .invalidVersion }
        return .invalidStartLine
    }

    /// Reads "HTTP/1.x", eight octets.
    private func version(at start: Int, _ octets: UnsafeRawBufferPointer) throws(HTTP1Error) -> Int {
        let name: StaticString = "HTTP/"
        for index in 0..<5 where octets[start + index] != name.utf8Start[index] { throw .invalidVersion }
        let major = octets[start + 5] &- UInt8(ascii: "0")
        let minor = octets[start + 7] &- UInt8(ascii: "0")
        guard major < 10, minor < 10, octets[start + 6] == UInt8(ascii: ".") else { throw .invalidVersion }
        guard major == 1, minor < 2 else { throw .unsupportedVersion }
        return Int(minor)
    }

    private mutating func takeStatusLine(
        _ line: Range<Int>,
        _ octets: UnsafeRawBufferPointer
    ) throws(HTTP1Error) {
        let start = line.lowerBound
        guard line.count >= 12, octets[start + 8] == Octets.space else { throw .invalidStartLine }
        minorVersion = try version(at: start, octets)
        let digits = UnsafeRawBufferPointer(rebasing: octets[(start + 9)..<(start + 12)])
        guard let value = Octets.decimal(digits), value >= 100, value < 600 else { throw .invalidStatus }
        status = UInt16(value)
        // RFC 9112 section 4: a space follows even an empty reason; servers forget it, and nothing depends on it.
        if line.count > 12 { guard octets[start + 12] == Octets.space else { throw .invalidStartLine } }
        reason = min(start + 13, line.upperBound)..<line.upperBound
        for index in reason where !Octets.isFieldValue(octets[index]) { throw .invalidStartLine }
    }

    // MARK: Field lines

    private mutating func takeField(_ line: Range<Int>, _ octets: UnsafeRawBufferPointer) throws(HTTP1Error) {
        let first = octets[line.lowerBound]
        guard first != Octets.space, first != Octets.tab else { throw .foldedField }
        var index = line.lowerBound
        while index < line.upperBound, octets[index] != Octets.colon {
            guard Octets.isToken(octets[index]) else { throw .invalidFieldName }
            index += 1
        }
        guard index > line.lowerBound, index < line.upperBound else { throw .invalidFieldName }
        let name = line.lowerBound..<index
        var start = index + 1
        var end = line.upperBound
        while start < end, octets[start] == Octets.space || octets[start] == Octets.tab { start += 1 }
        while end > start, octets[end - 1] == Octets.space || octets[end - 1] == Octets.tab { end -= 1 }
        if let invalid = Octets.firstInvalid(octets, start..<end) {
            throw octets[invalid] == Octets.cr ? .bareCarriageReturn : .invalidFieldValue
        }
        let identified = KnownField.identify(UnsafeRawBufferPointer(rebasing: octets[name]))
        (fieldStorage + fieldCount).initialize(
            to: Field(
                name: name,
                value: start..<end,
                known: identified.field,
                hasUnderscore: identified.hasUnderscore
            )
        )
        fieldCount += 1
    }
}
