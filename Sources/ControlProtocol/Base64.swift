internal import FoundationEssentials

package enum Base64 {
    package static func encode(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
}
