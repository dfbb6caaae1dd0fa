import JSON
import Testing

@testable import ControlProtocol

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
        "What is not a token is none",
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
