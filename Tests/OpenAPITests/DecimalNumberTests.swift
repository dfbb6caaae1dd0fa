import JSON
import Testing

@testable import OpenAPI

struct DecimalNumberTests {
    private static func number(_ text: String) throws -> DecimalNumber {
        let value = try JSONLines.decode([JSONValue].self, Array("[\(text)]".utf8))[0]
        return try #require(DecimalNumber(value), "\(text)")
    }

    @Test(
        "A multiple is one of the decimal that is written, not of the binary number beside it",
        arguments: [
            ("19.99", "0.01", true), ("1999", "0.01", true), ("0.3", "0.1", true), ("4.35", "0.05", true),
            ("1.1", "0.1", true), ("1e3", "0.25", true), ("100", "1e2", true), ("0", "0.7", true),
            ("-19.99", "0.01", true),
            ("19.995", "0.01", false), ("0.35", "0.1", false), ("1", "3", false), ("50", "1e2", false),
            ("9007199254740993", "2", false), ("1", "0.7", false), ("1e-7", "1e-6", false), ("1", "0", false),
        ]
    )
    func multiples(_ value: String, _ divisor: String, _ isMultiple: Bool) throws {
        #expect(try Self.number(value).isMultiple(of: Self.number(divisor)) == isMultiple)
    }

    @Test(
        "Numbers are ordered as they are written",
        arguments: [
            ("0.1", "0.11"), ("-0.11", "-0.1"), ("-1", "0"), ("0", "1e-9"), ("9.99", "10"), ("1e3", "1001"),
            ("9007199254740992", "9007199254740993"), ("-5", "3"), ("0.09", "0.1"), ("123.4", "1.2341e2"),
        ]
    )
    func order(_ smaller: String, _ larger: String) throws {
        let (one, other) = (try Self.number(smaller), try Self.number(larger))
        #expect(one < other && !(other < one) && !(one < one))
    }

    @Test(
        "However a number is written, it is the same",
        arguments: [("1.50", "1.5"), ("100", "1e2"), ("0.0", "0"), ("-0.0", "0")]
    )
    func equal(_ one: String, _ other: String) throws {
        #expect(try Self.number(one) == Self.number(other))
    }

    @Test("What is no number is none")
    func none() {
        for value in [JSONValue.string("1"), .null, .bool(true), .array([]), .object([:])] {
            #expect(DecimalNumber(value) == nil)
        }
    }
}
