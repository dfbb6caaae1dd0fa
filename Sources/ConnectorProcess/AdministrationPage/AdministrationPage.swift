internal import NIOHTTP1
internal import Networking
internal import PageAccess

/// The page's files, which anybody may have: what they show needs a login.
enum AdministrationPage {
    static func answer(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.method == "GET" || request.method == "HEAD" else { return nil }
        return switch request.path {
        case "/": file("text/html; charset=utf-8", PackageResources.page_html)
        case "/page.css": file("text/css; charset=utf-8", PackageResources.page_css)
        case "/page.js": file("text/javascript; charset=utf-8", PackageResources.page_js)
        case "/view.js": file("text/javascript; charset=utf-8", PackageResources.view_js)
        case "/change.js": file("text/javascript; charset=utf-8", PackageResources.change_js)
        default: SharedPage.answer(request)
        }
    }

    private static func file(_ type: String, _ bytes: [UInt8]) -> HTTPResponse {
        HTTPResponse(status: .ok, contentType: type, body: bytes)
    }
}
