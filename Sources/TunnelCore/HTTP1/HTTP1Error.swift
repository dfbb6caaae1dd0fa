/// Why an HTTP/1.1 message is refused. Each case names one rule of RFC 9112 or RFC 9110, or one of our limits.
package enum HTTP1Error: String, Error, Sendable, CaseIterable {
    case bareLineFeed = "a line ends with LF alone"
    case bareCarriageReturn = "a carriage return stands alone"
    case tooManyEmptyLines = "empty lines stand before the start line"
    case invalidStartLine = "the start line is malformed"
    case invalidMethod = "the method is not a token"
    case methodTooLong = "the method is longer than 32 bytes"
    case unsupportedMethod = "the method is not one that is forwarded"
    case invalidVersion = "the protocol version is malformed"
    case unsupportedVersion = "the protocol version is neither HTTP/1.0 nor HTTP/1.1"
    case startLineTooLong = "the start line is longer than allowed"
    case fieldLineTooLong = "a field line is longer than allowed"
    case headTooLarge = "the fields are larger than allowed in total"
    case tooManyFields = "there are more field lines than allowed"
    case foldedField = "a field line is folded"
    case invalidFieldName = "a field name is not a token directly followed by a colon"
    case invalidFieldValue = "a field value has a control character"
    case missingHost = "there is no Host field"
    case repeatedHost = "there is more than one Host field"
    case invalidHost = "the Host field is not a host and port"
    case hostMismatch = "the Host field names another system than the request target"
    case repeatedContentLength = "there is more than one Content-Length field"
    case invalidContentLength = "Content-Length is not a number below 2^63"
    case contentLengthAndTransferEncoding = "Content-Length and Transfer-Encoding are both present"
    case repeatedTransferEncoding = "there is more than one Transfer-Encoding field"
    case unsupportedTransferEncoding = "the transfer coding is not chunked alone"
    case transferEncodingInHTTP10 = "HTTP/1.0 has no Transfer-Encoding"
    case invalidConnection = "the Connection field is malformed"
    case invalidChunkSize = "a chunk size is malformed or too large"
    case chunkExtensionTooLong = "chunk extensions are longer than allowed"
    case missingChunkEnd = "chunk data is not followed by CRLF"
    case trailersTooLarge = "the trailer section is larger than allowed"
    case invalidStatus = "the status code is not a number from 100 to 599"
    case unsupportedExpectation = "the expectation is not 100-continue"

    /// Whether a limit of ours was met, rather than a rule of HTTP broken.
    package var isLimit: Bool {
        switch self {
        case .startLineTooLong, .fieldLineTooLong, .headTooLarge, .tooManyFields, .chunkExtensionTooLong,
            .trailersTooLarge, .methodTooLong:
            true
        default: false
        }
    }

    /// The status a client gets for it (RFC 9110 section 15.5).
    package var status: UInt16 {
        switch self {
        case .startLineTooLong: 414
        case .fieldLineTooLong, .headTooLarge, .tooManyFields: 431
        case .methodTooLong: 501
        case .unsupportedMethod: 405
        case .unsupportedVersion: 505
        case .unsupportedExpectation: 417
        default: 400
        }
    }
}
