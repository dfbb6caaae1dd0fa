package import Foundation

/// The cases in `Tests/Vectors`, or in the folder that the environment names in CONNECTOR_VECTORS.
package enum Vectors {
    package static func load<Document: Decodable>(_ name: String, as type: Document.Type) -> Document {
        let folder = ProcessInfo.processInfo.environment["CONNECTOR_VECTORS"].map { URL(filePath: $0) }
        let file = (folder ?? Repository.root.appending(path: "Tests/Vectors")).appending(path: name)
        do {
            return try JSONDecoder().decode(type, from: Data(contentsOf: file))
        } catch {
            preconditionFailure("cannot read \(file.path): \(error)")
        }
    }

    /// One byte per character.
    package static func bytes(_ text: String) -> [UInt8] {
        text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    }
}

package enum Repository {
    package static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The program with everything.
    package static var connectord: URL { program("connectord") }

    /// A program that was built together with these tests.
    package static func program(_ name: String) -> URL {
        let own = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = own.deletingLastPathComponent().appending(path: name)
        if FileManager.default.isExecutableFile(atPath: beside.path) { return beside }
        let bundle = Bundle.allBundles.map { $0.bundleURL.deletingLastPathComponent().appending(path: name) }
        return bundle.first { FileManager.default.isExecutableFile(atPath: $0.path) } ?? beside
    }
}

/// A small generator with a seed, so that a failing random case can be run again.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        // SplitMix64
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
