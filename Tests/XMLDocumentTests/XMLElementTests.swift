import Testing

@testable import XMLDocument

struct XMLElementTests {
    private static func read(_ text: String) throws(XMLFault) -> XMLElement {
        try XMLElement(reading: Array(text.utf8))
    }

    @Test("Elements come with their characters, whatever stands between them")
    func elements() throws {
        let root = try Self.read(
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <!-- c --><a x="1"> <b> &lt;ü&#x21;<![CDATA[<]]> </b><c/><d><b>2
            </b></d></a>
            """
        )
        #expect(root.name == "a" && root.text.isEmpty && root.children.map(\.name) == ["b", "c", "d"])
        #expect(root["b"]?.text == "<ü!<" && root["c"]?.text.isEmpty == true && root["e"] == nil)
        #expect(root.all("b").map(\.text) == ["<ü!<", "2"])
    }

    @Test(
        "What is no document is refused with its line",
        arguments: ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>\u{1}</a>", "<a>&undeclared;</a>", "<a b=1/>"]
    )
    func broken(_ text: String) {
        let fault = #expect(throws: XMLFault.self) { try Self.read(text) }
        #expect(fault?.description.hasPrefix("line ") == true, "\(String(describing: fault))")
    }

    @Test(
        "A document type is refused, and with it everything that grows or is fetched",
        arguments: [
            "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY b \"c\"><!ENTITY d \"&b;&b;\">]><a>&d;</a>",
            "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
        ]
    )
    func documentType(_ text: String) {
        #expect(throws: XMLFault(description: "it declares a document type")) { try Self.read(text) }
    }

    @Test("Elements in one another, and all of them, have a limit")
    func limits() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
        }
        _ = try Self.read(nested(XMLElement.maxDepth))
        #expect(throws: XMLFault.self) { try Self.read(nested(XMLElement.maxDepth + 1)) }
        let many = "<a>" + String(repeating: "<b/>", count: XMLElement.maxCount) + "</a>"
        #expect(throws: XMLFault.self) { try Self.read(many) }
    }
}
