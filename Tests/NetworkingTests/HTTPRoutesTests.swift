internal import NIOHTTP1
import Testing

@testable import Networking

struct HTTPRoutesTests {
    private static let routes = HTTPRoutes(
        hint: "here are /a and /b",
        [
            .get("/a") { _ in .text(.ok, "get a") },
            .put("/a") { _ in .text(.ok, "put a") },
            .post("/b") { request in .text(.ok, "post b \(request.body.count)") },
            .any("/c") { request in .text(.ok, "\(request.method) c") },
            .below("/d/") { request in .text(.ok, "below \(request.path)") },
        ]
    )

    private static func ask(_ method: String, _ path: String) async -> (status: UInt, body: String, allow: String) {
        let response = await routes.answer(HTTPRequest(method: method, path: path, body: []))
        return (
            response.status.code, String(decoding: response.body, as: UTF8.self),
            response.headers.first(name: "allow") ?? ""
        )
    }

    @Test(
        "A request goes to the one who answers for its method and path",
        arguments: [
            ("GET", "/a", "get a"), ("HEAD", "/a", "get a"), ("PUT", "/a", "put a"), ("POST", "/b", "post b 0"),
            ("DELETE", "/c", "DELETE c"), ("PATCH", "/d/x/y", "below /d/x/y"),
        ]
    )
    func found(_ method: String, _ path: String, _ body: String) async {
        let answer = await Self.ask(method, path)
        #expect(answer.status == 200 && answer.body == body)
    }

    @Test("A known path with another method is 405, and says which there are")
    func otherMethod() async {
        let (first, second) = (await Self.ask("DELETE", "/a"), await Self.ask("GET", "/b"))
        #expect(first.status == 405 && first.allow == "GET, HEAD, PUT")
        #expect(second.status == 405 && second.allow == "POST")
    }

    @Test(
        "Any other path is 404, escaped, with a hint",
        arguments: ["/", "/A", "/a/", "/ab", "/d", "/c/x", "/\u{1B}[2J"]
    )
    func unknown(_ path: String) async {
        let answer = await Self.ask("GET", path)
        #expect(answer.status == 404 && answer.body.contains("here are /a and /b") && !answer.body.contains("\u{1B}"))
    }
}
