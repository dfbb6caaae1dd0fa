internal import CYaml

/// A YAML node with the place where it stands.
///
/// Read with libyaml's event interface: a file with a hundred thousand mappings loads in under a second, duplicate
/// keys and their places stay visible, and aliases, which could make a small file huge, are refused unless they are bounded.
package struct YAMLNode: Sendable {
    package indirect enum Content: Sendable {
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        case mapping([(key: YAMLNode, value: YAMLNode)])
    }

    package var content: Content
    // A file may have a million nodes, and is not larger than `YAMLReader.sizeLimit`.
    private var position: (line: Int32, column: Int32)
    private var extent: (start: Int32, end: Int32)

    /// From 1.
    package var line: Int { Int(position.line) }
    /// From 1, in characters.
    package var column: Int { Int(position.column) }
    /// Where its text stands, counted in Unicode scalars from 0. Of a collection in block style the end is where the next thing
    /// begins, comments and blank lines in between included.
    package var span: Range<Int> { Int(extent.start)..<Int(extent.end) }

    package init(content: Content, line: Int, column: Int, span: Range<Int> = 0..<0) {
        self.content = content
        position = (Int32(truncatingIfNeeded: line), Int32(truncatingIfNeeded: column))
        extent = (Int32(truncatingIfNeeded: span.lowerBound), Int32(truncatingIfNeeded: span.upperBound))
    }

    /// The content, in words for messages.
    package var kind: String {
        switch content {
        case .scalar(let text, _): text.isEmpty ? "nothing" : "\"\(text)\""
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// An absent value, as in `key:`.
    package var isEmpty: Bool {
        if case .scalar(let text, let isPlain) = content { return isPlain && (text.isEmpty || text == "~") }
        return false
    }
}

/// Why a text is not a document, and where; line and column from 1.
package struct YAMLError: Error, Equatable {
    package var message: String
    package var line: Int
    package var column: Int
}

/// Reads one YAML document.
@safe package struct YAMLReader: ~Copyable {
    /// Of configurations, which are flat.
    package static let depthLimit = 16
    package static let sizeLimit = 128 << 20

    private var parser: UnsafeMutablePointer<yaml_parser_t>
    private var event = unsafe yaml_event_t()
    private let limit: Int
    /// Nodes that there may be where aliases stand for them; nil where aliases are refused.
    private let nodeLimit: Int?
    private var anchors: [String: Anchor] = [:]
    /// So far, aliases counted as what they stand for.
    private var nodeCount = 0
    /// Of all nodes since it was last set.
    private var deepest = 0

    private struct Anchor {
        var node: YAMLNode
        var count: Int
        var height: Int
    }

    /// The document that a text holds; nil for one without any content.
    ///
    /// - Parameter nodeLimit: nodes that there may be with aliases; nil where aliases are refused.
    package static func read(
        _ text: [UInt8],
        depthLimit: Int = depthLimit,
        nodeLimit: Int? = nil
    ) throws(YAMLError) -> YAMLNode? {
        guard text.count <= sizeLimit else {
            throw YAMLError(message: "the file is larger than \(sizeLimit >> 20) MiB", line: 1, column: 1)
        }
        var result: Result<YAMLNode?, YAMLError> = .success(nil)
        unsafe text.withUnsafeBufferPointer { bytes in
            var reader = unsafe YAMLReader(bytes, depthLimit, nodeLimit)
            result = Result { () throws(YAMLError) in try reader.document() }
        }
        return try result.get()
    }

    private init(_ bytes: UnsafeBufferPointer<UInt8>, _ depthLimit: Int, _ nodeLimit: Int?) {
        limit = depthLimit
        self.nodeLimit = nodeLimit
        unsafe parser = .allocate(capacity: 1)
        unsafe yaml_parser_initialize(parser)
        unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        unsafe yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
    }

    deinit {
        unsafe yaml_parser_delete(parser)
        unsafe parser.deallocate()
    }

    private mutating func next() throws(YAMLError) -> yaml_event_type_t {
        unsafe yaml_event_delete(&event)
        guard unsafe yaml_parser_parse(parser, &event) == 1 else {
            let mark = unsafe parser.pointee.problem_mark
            let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "not YAML"
            // Bytes that are no UTF-8 have an offset instead of a mark.
            throw YAMLError(message: Self.explained(problem), line: Int(mark.line) + 1, column: Int(mark.column) + 1)
        }
        return unsafe event.type
    }

    /// With what most often stands behind a parser's words.
    private static func explained(_ problem: String) -> String {
        switch problem {
        case "found character that cannot start any token":
            "\(problem): is it a tab? YAML is indented with spaces"
        case "did not find expected '-' indicator", "did not find expected key",
            "mapping values are not allowed in this context":
            "\(problem): is the line indented as its neighbours are?"
        default: problem
        }
    }

    private mutating func document() throws(YAMLError) -> YAMLNode? {
        while true {
            switch try next() {
            case YAML_STREAM_START_EVENT, YAML_DOCUMENT_START_EVENT: continue
            case YAML_STREAM_END_EVENT, YAML_DOCUMENT_END_EVENT: return nil
            default:
                let root = try node(depth: 0)
                guard try next() == YAML_DOCUMENT_END_EVENT, try next() == YAML_STREAM_END_EVENT else {
                    throw error("a second document; one file holds one")
                }
                unsafe yaml_event_delete(&event)
                return root
            }
        }
    }

    /// The node that the current event begins, or that it stands for.
    private mutating func node(depth: Int) throws(YAMLError) -> YAMLNode {
        guard nodeLimit != nil else { return try plainNode(depth: depth) }
        if let name = alias {
            guard let anchor = anchors[name] else { throw error("*\(name) stands before &\(name), or within it") }
            guard depth + anchor.height < limit else { throw error("nested too deeply") }
            deepest = max(deepest, depth + anchor.height)
            try count(anchor.count)
            return anchor.node
        }
        try count(1)
        guard let name = anchorName else { return try plainNode(depth: depth) }
        // Within itself it stands for nothing.
        anchors[name] = nil
        let (outer, start) = (deepest, nodeCount)
        deepest = depth
        let node = try plainNode(depth: depth)
        anchors[name] = Anchor(node: node, count: nodeCount - start + 1, height: deepest - depth)
        deepest = max(outer, deepest)
        return node
    }

    private mutating func count(_ nodes: Int) throws(YAMLError) {
        nodeCount += nodes
        if let nodeLimit, nodeCount > nodeLimit {
            throw error("more than \(nodeLimit) nodes, with what aliases stand for")
        }
    }

    private var alias: String? {
        guard unsafe event.type == YAML_ALIAS_EVENT else { return nil }
        return unsafe event.data.alias.anchor.map { unsafe String(cString: $0) }
    }

    private var anchorName: String? {
        let name: UnsafeMutablePointer<UInt8>?
        switch unsafe event.type {
        case YAML_SCALAR_EVENT: unsafe name = unsafe event.data.scalar.anchor
        case YAML_SEQUENCE_START_EVENT: unsafe name = unsafe event.data.sequence_start.anchor
        case YAML_MAPPING_START_EVENT: unsafe name = unsafe event.data.mapping_start.anchor
        default: return nil
        }
        return unsafe name.map { unsafe String(cString: $0) }
    }

    private mutating func plainNode(depth: Int) throws(YAMLError) -> YAMLNode {
        guard depth < limit else { throw error("nested too deeply") }
        deepest = max(deepest, depth)
        let line = unsafe Int(event.start_mark.line) + 1
        let column = unsafe Int(event.start_mark.column) + 1
        let start = unsafe Int(event.start_mark.index)
        switch unsafe event.type {
        case YAML_SCALAR_EVENT:
            let scalar = unsafe event.data.scalar
            let text = unsafe String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length),
                as: UTF8.self
            )
            let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
            let span = unsafe start..<Int(event.end_mark.index)
            return YAMLNode(content: .scalar(text, isPlain: isPlain), line: line, column: column, span: span)
        case YAML_SEQUENCE_START_EVENT:
            var items: [YAMLNode] = []
            while try next() != YAML_SEQUENCE_END_EVENT { items.append(try node(depth: depth + 1)) }
            let span = unsafe start..<Int(event.end_mark.index)
            return YAMLNode(content: .sequence(items), line: line, column: column, span: span)
        case YAML_MAPPING_START_EVENT:
            var pairs: [(key: YAMLNode, value: YAMLNode)] = []
            while try next() != YAML_MAPPING_END_EVENT {
                let key = try node(depth: depth + 1)
                _ = try next()
                pairs.append((key, try node(depth: depth + 1)))
            }
            let span = unsafe start..<Int(event.end_mark.index)
            return YAMLNode(content: .mapping(pairs), line: line, column: column, span: span)
        case YAML_ALIAS_EVENT: throw error("aliases are not supported here")
        default: throw error("not expected here")
        }
    }

    private func error(_ message: String) -> YAMLError {
        unsafe YAMLError(
            message: message,
            line: Int(event.start_mark.line) + 1,
            column: Int(event.start_mark.column) + 1
        )
    }
}
