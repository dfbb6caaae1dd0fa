import Testing
import TextFormats

/// What went and what came between two texts.
struct LineDifferenceTests {
    private func text(_ old: String, _ new: String) -> [String] {
        LineDifference.text(Array(old.utf8), Array(new.utf8))
    }

    @Test("Equal texts have none, whatever their line ends")
    func equal() {
        #expect(text("", "").isEmpty)
        #expect(text("a\nb\n", "a\r\nb\r\n").isEmpty)
    }

    @Test("A changed line stands between two lines before and after it")
    func changed() {
        #expect(text("1\n2\n3\n4\n5\n6\n", "1\n2\n3\nx\n5\n6\n") == ["@@ line 2", " 2", " 3", "-4", "+x", " 5", " 6"])
    }

    @Test("Places far from each other are set apart")
    func places() {
        let old = (1...20).map { "\($0)\n" }.joined()
        let new = "0\n" + (1...19).map { "\($0)\n" }.joined()
        #expect(text(old, new) == ["@@ line 1", "+0", " 1", " 2", "@@ line 19", " 18", " 19", "-20"])
    }

    @Test("All of it may have come or gone")
    func whole() {
        #expect(text("", "a\n") == ["@@ line 1", "+a"])
        #expect(text("a\nb\n", "") == ["@@ line 1", "-a", "-b"])
    }
}
