internal import CExpat

/// An element of an XML document, with what is in it. Attributes, comments and namespaces are left out.
package struct XMLElement: Sendable, Equatable {
    package var name: String
    /// Its own characters, without blanks at both ends.
    package var text = ""
    package var children: [XMLElement] = []

    package init(name: String) { self.name = name }

    /// The first child of a name.
    package subscript(_ name: String) -> XMLElement? { children.first { $0.name == name } }

    /// All elements of a name, however deep.
    package func all(_ name: String) -> [XMLElement] {
        children.flatMap { $0.name == name ? [$0] : $0.all(name) }
    }
}

/// Why bytes are no XML document that is read here.
package struct XMLFault: Error, Equatable, CustomStringConvertible {
    package var description: String
}

extension XMLElement {
    /// Elements in one another.
    package static let maxDepth = 64
    /// Elements of a document.
    package static let maxCount = 500_000

    /// Reads a whole document with Expat. One that declares entities or a document type is refused: what it says could be
    /// more than it is.
    package init(reading bytes: [UInt8]) throws(XMLFault) {
        guard let parser = unsafe XML_ParserCreate(nil) else { throw XMLFault(description: "no memory") }
        defer { unsafe XML_ParserFree(parser) }
        let builder = unsafe XMLBuilder(parser)
        unsafe XML_SetUserData(parser, Unmanaged.passUnretained(builder).toOpaque())
        unsafe XML_SetElementHandler(
            parser,
            { own, name, _ in unsafe XMLBuilder.of(own).start(String(cString: name!)) },
            { own, _ in unsafe XMLBuilder.of(own).end() }
        )
        unsafe XML_SetCharacterDataHandler(parser) { own, text, count in
            unsafe XMLBuilder.of(own).append(UnsafeBufferPointer(start: text, count: Int(count)))
        }
        unsafe XML_SetStartDoctypeDeclHandler(parser) { own, _, _, _, _ in
            unsafe XMLBuilder.of(own).refuse("it declares a document type")
        }
        let status = unsafe bytes.withUnsafeBytes { bytes in
            unsafe XML_Parse(parser, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count), 1)
        }
        if let fault = builder.fault { throw XMLFault(description: fault) }
        guard status == XML_STATUS_OK, let root = builder.root else {
            let line = unsafe XML_GetCurrentLineNumber(parser)
            let cause = unsafe XML_ErrorString(XML_GetErrorCode(parser)).map { unsafe String(cString: $0) } ?? "not XML"
            throw XMLFault(description: "line \(line): \(cause)")
        }
        self = root
    }
}

/// Puts elements together as Expat comes to them.
@safe private final class XMLBuilder {
    private let parser: XML_Parser
    private var open: [XMLElement] = []
    private var characters: [[UInt8]] = []
    private var count = 0
    private(set) var root: XMLElement?
    private(set) var fault: String?

    init(_ parser: XML_Parser) { unsafe self.parser = unsafe parser }

    static func of(_ own: UnsafeMutableRawPointer?) -> XMLBuilder {
        unsafe Unmanaged<XMLBuilder>.fromOpaque(own!).takeUnretainedValue()
    }

    func refuse(_ cause: String) {
        fault = fault ?? cause
        unsafe _ = XML_StopParser(parser, XML_Bool(XML_FALSE))
    }

    func start(_ name: String) {
        count += 1
        guard open.count < XMLElement.maxDepth else {
            return refuse("more than \(XMLElement.maxDepth) elements in one another")
        }
        guard count <= XMLElement.maxCount else { return refuse("more than \(XMLElement.maxCount) elements") }
        open.append(XMLElement(name: name))
        characters.append([])
    }

    func append(_ text: UnsafeBufferPointer<CChar>) {
        guard !characters.isEmpty else { return }
        unsafe characters[characters.count - 1].append(contentsOf: text.lazy.map { UInt8(bitPattern: $0) })
    }

    func end() {
        guard fault == nil, var element = open.popLast(), let bytes = characters.popLast() else { return }
        let isBlank: (UInt8) -> Bool = { $0 <= 0x20 }
        let text = bytes.drop(while: isBlank)
        element.text = String(
            decoding: text.prefix(text.count - text.reversed().prefix(while: isBlank).count),
            as: UTF8.self
        )
        if open.isEmpty {
            root = element
        } else {
            open[open.count - 1].children.append(element)
        }
    }
}
