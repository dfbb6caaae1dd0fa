import Foundation
import FuzzTargets
import Testing

/// The inputs that fuzzing has found worth keeping, and those that once ended the process.
struct FuzzReplayTests {
    private static let corpora = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fuzz/Corpora")

    @Test("Every input of the corpora is taken or refused, and nothing traps", arguments: FuzzTarget.allCases)
    func replay(_ target: FuzzTarget) throws {
        let file = Self.corpora.appending(path: "\(target.rawValue).corpus")
        let inputs = try Self.inputs(try Data(contentsOf: file))
        #expect(!inputs.isEmpty, "\(file.lastPathComponent) holds no inputs: run dev/fuzz.sh")
        for input in inputs { input.withUnsafeBytes { target.run($0) } }
        // Each cut short as well.
        for input in inputs.prefix(200) { input.dropLast(input.count / 3).withUnsafeBytes { target.run($0) } }
    }

    /// A corpus is one file: each input with its length in front, four bytes, the highest first.
    private static func inputs(_ data: Data) throws -> [[UInt8]] {
        var rest = Array(data)[...]
        var inputs: [[UInt8]] = []
        while rest.count >= 4 {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            try #require(length <= rest.count, "a corpus that is cut short")
            inputs.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return inputs
    }
}
