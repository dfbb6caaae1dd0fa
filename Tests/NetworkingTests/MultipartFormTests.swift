import NIOHTTP1
import Testing

@testable import Networking

struct MultipartFormTests {
    private func form(_ body: String, _ type: String = "multipart/form-data; boundary=B") -> MultipartForm? {
        MultipartForm(HTTPRequest(method: "POST", path: "/", headers: ["content-type": type], body: Array(body.utf8)))
    }

    @Test("Parts are taken by their names, with what they hold byte for byte")
    func parts() throws {
        let text =
            "--B\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f.pem\"\r\nContent-Type: x/y\r\n\r\none\r\n\r\n--two\r\n"
            + "--B\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--B--\r\n"
        let form = try #require(self.form(text))
        #expect(form["a"].map { String(decoding: $0, as: UTF8.self) } == ["one\r\n\r\n--two"])
        #expect(form["b"] == [[]] && form["c"].isEmpty && form.parts.count == 2)
        #expect(self.form(text, "Multipart/Form-Data; charset=utf-8; boundary=\"B\"") != nil)
    }

    @Test(
        "What is cut, nested wrongly or no form at all is refused",
        arguments: [
            "", "--B", "--B\r\n", "--B\r\n\r\n", "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx",
            "--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--", "--B\r\nX: y\r\n\r\nx\r\n--B--",
            "x--B\r\n", "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B--", "--C\r\n",
            "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--Bx",
        ]
    )
    func damaged(_ body: String) { #expect(form(body) == nil) }

    @Test("A boundary must be there and short, and parts are counted")
    func limits() {
        #expect(form("--\r\n", "multipart/form-data; boundary=") == nil)
        #expect(form("--B--", "multipart/form-data") == nil && form("--B--", "application/json; boundary=B") == nil)
        let part = "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n"
        #expect(form(String(repeating: part, count: 64) + "--B--") != nil)
        #expect(form(String(repeating: part, count: 65) + "--B--") == nil)
    }
}
