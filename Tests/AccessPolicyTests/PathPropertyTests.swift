import ConnectorTestSupport
import Testing

@testable import AccessPolicy

/// Properties that hold for any target, tried on targets made to go wrong.
struct PathPropertyTests {
    static let pieces = [
        "ok", "exact", "secret", "/", "/", "//", ".", "..", "...", "%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "%25",
        "%252e", "%252f", "%255c", ";", ";x=1", "..;", "%3b", "a", "%c0%ae", "%e0%80%ae", "%00", "%09", "%20", "%",
        "\\", "?", "#", "~", "'", "(1)", "é", "%ef%bc%8f", "http://backend.test", "%2e%2e", ".%2e", "%25%32%65", "+",
    ]

    /// The ways in which servers are known to read a path.
    static func readings(of path: [UInt8]) -> [[String]] {
        var bytes = path
        var readings: [[String]] = []
        for _ in 0..<3 {
            for cutsParameters in [false, true] {
                for trims in [false, true] {
                    readings.append(resolve(bytes, cutsParameters: cutsParameters, trims: trims))
                }
            }
            bytes = unescape(bytes)
        }
        return readings
    }

    private static func unescape(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                result.append(value)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    /// Segments after dot segments are resolved and empty ones merged.
    private static func resolve(_ bytes: [UInt8], cutsParameters: Bool, trims: Bool) -> [String] {
        var stack: [String] = []
        for segment in bytes.split(whereSeparator: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }) {
            var name = String(decoding: segment, as: Unicode.ASCII.self)
            if cutsParameters { name = String(name.prefix { $0 != ";" }) }
            if trims { while name.count > 2, name.hasSuffix(" ") || name.hasSuffix(".") { name.removeLast() } }
            switch name {
            case "", ".": continue
            case "..": _ = stack.popLast()
            default: stack.append(name)
            }
        }
        return stack
    }

    @Test("No reading of an allowed path leaves the resource, and the forwarded bytes are those that came")
    func noEscape() throws {
        let system = SystemMapping(
            virtualHost: "backend.test",
            virtualPort: 80,
            internalHost: "localhost",
            internalPort: 80,
            resources: [
                Resource(path: "/ok", access: .pathAndSubPaths, isSegmentMatch: true),
                Resource(path: "/exact", access: .pathOnly),
            ]
        )
        let policy = AccessPolicy(systems: [system])
        var generator = SeededGenerator(seed: 20_261_121)
        var allowed = 0
        for _ in 0..<100_000 {
            var text = Bool.random(using: &generator) ? "/ok" : "/"
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                text += Self.pieces.randomElement(using: &generator)!
            }
            let bytes = Array(text.utf8)
            guard let target = try? RequestTarget(bytes.span) else { continue }
            #expect(target.bytes == bytes || text.hasPrefix("http://"))
            guard case .allow(let permit) = policy.evaluate(system: system, target: target) else { continue }
            allowed += 1
            #expect(permit.target.bytes == bytes, "\(text)")
            for reading in Self.readings(of: Array(permit.target.path)) {
                let first = reading.first?.split(separator: ";").first.map(String.init) ?? ""
                #expect(
                    first == "ok" || first == "exact" || first.hasPrefix("ok%"),
                    "\(text) may be read as \(reading)"
                )
            }
        }
        #expect(allowed > 1000)
    }
}
