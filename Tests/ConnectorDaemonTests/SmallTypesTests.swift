internal import Telemetry
import Testing

@testable import ConnectorDaemon

struct NearestNameTests {
    @Test("The nearest candidate within a third of the letters is found")
    func nearest() {
        #expect(NearestName.find("certifikate", among: ["private-key", "certificate"]) == "certificate")
        #expect(NearestName.find("acess", among: ["access", "active"]) == "access")
        #expect(NearestName.find("xyz", among: ["access"]) == nil)
        #expect(NearestName.find("a", among: [String]()) == nil)
    }

    @Test("Swapped neighbours count as one edit")
    func distance() {
        #expect(NearestName.distance(Array("olny".utf8), Array("only".utf8)) == 1)
        #expect(NearestName.distance(Array("".utf8), Array("abc".utf8)) == 3)
    }
}

struct FindingTests {
    static func finding(_ severity: Finding.Severity, _ line: Int) -> Finding {
        Finding(severity: severity, file: "f", line: line, column: 1, key: "", message: "m")
    }

    @Test("What is said of a file begins with its errors and ends with how many more there are")
    func digest() {
        let few = [Self.finding(.warning, 1), Self.finding(.error, 2), Self.finding(.warning, 3)]
        #expect(few.digest == ["f:2:1: error: m", "f:1:1: warning: m", "f:3:1: warning: m"])
        let many = (1...100_000).map { Self.finding(.warning, $0) } + [Self.finding(.error, 7)]
        #expect(many.digest.count == 51)
        #expect(many.digest.first == "f:7:1: error: m")
        #expect(many.digest.last?.hasPrefix("and 99951 more: ") == true)
        #expect([Finding]().digest.isEmpty)
    }
}

struct PasswordGuessesTests {
    @Test("Who was wrong waits for a second, others do not, and so many are remembered and no more")
    func guesses() {
        let guesses = PasswordGuesses()
        let start = ContinuousClock.now
        guesses.failed("a", now: start)
        #expect(!guesses.mayTry("a", now: start + .milliseconds(999)))
        #expect(guesses.mayTry("b", now: start) && guesses.mayTry("a", now: start + .seconds(1)))
        for index in 0..<PasswordGuesses.limit { guesses.failed("c\(index)", now: start) }
        #expect(!guesses.mayTry("b", now: start + .milliseconds(500)))
        #expect(guesses.mayTry("b", now: start + .seconds(1)))
    }
}

struct ConnectorLogHandlerTests {
    @Test("Nothing that a value holds can leave its quotes or its line")
    func escaping() {
        #expect(ConnectorLogHandler.escaped("a\"b\n\u{1B}[2J ü\u{2028}") == "a\\\"b\\u{a}\\u{1b}[2J ü\\u{2028}")
    }
}

struct ConnectionAuthenticationTests {
    @Test(
        "NTLM and Negotiate bind a connection, other schemes do not",
        arguments: [
            ("NTLM", true), ("ntlm TlRM", true), ("Negotiate abc", true), ("Basic eDp5", false), ("NTLMX y", false),
            ("", false),
        ]
    )
    func schemes(_ value: String, _ expected: Bool) {
        #expect(Array(value.utf8).withUnsafeBytes { ConnectionAuthentication.isUsed($0) } == expected)
    }
}
