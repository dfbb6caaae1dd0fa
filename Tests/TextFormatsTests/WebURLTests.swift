import Testing

@testable import TextFormats

struct WebURLTests {
    @Test("URLs are taken apart, and what is none is refused")
    func urls() {
        let url = WebURL("http://internalhost:3333/a?b=c#d")
        #expect(url?.host == "internalhost" && url?.port == 3333 && url?.path == "/a?b=c")
        #expect(WebURL("https://example.com")?.port == 443)
        #expect(WebURL("http://example.com?x")?.path == "/?x")
        #expect(WebURL("http://[::1]:8080/")?.host == "::1")
        for text in [
            "", "ftp://x", "http://", "http:///x", "http://a@b", "http://a:0", "http://a:99999", "http://a:b",
            "http://a b/",
            "http://[::1", "http://a:1:2", "//x", "http://a\n/",
        ] {
            #expect(WebURL(text) == nil, "\(text)")
        }
    }
}

struct WebURLAppendingTests {
    @Test(
        "A path is joined to a path, and a query to a query",
        arguments: [
            ("http://h", "/a", "", "/a"), ("http://h/", "/a", "", "/a"), ("http://h/b", "/a", "", "/b/a"),
            ("http://h/b/", "/a", "", "/b/a"), ("http://h/b?x=1", "/a", "", "/b/a?x=1"),
            ("http://h/b?x=1", "/a?y=2", "", "/b/a?x=1&y=2"),
            ("http://h/b?x=1", "/a?y=2", "z=3", "/b/a?x=1&y=2&z=3"), ("http://h/b", "/a", "z=3", "/b/a?z=3"),
            ("http://h/b", "", "", "/b"),
            ("http://h", "", "z=3", "/?z=3"), ("http://h/b?", "/a?", "", "/b/a"), ("http://h/b//", "/a", "", "/b/a"),
            ("http://h?x=1", "/a", "", "/a?x=1"),
        ]
    )
    func appending(_ base: String, _ target: String, _ more: String, _ expected: String) throws {
        let url = try #require(WebURL(base))
        #expect(url.appending(target, more).path == expected)
        #expect(url.appending(target, more).authority == url.authority)
    }
}
