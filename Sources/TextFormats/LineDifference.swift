/// What is different between two texts, line by line.
package enum LineDifference {
    /// Lines shown around a change.
    private static let context = 2

    /// Each changed place with two lines around it: `-` in front of what went, `+` of what came, a space of what stays. Places
    /// are set apart by `@@ line N`, counted in the new text.
    package static func text(_ old: [UInt8], _ new: [UInt8]) -> [String] {
        let (old, new) = (lines(old), lines(new))
        let difference = new.difference(from: old)
        guard !difference.isEmpty else { return [] }
        var removed: Set<Int> = []
        var inserted: Set<Int> = []
        for change in difference {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var all: [(mark: String, text: String, line: Int)] = []
        var (before, after) = (0, 0)
        while before < old.count || after < new.count {
            if before < old.count, removed.contains(before) {
                all.append(("-", old[before], after + 1))
                before += 1
            } else if after < new.count, inserted.contains(after) {
                all.append(("+", new[after], after + 1))
                after += 1
            } else {
                all.append((" ", new[after], after + 1))
                (before, after) = (before + 1, after + 1)
            }
        }
        return shown(all)
    }

    private static func shown(_ all: [(mark: String, text: String, line: Int)]) -> [String] {
        var isShown = [Bool](repeating: false, count: all.count)
        for index in all.indices where all[index].mark != " " {
            for near in max(0, index - context)...min(all.count - 1, index + context) { isShown[near] = true }
        }
        var result: [String] = []
        for index in all.indices where isShown[index] {
            if index == 0 || !isShown[index - 1] { result.append("@@ line \(all[index].line)") }
            result.append(all[index].mark + all[index].text)
        }
        return result
    }

    private static func lines(_ bytes: [UInt8]) -> [String] {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0, as: UTF8.self) }
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}
