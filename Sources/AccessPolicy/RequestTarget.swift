/// A request target that was parsed and checked once; policy decides on it and the forwarder sends exactly its bytes.
///
/// The path is what stands before the first "?", compared as it stands. A path that some server could read as another
/// path (RFC 9110 section 7.7 forbids us to repair it) never becomes a `RequestTarget`.
package struct RequestTarget: Sendable, Equatable {
    /// Path and query in origin form (RFC 9112 section 3.2.1), the bytes that go to the internal host.
    package let bytes: [UInt8]
    /// Bytes of `bytes` that form the path.
    package let pathLength: Int

    /// Parses origin form, absolute form with the scheme http, or asterisk form.
    package init(_ text: Span<UInt8>) throws(RequestTargetError) {
        let parts = try Parts(text)
        let slash = parts.needsLeadingSlash ? 1 : 0
        let origin = text.extracting(parts.originForm)
        self.bytes = unsafe [UInt8](unsafeUninitializedCapacity: origin.count + slash) { target, count in
            if slash == 1 { unsafe target.initializeElement(at: 0, to: UInt8(ascii: "/")) }
            unsafe origin.withUnsafeBufferPointer { source in
                _ = unsafe UnsafeMutableBufferPointer(rebasing: target[slash...]).initialize(fromContentsOf: source)
            }
            count = origin.count + slash
        }
        self.pathLength = parts.pathLength
    }

    /// For tests, tools and configuration: the bytes of a string.
    package init(_ text: String) throws(RequestTargetError) {
        let bytes = Array(text.utf8)
        try self.init(bytes.span)
    }

    package var path: ArraySlice<UInt8> { bytes[..<pathLength] }

    /// The server as a whole, for OPTIONS (RFC 9112 section 3.2.4).
    package var isAsterisk: Bool { bytes.count == 1 && bytes[0] == UInt8(ascii: "*") }

    /// The path as text. A checked path is pure ASCII.
    package var pathText: String { String(decoding: path, as: UTF8.self) }
}

extension RequestTarget {
    /// Where the parts of a request target stand, for those who only pass it on and need no copy.
    package struct Parts: Sendable {
        /// Present in absolute form.
        package var authority: RequestAuthority?
        /// Path and query. Starts with "/", unless `needsLeadingSlash`.
        package var originForm: Range<Int>
        /// "http://host" and "http://host?query" have an empty path, which is sent as "/" (RFC 9112 section 3.2.1).
        package var needsLeadingSlash: Bool
        /// The target is "*", which is for OPTIONS only.
        package private(set) var isAsterisk = false
        /// Bytes of the path, with the slash that is added.
        package var pathLength: Int

        package init(_ text: Span<UInt8>) throws(RequestTargetError) {
            guard text.count > 0 else { throw .empty }
            guard text.count > 1 || text[0] != UInt8(ascii: "*") else {
                (authority, originForm, needsLeadingSlash, pathLength) = (nil, 0..<1, false, 1)
                isAsterisk = true
                return
            }
            var pathStart = 0
            var authority: RequestAuthority?
            if text[0] != UInt8(ascii: "/") {
                let authorityStart = try Self.scanScheme(text)
                pathStart = authorityStart
                scan: while pathStart < text.count {
                    switch text[pathStart] {
                    case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"): break scan
                    default: pathStart += 1
                    }
                }
                authority = try RequestAuthority(text, in: authorityStart..<pathStart)
            }
            self.authority = authority
            self.originForm = pathStart..<text.count
            self.needsLeadingSlash = pathStart == text.count || text[pathStart] != UInt8(ascii: "/")
            let pathEnd = try PathCheck.check(text, from: pathStart)
            self.pathLength = pathEnd - pathStart + (needsLeadingSlash ? 1 : 0)
        }

        /// - Returns: where the authority starts.
        private static func scanScheme(_ text: Span<UInt8>) throws(RequestTargetError) -> Int {
            let scheme: StaticString = "http://"
            var index = 0
            while index < scheme.utf8CodeUnitCount, index < text.count {
                guard unsafe ASCII.lowercased(text[index]) == scheme.utf8Start[index] else {
                    throw hasScheme(text) ? .unsupportedScheme : .unsupportedForm
                }
                index += 1
            }
            guard index == scheme.utf8CodeUnitCount else { throw .unsupportedForm }
            return index
        }

        private static func hasScheme(_ text: Span<UInt8>) -> Bool {
            var index = 0
            while index + 2 < text.count {
                if text[index] == UInt8(ascii: ":") {
                    return index > 0 && text[index + 1] == UInt8(ascii: "/") && text[index + 2] == UInt8(ascii: "/")
                }
                let lower = ASCII.lowercased(text[index])
                guard lower >= UInt8(ascii: "a"), lower <= UInt8(ascii: "z") else { return false }
                index += 1
            }
            return false
        }
    }
}
