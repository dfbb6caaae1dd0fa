import Foundation
import Testing

@testable import Telemetry

struct TraceParentTests {
    static func parse(_ text: String) -> TraceParent? {
        Array(text.utf8).withUnsafeBytes { TraceParent($0) }
    }

    static let value = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test("The standard's example is read")
    func example() throws {
        let parent = try #require(Self.parse(Self.value))
        #expect(parent.traceID == "0af7651916cd43dd8448eb211c80319c" && parent.spanID == "b7ad6b7169203331")
        #expect(parent.isSampled)
        #expect(Self.parse(Self.value.dropLast() + "2")?.isSampled == false)
        #expect(Self.parse("01" + Self.value.dropFirst(2) + "-more")?.isSampled == true)
    }

    @Test(
        "Anything else is not",
        arguments: [
            "", "00", value.uppercased(), String(value.dropLast()), value + "-more", value + "x",
            "ff" + value.dropFirst(2),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            value.replacingOccurrences(of: "-", with: "_"),
        ] as [String]
    )
    func refused(_ text: String) { #expect(Self.parse(text) == nil) }
}
