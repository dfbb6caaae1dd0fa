internal import NIOHTTP1
internal import TextFormats

/// The route table of a listener: which requests there are, and who answers each.
///
/// A path that is known with other methods is answered 405 with those in `Allow` (RFC 9110 section 15.5.6), any other path 404.
/// HEAD is answered as GET; its body stays behind.
package struct HTTPRoutes: HTTPRouter {
    package typealias Handler = @Sendable (HTTPRequest) async -> HTTPResponse

    /// A path with a method, and who answers it.
    package struct Route: Sendable {
        fileprivate enum Path: Sendable {
            case exactly(String)
            /// And what is below it; the handler answers for methods, too.
            case below(String)
        }

        fileprivate let method: String
        fileprivate let path: Path
        fileprivate let handler: Handler

        /// For GET, and so for HEAD.
        package static func get(_ path: String, _ handler: @escaping Handler) -> Route {
            Route(method: "GET", path: .exactly(path), handler: handler)
        }

        /// For POST.
        package static func post(_ path: String, _ handler: @escaping Handler) -> Route {
            Route(method: "POST", path: .exactly(path), handler: handler)
        }

        /// For PUT.
        package static func put(_ path: String, _ handler: @escaping Handler) -> Route {
            Route(method: "PUT", path: .exactly(path), handler: handler)
        }

        /// With every method; the handler answers for those that are not allowed.
        package static func any(_ path: String, _ handler: @escaping Handler) -> Route {
            Route(method: "*", path: .exactly(path), handler: handler)
        }

        /// - Parameter prefix: ends with a slash.
        package static func below(_ prefix: String, _ handler: @escaping Handler) -> Route {
            Route(method: "", path: .below(prefix), handler: handler)
        }
    }

    private let routes: [Route]
    private let notFound: String

    /// - Parameter hint: for whoever asks for another path: what there is.
    package init(hint: String = "", _ routes: [Route]) {
        self.routes = routes
        notFound = hint.isEmpty ? "" : "; \(hint)"
    }

    /// 404 where there is no such path; 405 with `Allow` where it has other methods.
    package func answer(_ request: HTTPRequest) async -> HTTPResponse {
        let method = request.method == "HEAD" ? "GET" : request.method
        var allowed: [String] = []
        for route in routes {
            switch route.path {
            case .exactly(let path) where path == request.path:
                if route.method == method || route.method == "*" { return await route.handler(request) }
                allowed.append(route.method == "GET" ? "GET, HEAD" : route.method)
            case .below(let prefix) where request.path.hasPrefix(prefix): return await route.handler(request)
            default: continue
            }
        }
        guard allowed.isEmpty else {
            let list = allowed.joined(separator: ", ")
            var response = HTTPResponse.error(.methodNotAllowed, "only \(list) is allowed here")
            response.headers = ["allow": list]
            return response
        }
        return .error(.notFound, "there is no \(LogText.escaped(request.path.utf8))\(notFound)")
    }
}
