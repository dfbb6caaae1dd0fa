import Testing

@testable import TextFormats

struct LogTextTests {
    @Test(
        "What may hold a secret is left out of a target in a log",
        arguments: [
            ("http://host:80/a/b", "http://host:80/a/b"), ("/a?access_token=x#y", "/a?…"), ("/a#b", "/a?…"), ("", ""),
            ("http://user:pw@host/a?b", "http://…@host/a?…"), ("user:p@w@host:80", "…@host:80"), ("/a@b", "/a@b"),
            ("http://host/a@b:c://d@e", "http://host/a@b:c://d@e"), ("http://u@h?x=@y", "http://…@h?…"),
            ("http:\u{0}//u@h", "http:\\x00//…@h"), ("//u:p@h/", "//u:p@h/"),
        ]
    )
    func logTarget(_ target: String, _ expected: String) {
        #expect(LogText.target(target.utf8) == expected)
    }

    @Test("Text from outside becomes one line of visible ASCII of bounded length")
    func logText() {
        #expect(LogText.escaped("a\r\n\u{1B}[2Jü\\".utf8) == "a\\x0d\\x0a\\x1b[2J\\xc3\\xbc\\x5c")
        #expect(LogText.escaped([UInt8](repeating: 97, count: 5000)).utf8.count == LogText.limit + 3)
    }
}
