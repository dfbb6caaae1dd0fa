import ControlProtocol
import Testing

struct LineBufferTests {
    @Test("Lines come out whole, however their octets arrive", arguments: 1...7)
    func pieces(_ size: Int) throws {
        let octets = Array("one\n\ntwo two\nthree".utf8)
        var buffer = LineBuffer(limit: 100)
        var lines: [String] = []
        for start in stride(from: 0, to: octets.count, by: size) {
            let piece = Array(octets[start..<min(start + size, octets.count)])
            lines += try piece.withUnsafeBytes { try buffer.append($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(lines == ["one", "", "two two"])
    }

    @Test("A line that does not end is refused at the limit")
    func limit() throws {
        var buffer = LineBuffer(limit: 10)
        let piece = Array("0123456789".utf8)
        #expect(try piece.withUnsafeBytes { try buffer.append($0) }.isEmpty)
        #expect(throws: LineBuffer.TooLong.self) { try piece.withUnsafeBytes { try buffer.append($0) } }
    }
}

struct EnrolmentTokenTests {
    static let token = EnrolmentToken(
        service: "connectivity.example.com:443",
        subaccount: "a/b \u{e4}",
        locationID: "",
        anchor: String(repeating: "a", count: 64),
        secret: String(repeating: "0f", count: 32),
        expires: 1_800_000_000
    )

    @Test("A token is one word that says what went into it, also where a mail has broken it into lines")
    func roundTrip() {
        let text = Self.token.text
        #expect(text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") })
        #expect(EnrolmentToken(text: text) == Self.token)
        #expect(EnrolmentToken(text: text.prefix(40) + "\r\n " + text.dropFirst(40)) == Self.token)
    }

    @Test(
        "What is no token is none",
        arguments: ["", "cce1_", "cce1_e30", "cce1_%%%", "cce2_e30", "cce1_" + String(repeating: "A", count: 5000)]
    )
    func garbage(_ text: String) { #expect(EnrolmentToken(text: text) == nil) }

    @Test("A token that lost a letter is none, wherever it was")
    func truncated() {
        let text = Self.token.text
        for index in stride(from: 5, to: text.count, by: 7) {
            var broken = Array(text)
            broken.remove(at: index)
            #expect(EnrolmentToken(text: String(broken)) != Self.token)
        }
    }
}

struct ControlMessageTests {
    @Test("Members that this version does not know are left alone")
    func unknown() throws {
        let line = Array(#"{"future":{"x":[1,2]},"welcome":{"version":"9","more":true}}"#.utf8)
        #expect(try JSONLines.decode(ControlMessage.self, line).welcome?.version == "9")
    }

    @Test(
        "JSON that is deep, broken or of another kind is an error, not the end",
        arguments: [
            String(repeating: "[", count: 100_000), "{", "[]", "{\"hello\":5}", "\u{0}",
            "{\"hello\":{\"session\":\"\\ud800\"}}",
        ]
    )
    func broken(_ text: String) {
        #expect(throws: (any Error).self) { try JSONLines.decode(ControlMessage.self, Array(text.utf8)) }
    }

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
        let octets: [UInt8] = Array(#"{"a":1}"#.utf8).reduce(into: []) { $0 += [$1, 0] }
        #expect(throws: JSONAmbiguity.self) { try JSONLines.decode(JSONValue.self, octets) }
    }

    @Test("What a connector says of itself is cut at what may be remembered")
    func bounded() {
        let long = String(repeating: "\u{e4}", count: 5000)
        let hello = ControlMessage.Hello(session: long, version: long, description: long, startedAt: 0).bounded
        #expect(hello.session.utf8.count <= 66 && hello.description.utf8.count <= 1026)
        let system = ExposedSystem(
            host: long,
            protocol: long,
            type: long,
            description: long,
            hasResources: true,
            availability: long
        )
        #expect(JSONLines.encode(system.bounded).count < 2000)
    }

    @Test("A message is one line, whatever its texts hold")
    func oneLine() {
        let hello = ControlMessage.Hello(session: "a\nb", version: "\r\n", description: "\u{2028}", startedAt: 0)
        let line = JSONLines.encode(ControlMessage(hello: hello))
        #expect(line.filter { $0 == 10 }.count == 1 && line.last == 10)
    }
}
