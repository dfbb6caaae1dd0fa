internal import HostSystem
package import JSON
internal import TextFormats

/// The names and values after a question mark, decoded.
package struct QueryItems: Sendable {
    private var items: [String: String] = [:]

    /// - Throws: for bad escapes and for a name that comes twice.
    package init(_ query: String) throws(DestinationError) {
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentText.decode(parts[0], plusIsSpace: true),
                let value = PercentText.decode(parts.count > 1 ? parts[1] : pair.prefix(0), plusIsSpace: true)
            else { throw DestinationError("The query is not well encoded") }
            guard items.updateValue(value, forKey: name) == nil else {
                throw DestinationError("\(name) comes twice in the query")
            }
        }
    }

    package subscript(_ name: String) -> String? { items[name] }

    /// `true` or `false`; false where it is not there.
    package func flag(_ name: String) throws(DestinationError) -> Bool {
        switch items[name] {
        case nil, "false": return false
        case "true": return true
        case .some: throw DestinationError("\(name) must be true or false")
        }
    }

    /// A whole number within the range; nil where it is not there.
    package func number(_ name: String, in range: ClosedRange<Int>) throws(DestinationError) -> Int? {
        guard let text = items[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw DestinationError("\(name) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}

/// What a list should show: everything, a page, names only, or what a filter lets through. Only one of these.
package struct ListQuery: Sendable {
    /// Which part of a list is wanted.
    package struct Page: Sendable {
        package var number: Int
        package var size: Int
        package var countsPages: Bool
        package var countsEntities: Bool
    }

    package var filter: ListFilter?
    package var page: Page?
    package var selectsNames = false
    /// `etag`, `modification_time`.
    package var metadata: [String] = []

    package init(_ query: String) throws(DestinationError) {
        let items = try QueryItems(query)
        if let text = items["$filter"] { filter = try ListFilter(text) }
        if let text = items["$select"] {
            guard text == "Name" else { throw DestinationError("$select: only Name can be selected") }
            selectsNames = true
        }
        if let number = try items.number("$page", in: 1...1_000_000) {
            page = Page(
                number: number,
                size: try items.number("$pageSize", in: 1...1000) ?? 10,
                countsPages: try items.flag("$pageCount"),
                countsEntities: try items.flag("$entityCount")
            )
        } else if let name = ["$pageSize", "$pageCount", "$entityCount"].first(where: { items[$0] != nil }) {
            throw DestinationError("\(name) is allowed together with $page only")
        }
        if let text = items["$includeMetadata"] {
            metadata = text.split(separator: ";").map(String.init)
            guard metadata.allSatisfy({ ["modification_time", "etag"].contains($0) }) else {
                throw DestinationError("$includeMetadata: only modification_time and etag can be included")
            }
        }
        guard [filter != nil, page != nil, selectsNames].count(where: { $0 }) <= 1 else {
            throw DestinationError("Only one of $filter, $select and $page is allowed")
        }
        guard metadata.isEmpty || (page == nil && !selectsNames) else {
            throw DestinationError("$includeMetadata cannot be combined with $select or $page")
        }
    }

    /// A part of a list, and how much there is in all.
    package struct Result: Sendable {
        package var items: [JSONValue]
        package var headers: [(name: String, value: String)]
    }

    /// - Parameters:
    ///   - collection: the path of the list, for links to other pages.
    ///   - now: seconds since 1970.
    package func apply(_ entries: [StoredConfiguration], collection: String, now: Int) -> Result {
        if selectsNames {
            return Result(
                items: entries.map { .object([$0.configuration.kind.nameKey: .string($0.configuration.name)]) },
                headers: []
            )
        }
        if let page { return apply(page, entries, collection) }
        let shown = filter.map { filter in entries.filter { filter.matches($0, now: now) } } ?? entries
        return Result(items: shown.map(item), headers: [])
    }

    private func apply(_ page: Page, _ entries: [StoredConfiguration], _ collection: String) -> Result {
        let pages = (entries.count + page.size - 1) / page.size
        var headers: [(name: String, value: String)] = []
        if page.countsPages { headers.append(("Page-Count", String(pages))) }
        if page.countsEntities { headers.append(("Entity-Count", String(entries.count))) }
        var links: [String] = []
        func link(_ number: Int, _ relation: String) {
            links.append("</\(collection)?$page=\(number)&$pageSize=\(page.size)>; rel='\(relation)'")
        }
        if page.number > 1, page.number <= pages + 1 { link(page.number - 1, "previous") }
        if page.number < pages { link(page.number + 1, "next") }
        if !links.isEmpty { headers.append(("Link", links.joined(separator: ", "))) }
        let items = entries.dropFirst((page.number - 1) * page.size).prefix(page.size)
        return Result(items: items.map(item), headers: headers)
    }

    private func item(_ entry: StoredConfiguration) -> JSONValue {
        var members = entry.configuration.properties.mapValues { JSONValue.string($0) }
        if !metadata.isEmpty {
            var values: [String: JSONValue] = [:]
            if metadata.contains("etag") { values["etag"] = .string(entry.configuration.entityTag) }
            if metadata.contains("modification_time") {
                values["modification_time"] = .integer(WallClock.clamped(entry.modified) * 1000)
            }
            members["$metadata"] = .object(values)
        }
        return .object(members)
    }
}
