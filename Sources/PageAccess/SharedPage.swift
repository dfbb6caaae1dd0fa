internal import NIOHTTP1
package import Networking

/// What the pages of both sides have in common: their look, and what their scripts make their contents of.
package enum SharedPage {
    /// - Returns: nil for what is a page's own.
    package static func answer(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.method == "GET" || request.method == "HEAD" else { return nil }
        return switch request.path {
        case "/look.css": file("text/css; charset=utf-8", PackageResources.look_css)
        case "/elements.js": file("text/javascript; charset=utf-8", PackageResources.elements_js)
        default: nil
        }
    }

    private static func file(_ type: String, _ bytes: [UInt8]) -> HTTPResponse {
        HTTPResponse(status: .ok, contentType: type, body: bytes)
    }
}
