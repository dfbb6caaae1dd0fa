/// Why a request target is refused with 400 before any policy is asked.
///
/// Each case is a form in which some server would read another path or host than we do, or which RFC 3986 and
/// RFC 9112 do not allow at all. The raw value is the reason that callers, logs and `Proxy-Status` show.
package enum RequestTargetError: String, Error, Sendable, CaseIterable {
    case empty = "the request target is empty"
    case unsupportedForm = "the request target is neither an absolute http URL nor a path"
    case asteriskWithoutOptions = "the request target * is for OPTIONS only"
    case unsupportedScheme = "only http URLs are taken here"
    case userInformation = "user information before the host is not allowed"
    case emptyHost = "the URL names no host"
    case invalidHost = "the host has a character or a form that host names do not have"
    case underscoreInHost = "an underscore in a host name is not allowed"
    case hostTooLong = "the host is longer than 255 bytes, or one of its labels longer than 63"
    case invalidPort = "the port is not a number from 1 to 65535"
    case fragment = "a fragment (#) does not belong into a request"
    case invalidByte = "a byte outside visible ASCII must be percent-encoded"
    case invalidPathCharacter = "a character that RFC 3986 does not allow in a path must be percent-encoded"
    case malformedEscape = "a percent sign is not followed by two hexadecimal digits"
    case encodedControlCharacter = "an encoded control character is not allowed"
    case overlongUTF8 = "an overlong UTF-8 sequence is not allowed"
    case dotSegment = "a dot segment, plain or encoded, is not allowed"
}
