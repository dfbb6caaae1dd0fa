import Testing

@testable import JSON

struct JSONLinesTests {
    @Test(
        "JSON in which a name appears twice is refused by that name",
        arguments: [
            (#"{"a":1,"a":1}"#, "a"), (#"[{"x":{"b":[],"c":"b","b":{}}}]"#, "b"), (#"{"\u0061":1,"b":"}","a":2}"#, "a"),
            (#"{"a\"":1,"a\"":2}"#, "a\""), (#"{"a":[{"c":1},{"c":2}],"d":{"a":1},"a":0}"#, "a"),
        ]
    )
    func repeated(_ text: String, _ name: String) {
        #expect {
            try JSONLines.decode(JSONValue.self, Array(text.utf8))
        } throws: {
            "\($0)" == "\"\(name)\" appears twice in one object"
        }
    }

    @Test(
        "Names may come again in other objects, and as values",
        arguments: [
            #"{"a":{"a":{"a":"a"}},"b":["a","a",{"a":1},{"a":1}]}"#, #"[[],{},"a","a"]"#, #""a""#, "5", #"{"":1}"#,
            #"{"a\\":1,"a":2,"\\":3}"#,
        ]
    )
    func notRepeated(_ text: String) throws {
        _ = try JSONLines.decode(JSONValue.self, Array(text.utf8))
    }

    @Test("JSON that is not UTF-8 is refused")
    func encoding() {
        let bytes: [UInt8] = Array(#"{"a":1}"#.utf8).reduce(into: []) { $0 += [$1, 0] }
        #expect(throws: JSONError.self) { try JSONLines.decode(JSONValue.self, bytes) }
    }
}
