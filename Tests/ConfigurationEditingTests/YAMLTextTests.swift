import Testing
import YAMLDocument

@testable import ConfigurationEditing

/// Single changes: the text before, the change, the text after.
struct YAMLTextTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var before: String
        var change: YAMLChange
        var after: String
        var testDescription: String { name }

        init(_ name: String, _ before: String, _ change: YAMLChange, _ after: String) {
            (self.name, self.before, self.change, self.after) = (name, before, change, after)
        }
    }

    private static let resource = YAMLValue.mapping([.init("path", .text("/x")), .init("access", .text("path-only"))])

    static let cases: [Case] = [
        Case(
            "a value between comments",
            "# a\nname: old   # why\nother: 1\n",
            .set([.key("name")], .text("new")),
            "# a\nname: new   # why\nother: 1\n"
        ),
        Case(
            "quotes that are there stay",
            "a: 'it''s'\nb: \"x\"\n",
            .set([.key("a")], .text("that's")),
            "a: 'that''s'\nb: \"x\"\n"
        ),
        Case(
            "double quotes as well",
            "b: \"x\"  # c\n",
            .set([.key("b")], .text("say \"yes\"")),
            "b: \"say \\\"yes\\\"\"  # c\n"
        ),
        Case("quotes where they are needed", "a: x\n", .set([.key("a")], .text("true")), "a: \"true\"\n"),
        Case("a word has none", "a: x\n", .set([.key("a")], .word("true")), "a: true\n"),
        Case("an anchor and a tag stay", "a: &n !!str x\n", .set([.key("a")], .text("v")), "a: &n !!str v\n"),
        Case(
            "a value where there was none",
            "a:   # here\nb: 1\n",
            .set([.key("a")], .text("v")),
            "a: v   # here\nb: 1\n"
        ),
        Case("a key at the end", "a: 1\n\n# last\n", .set([.key("b")], .text("v")), "a: 1\nb: v\n\n# last\n"),
        Case("a key in a file without a last line end", "a: 1", .set([.key("b")], .text("v")), "a: 1\nb: v\n"),
        Case(
            "a key in a mapping that is not there",
            "a: 1\n",
            .set([.key("t"), .key("p")], .text("v")),
            "a: 1\nt:\n  p: v\n"
        ),
        Case("a key in an empty file", "# nothing yet\n", .set([.key("a")], .text("v")), "# nothing yet\na: v\n"),
        Case("line ends of Windows", "a: 1\r\nb: 2\r\n", .set([.key("c")], .text("v")), "a: 1\r\nb: 2\r\nc: v\r\n"),
        Case(
            "in braces",
            "t: {a: 1, b: 2}\n",
            .set([.key("t"), .key("c")], .text("h:1")),
            "t: {a: 1, b: 2, c: \"h:1\"}\n"
        ),
        Case("in empty braces", "t: {}\n", .set([.key("t"), .key("c")], .text("v")), "t: {c: v}\n"),
        Case(
            "characters of more than one byte in front",
            "ü: ä\nb: 1 # é\n",
            .set([.key("b")], .text("ö")),
            "ü: ä\nb: ö # é\n"
        ),
        Case(
            "a key goes with its value and what is noted below it",
            "a: 1\nt:\n  p: 1\n  # of t\n# of b\nb: 2\n",
            .remove([.key("t")]),
            "a: 1\n# of b\nb: 2\n"
        ),
        Case(
            "the first key of an item",
            "l:\n  - a: 1\n    b: 2\n",
            .remove([.key("l"), .item(0), .key("a")]),
            "l:\n  - b: 2\n"
        ),
        Case("a key in braces", "t: {a: 1, b: 2, c: 3}\n", .remove([.key("t"), .key("b")]), "t: {a: 1, c: 3}\n"),
        Case("the last key in braces", "t: {a: 1, b: 2}\n", .remove([.key("t"), .key("b")]), "t: {a: 1}\n"),
        Case(
            "an item is added in the list's own style",
            "s:\n- path: /a   # x\n  access: path-only\n  # of a\n\nb: 1\n",
            .append([.key("s")], resource),
            "s:\n- path: /a   # x\n  access: path-only\n  # of a\n- path: /x\n  access: path-only\n\nb: 1\n"
        ),
        Case(
            "in brackets",
            "s: [{path: /a, access: path-only}]\n",
            .append([.key("s")], resource),
            "s: [{path: /a, access: path-only}, {path: /x, access: path-only}]\n"
        ),
        Case(
            "into a list that is not there",
            "a: 1\n",
            .append([.key("s")], resource),
            "a: 1\ns:\n  - path: /x\n    access: path-only\n"
        ),
        Case(
            "into an empty list",
            "s: []   # none\nb: 1\n",
            .append([.key("s")], resource),
            "s:   # none\n  - path: /x\n    access: path-only\nb: 1\n"
        ),
        Case(
            "below a key without a value",
            "s:   # none\nb: 1\n",
            .append([.key("s")], resource),
            "s:   # none\n  - path: /x\n    access: path-only\nb: 1\n"
        ),
        Case(
            "an item goes with what is noted below it",
            "s:\n  # first\n  - a: 1\n    # of a\n  # second\n  - b: 2\n",
            .remove([.key("s"), .item(0)]),
            "s:\n  # first\n  # second\n  - b: 2\n"
        ),
        Case(
            "comments between items in brackets stay with both",
            "s: [\n  {a: 1},   # of a\n  # of b\n  {b: 2}\n]\n",
            .remove([.key("s"), .item(1)]),
            "s: [\n  {a: 1}   # of a\n  # of b\n  \n]\n"
        ),
        Case(
            "comments behind the first item in brackets stay",
            "s: [\n  {a: 1},   # of a\n  # of b\n  {b: 2}\n]\n",
            .remove([.key("s"), .item(0)]),
            "s: [\n     # of a\n  # of b\n  {b: 2}\n]\n"
        ),
        Case(
            "a comment in empty brackets stays",
            "s: [\n  # none so far\n]\n",
            .append([.key("s")], .text("x")),
            "s: [\n  # none so far\nx]\n"
        ),
        Case(
            "a comment behind the last item in brackets stays",
            "s: [\n  a,\n  b  # of b\n]\n",
            .append([.key("s")], .text("x")),
            "s: [\n  a,\n  b  # of b\n, x]\n"
        ),
        Case("a comma at the end is not doubled", "s: [a, b, ]\n", .append([.key("s")], .text("x")), "s: [a, b, x ]\n"),
        Case(
            "a key comes behind what is noted below the last one",
            "s:\n  - a: 1\n    r:\n      - p: 1\n        # of p\nb: 1\n",
            .set([.key("s"), .item(0), .key("c")], .text("v")),
            "s:\n  - a: 1\n    r:\n      - p: 1\n        # of p\n    c: v\nb: 1\n"
        ),
        Case(
            "a comment beside the dash",
            "s:\n  -   # production\n    a: 1\n  -\n    # spare\n\n    b: 2\n",
            .remove([.key("s"), .item(1)]),
            "s:\n  -   # production\n    a: 1\n"
        ),
        Case(
            "an item behind one with a comment beside its dash",
            "s:\n  -   # production\n    a: 1\n",
            .append([.key("s")], .text("x")),
            "s:\n  -   # production\n    a: 1\n  - x\n"
        ),
        Case(
            "a word for nothing",
            "s: ~  # none\nb: 1\n",
            .append([.key("s")], .text("x")),
            "s:  # none\n  - x\nb: 1\n"
        ),
        Case("the only item", "s:\n  - a: 1\nb: 2\n", .remove([.key("s"), .item(0)]), "s:\nb: 2\n"),
        Case("an item in brackets", "s: [1, 2, 3]\n", .remove([.key("s"), .item(2)]), "s: [1, 2]\n"),
        Case(
            "a text in several lines",
            "a: |\n  one\n  two\n\nb: 1\n",
            .set([.key("a")], .text("x")),
            "a: x\n\nb: 1\n"
        ),
        Case(
            "a mapping in place of a text",
            "p: h:1\nb: 1\n",
            .set([.key("p")], .mapping([.init("address", .text("h:1"))])),
            "p:\n  address: h:1\nb: 1\n"
        ),
        Case(
            "a text in place of a mapping",
            "p:\n  a: 1\n  b: 2\nc: 1\n",
            .set([.key("p")], .text("h:1")),
            "p: h:1\nc: 1\n"
        ),
    ]

    @Test("A change touches what it must and nothing else", arguments: cases)
    func changes(_ example: Case) throws {
        var text = try YAMLText(Array(example.before.utf8))
        try text.apply(example.change)
        #expect(String(decoding: text.bytes, as: UTF8.self) == example.after)
    }

    @Test("A mark of byte order stays in front")
    func mark() throws {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        var text = try YAMLText(mark + Array("ü: 1\nb: 2\n".utf8))
        try text.apply(.set([.key("b")], .text("v")))
        #expect(text.bytes == mark + Array("ü: 1\nb: v\n".utf8))
    }

    @Test("What is not there cannot be changed, and what cannot be written is said so")
    func refusals() throws {
        var text = try YAMLText(Array("a: 1\nl: [x]\n".utf8))
        #expect(throws: YAMLEditError.noSuchPlace) { try text.apply(.remove([.key("b")])) }
        #expect(throws: YAMLEditError.noSuchPlace) { try text.apply(.set([.key("l"), .item(4), .key("x")], .nothing)) }
        #expect(throws: YAMLEditError.noSuchPlace) { try text.apply(.append([.key("a")], .text("x"))) }
        // The item is all there is in its line's mapping: nothing would be left behind the dash.
        var single = try YAMLText(Array("l:\n  - a: 1\n".utf8))
        #expect(throws: YAMLEditError.cannotBeWritten(line: 2)) {
            try single.apply(.remove([.key("l"), .item(0), .key("a")]))
        }
        #expect(throws: (any Error).self) { _ = try YAMLText(Array("a: [".utf8)) }
    }

    @Test(
        "Any text comes back as it was written",
        arguments: [
            "", " x", "x ", "- x", "a: b", "a #b", "a:", "#", "yes", "NULL", "1.0", "0x1F", "10.1.2.3:80", "5s", "*",
            "&a", "!x", "%", "@x",
            "'", "\"", "\\", "a\nb", "tab\t", "\u{85}", "\u{7F}", "ü€😀", "[x", "{", "x,y", "internalhost:3333",
            "/a/b?c=d#e", "\u{2028}", "...", "---", "? x", "=",
        ]
    )
    func texts(_ value: String) throws {
        for before in ["a: x\nb: 1\n", "a: 'x'\nb: 1\n", "a: \"x\"\nb: 1\n", "b: 1\n"] {
            var text = try YAMLText(Array(before.utf8))
            try text.apply(.set([.key("a")], .text(value)))
            #expect(text.value["a"] == .text(value) && text.value["b"] == .text("1"))
            var flow = try YAMLText(Array("t: {z: 1}\n".utf8))
            try flow.apply(.set([.key("t"), .key("a")], .text(value)))
            #expect(flow.value["t"]?["a"] == .text(value))
        }
    }
}
