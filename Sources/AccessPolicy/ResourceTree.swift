/// The resources of one system as a radix tree over path bytes: a look-up reads the path once, however many
/// resources there are.
struct ResourceTree: Sendable {
    private struct Node {
        var label: Range<Int32>
        var children: Range<Int32> = 0..<0
        // Indices into `resources`, -1 where there is none. One node can hold one resource of each kind.
        var pathOnly: Int32 = -1
        var prefix: Int32 = -1
        var segment: Int32 = -1
        var suspended: Int32 = -1
    }

    /// What a walk along a path found. Indices are those of the array the tree was made from.
    struct Match {
        /// The longest active resource that admits the path.
        var admitting: Int?
        /// Any admitting resource allows upgrades.
        var isUpgradeAllowed = false
        /// The longest suspended resource that would admit the path.
        var suspended: Int?
    }

    private var nodes: [Node] = []
    private var bytes: [UInt8] = []
    private let resources: [Resource]

    init(_ resources: [Resource]) {
        self.resources = resources
        let entries = resources.enumerated().map { (path: Array($1.path.utf8), index: $0) }
            .sorted { $0.path.lexicographicallyPrecedes($1.path) }
        nodes.append(Node(label: 0..<0))
        build(entries[...], depth: 0, into: 0)
    }

    /// Fills node `at`, whose path is the first `depth` bytes that all `entries` share.
    private mutating func build(_ entries: ArraySlice<(path: [UInt8], index: Int)>, depth: Int, into at: Int) {
        var rest = entries
        while let first = rest.first, first.path.count == depth {
            set(first.index, on: at)
            rest = rest.dropFirst()
        }
        var groups: [ArraySlice<(path: [UInt8], index: Int)>] = []
        while let first = rest.first {
            let group = rest.prefix { $0.path[depth] == first.path[depth] }
            groups.append(group)
            rest = rest[group.endIndex...]
        }
        let firstChild = nodes.count
        for group in groups {
            let first = group.first!.path
            let last = group.last!.path
            var end = depth
            while end < first.count, end < last.count, first[end] == last[end] { end += 1 }
            let start = Int32(bytes.count)
            bytes.append(contentsOf: first[depth..<end])
            nodes.append(Node(label: start..<Int32(bytes.count)))
        }
        nodes[at].children = Int32(firstChild)..<Int32(nodes.count)
        for (offset, group) in groups.enumerated() {
            build(group, depth: depth + nodes[firstChild + offset].label.count, into: firstChild + offset)
        }
    }

    private mutating func set(_ index: Int, on node: Int) {
        let resource = resources[index]
        if !resource.isActive {
            nodes[node].suspended = Int32(index)
        } else if resource.access == .pathOnly {
            nodes[node].pathOnly = Int32(index)
        } else if resource.isSegmentMatch {
            nodes[node].segment = Int32(index)
        } else {
            nodes[node].prefix = Int32(index)
        }
    }

    func match(_ path: Span<UInt8>) -> Match {
        var match = Match()
        var node = nodes[0]
        var depth = 0
        var previous: UInt8 = 0
        while true {
            visit(node, at: depth, endsWith: previous, path, &match)
            guard depth < path.count, let next = child(of: node, path[depth]) else { return match }
            guard path.count - depth >= next.label.count else { return match }
            let isPrefix = unsafe bytes.withUnsafeBufferPointer { bytes in
                unsafe path.withUnsafeBufferPointer { path in
                    for offset in 0..<next.label.count
                    where unsafe bytes[Int(next.label.lowerBound) + offset] != path[depth + offset] {
                        return false
                    }
                    return true
                }
            }
            guard isPrefix else { return match }
            depth += next.label.count
            previous = path[depth - 1]
            node = next
        }
    }

    private func child(of node: Node, _ byte: UInt8) -> Node? {
        // At most 256 children, sorted: bounded by the alphabet, not by the number of resources.
        var low = Int(node.children.lowerBound)
        var high = Int(node.children.upperBound)
        while low < high {
            let middle = (low + high) / 2
            let first = bytes[Int(nodes[middle].label.lowerBound)]
            if first == byte { return nodes[middle] }
            if first < byte { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    private func visit(_ node: Node, at depth: Int, endsWith last: UInt8, _ path: Span<UInt8>, _ match: inout Match) {
        let isWhole = depth == path.count
        if isWhole, node.pathOnly >= 0 { admit(node.pathOnly, &match) }
        if node.prefix >= 0 { admit(node.prefix, &match) }
        let isBorder = isWhole || last == UInt8(ascii: "/") || path[depth] == UInt8(ascii: "/")
        if node.segment >= 0, isBorder { admit(node.segment, &match) }
        if node.suspended >= 0 {
            let resource = resources[Int(node.suspended)]
            if resource.access == .pathOnly ? isWhole : (!resource.isSegmentMatch || isBorder) {
                match.suspended = Int(node.suspended)
            }
        }
    }

    private func admit(_ index: Int32, _ match: inout Match) {
        match.admitting = Int(index)
        if resources[Int(index)].isUpgradeAllowed { match.isUpgradeAllowed = true }
    }
}
