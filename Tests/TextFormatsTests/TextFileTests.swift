import Testing

@testable import TextFormats

/// Files as editors on Windows and elsewhere save them.
struct TextFileTests {
    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

    @Test("A byte order mark in front is not part of the text")
    func mark() throws {
        #expect(try TextFile.withoutMark(Self.mark + Array("a: b".utf8)) == Array("a: b".utf8))
        #expect(try TextFile.text(Self.mark) == "" && TextFile.text([]) == "")
        #expect(try TextFile.text(Array("a: ü".utf8)) == "a: ü")
    }

    @Test(
        "UTF-16 is named, with or without its mark",
        arguments: [
            [0xFF, 0xFE, 0x61, 0], [0xFE, 0xFF, 0, 0x61], [0x61, 0, 0x3A, 0], [0, 0x61, 0, 0x3A], [0xFF, 0xFE],
        ] as [[UInt8]]
    )
    func wide(_ bytes: [UInt8]) {
        let error = #expect(throws: TextFileError.self) { try TextFile.withoutMark(bytes) }
        #expect(error?.line == 1 && error?.message.contains("is UTF-16: save it as UTF-8") == true)
    }

    @Test(
        "A byte that is not UTF-8 has its line and column, and what it is in Latin-1",
        arguments: [
            ([0xFC], 1, 1, "\"ü\" in Latin-1"), (Array("a\nbc".utf8) + [0xE4, 0x20], 2, 3, "\"ä\" in Latin-1"),
            (Array("a\r\nü".utf8) + [0x80], 2, 3, "the byte 0x80 stands here"),
            ([0x61, 0, 0x62], 1, 2, "has a NUL byte"),
            ([0xC0, 0xAF], 1, 1, "0xC0"), ([0xED, 0xA0, 0x80], 1, 1, "0xED"), ([0xF4, 0x90, 0x80, 0x80], 1, 1, "0xF4"),
            ([0xE2, 0x82], 1, 1, "0xE2"),
        ] as [([UInt8], Int, Int, String)]
    )
    func fault(_ bytes: [UInt8], _ line: Int, _ column: Int, _ text: String) throws {
        let fault = try #require(TextFile.fault(bytes))
        #expect(fault.line == line && fault.column == column && fault.message.contains(text), "\(fault)")
        #expect(fault.message.contains("save it as UTF-8"))
    }

    @Test(
        "Every character of UTF-8 passes",
        arguments: ["\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFD}", "\u{10000}", "\u{10FFFF}"]
    )
    func characters(_ text: String) { #expect(TextFile.fault(Array(text.utf8)) == nil) }

    @Test(
        "A secret has no line end and no mark",
        arguments: ["secret", "secret\n", "secret\r\n", "secret\r\n\r\n", "secret\r", "\u{FEFF}secret\r\n"]
    )
    func secret(_ text: String) throws { #expect(try TextFile.secret(Array(text.utf8)) == "secret") }

    @Test("Blanks and inner line ends are part of a secret")
    func blanks() throws {
        #expect(
            try TextFile.secret(Array(" a b \n".utf8)) == " a b " && TextFile.secret(Array("a\nb\n".utf8)) == "a\nb"
        )
        #expect(throws: TextFileError.self) { try TextFile.secret([0x67, 0xE4]) }
    }
}
