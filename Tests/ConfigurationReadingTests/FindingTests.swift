import Testing

@testable import ConfigurationReading

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
