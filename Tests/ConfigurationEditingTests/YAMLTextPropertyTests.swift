import Testing
import YAMLDocument

@testable import ConfigurationEditing

/// Random changes of random files with comments: each says what was asked, and touches no other line.
struct YAMLTextPropertyTests {
    /// A file as people write them: comments everywhere, either style, odd indentation.
    private static func file(_ random: inout some RandomNumberGenerator) -> String {
        var text = Bool.random(using: &random) ? "# Made by hand.\n\n" : ""
        let keys = ["subaccount", "description", "tunnel", "systems", "times"].shuffled(using: &random)
        for key in keys {
            if Bool.random(using: &random) { text += "# about \(key)\n" }
            switch key {
            case "tunnel": text += "tunnel:\n  service: h:443   # where\n  # renew: true\n  http-proxy: \"\"\n"
            case "times": text += "times: {connect: 5s, idle: 300s}\n"
            case "systems": text += systems(&random)
            default: text += "\(key): \(["plain", "'single'", "\"double\""].randomElement(using: &random)!)  # \(key)\n"
            }
            if Bool.random(using: &random) { text += "\n" }
        }
        return text
    }

    private static func systems(_ random: inout some RandomNumberGenerator) -> String {
        let indent = ["", "  ", "    "].randomElement(using: &random)!
        var text = "systems:\n"
        for index in 0..<Int.random(in: 1...4, using: &random) {
            if Bool.random(using: &random) { text += "\(indent)# host \(index)\n" }
            text += "\(indent)- virtual-host: host\(index):80\n\(indent)  protocol: HTTP   # plain\n"
            switch Int.random(in: 0...2, using: &random) {
            case 0: text += "\(indent)  resources: [{path: /a, access: path-only}]\n"
            case 1:
                text += "\(indent)  resources:\n"
                for path in 0...Int.random(in: 0...2, using: &random) {
                    text += "\(indent)  - path: /p\(path)\n\(indent)    access: path-only\n"
                    if Bool.random(using: &random) { text += "\(indent)    # active: false\n" }
                }
            default: break
            }
            if Bool.random(using: &random) { text += "\n" }
        }
        return text
    }

    private static func change(_ value: YAMLValue, _ random: inout some RandomNumberGenerator) -> YAMLChange {
        let system = Int.random(in: 0..<max(1, value["systems"]?.items.count ?? 0), using: &random)
        let item = [YAMLStep.key("systems"), .item(system)]
        let words = ["x", "a: b", "/é", "true", "it's", "#", "10.0.0.1:80"]
        let word = YAMLValue.text(words.randomElement(using: &random)!)
        let resource = YAMLValue.mapping([.init("path", word), .init("access", .text("path-only"))])
        switch Int.random(in: 0...8, using: &random) {
        case 0: return .set([.key("description")], word)
        case 1: return .set([.key("tunnel"), .key("http-proxy")], word)
        case 2: return .set([.key("times"), .key("drain")], word)
        case 3: return .set(item + [.key("host-in-header")], word)
        case 4:
            return .append(
                [.key("systems")],
                .mapping([.init("virtual-host", word), .init("resources", .list([resource]))])
            )
        case 5: return .append(item + [.key("resources")], resource)
        case 6: return .remove(item)
        case 7: return .remove(item + [.key("resources"), .item(0)])
        default: return .set([.key("check"), .key("interval")], word)
        }
    }

    /// Whether `shorter` is `longer` without one run of lines.
    private static func isWithoutRun(_ shorter: [Substring], _ longer: [Substring]) -> Bool {
        guard shorter.count <= longer.count else { return false }
        let front = zip(shorter, longer).prefix { $0 == $1 }.count
        let back = zip(shorter.reversed(), longer.reversed()).prefix { $0 == $1 }.count
        return front + back >= shorter.count
    }

    /// A list in brackets over several lines, with comments wherever they may stand.
    private static func bracketed(_ random: inout some RandomNumberGenerator) -> String {
        var text = "a: 1\nsystems: [" + (Bool.random(using: &random) ? "   # head\n" : "\n")
        let count = Int.random(in: 0...4, using: &random)
        for index in 0..<count {
            if Bool.random(using: &random) { text += "  # above \(index)\n" }
            let isLast = index == count - 1 && Bool.random(using: &random)
            text += "  {virtual-host: \"h\(index):80\", protocol: TCP}" + (isLast ? "" : ",")
            text += Bool.random(using: &random) ? "  # beside \(index)\n" : "\n"
        }
        return text + (Bool.random(using: &random) ? "  # tail\n]" : "]") + "  # end\nb: 2\n"
    }

    @Test("Between brackets no comment is ever lost", arguments: 0..<300 as Range<UInt64>)
    func brackets(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var text = try YAMLText(Array(Self.bracketed(&random).utf8))
        func comments() -> [Substring] {
            String(decoding: text.bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
                line.firstIndex(of: "#").map { line[$0...] }
            }
        }
        for _ in 0..<6 {
            let count = text.value["systems"]?.items.count ?? 0
            let added = YAMLChange.append([.key("systems")], .mapping([.init("virtual-host", .text("new:1"))]))
            let change =
                count > 0 && Bool.random(using: &random)
                ? .remove([.key("systems"), .item(Int.random(in: 0..<count, using: &random))]) : added
            let before = comments()
            guard let wanted = text.value.changed(change) else { continue }
            try text.apply(change)
            #expect(
                text.value == wanted && comments() == before,
                "\(change)\n\(String(decoding: text.bytes, as: UTF8.self))"
            )
        }
    }

    @Test("A change says what was asked and leaves all other lines as they are", arguments: 0..<400 as Range<UInt64>)
    func random(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var text = try YAMLText(Array(Self.file(&random).utf8))
        for _ in 0..<12 {
            let change = Self.change(text.value, &random)
            guard let wanted = text.value.changed(change) else { continue }
            let before = String(decoding: text.bytes, as: UTF8.self)
            try text.apply(change)
            let after = String(decoding: text.bytes, as: UTF8.self)
            #expect(text.value == wanted)
            let old = before.split(separator: "\n", omittingEmptySubsequences: false)
            let new = after.split(separator: "\n", omittingEmptySubsequences: false)
            let front = zip(old, new).prefix { $0 == $1 }.count
            let back = min(
                zip(old.reversed(), new.reversed()).prefix { $0 == $1 }.count,
                min(old.count, new.count) - front
            )
            // One line says something else, or lines came or went in one place.
            let isOneLine = old.count - front - back <= 1 && new.count >= old.count
            #expect(isOneLine || Self.isWithoutRun(new, old), "\(change)\n\(before)\n---\n\(after)")
        }
    }
}

/// Steele, Lea and Flood's generator, for runs that can be repeated.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
