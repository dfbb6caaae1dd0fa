/// Files in a ZIP archive (APPNOTE.TXT of PKWARE), stored as they are: what is in a backup is small, or encrypted.
package struct ZipArchive: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var name: String
        package var content: [UInt8]

        package init(_ name: String, _ content: [UInt8]) { (self.name, self.content) = (name, content) }
    }

    package enum ZipError: Error, Equatable, CustomStringConvertible {
        case damaged(String)
        /// Of an entry that another program has packed.
        case compressed(String)

        package var description: String {
            switch self {
            case .damaged(let what): "this is not a ZIP archive, or it is damaged: \(what)"
            case .compressed(let name): "\(name) is compressed; only archives that a connector has made can be read"
            }
        }
    }

    package static let maxEntries = 1000

    package var entries: [Entry] = []

    package init(_ entries: [Entry] = []) { self.entries = entries }

    package subscript(_ name: String) -> [UInt8]? { entries.first { $0.name == name }?.content }

    // MARK: Writing

    package var bytes: [UInt8] {
        var output: [UInt8] = []
        var directory: [UInt8] = []
        for entry in entries {
            let name = Array(entry.name.utf8)
            let start = output.count
            // Version 2.0, names in UTF-8, stored, the first day that the format knows.
            let common =
                Self.two(20) + Self.two(0x0800) + Self.two(0) + Self.two(0) + Self.two(0x0021)
                + Self.four(Self.checksum(entry.content)) + Self.four(entry.content.count)
                + Self.four(entry.content.count)
                + Self.two(name.count) + Self.two(0)
            output += Self.four(0x0403_4B50) + common + name + entry.content
            directory +=
                Self.four(0x0201_4B50) + Self.two(20) + common + Self.two(0) + Self.two(0) + Self.two(0) + Self.four(0)
                + Self.four(start) + name
        }
        let start = output.count
        output += directory
        output +=
            Self.four(0x0605_4B50) + Self.two(0) + Self.two(0) + Self.two(entries.count) + Self.two(entries.count)
            + Self.four(directory.count) + Self.four(start) + Self.two(0)
        return output
    }

    private static func two(_ value: Int) -> [UInt8] { [UInt8(value & 0xFF), UInt8(value >> 8 & 0xFF)] }
    private static func four(_ value: Int) -> [UInt8] { two(value & 0xFFFF) + two(value >> 16 & 0xFFFF) }

    // MARK: Reading

    package init(reading bytes: [UInt8]) throws(ZipError) {
        func number(_ place: Int, _ count: Int) throws(ZipError) -> Int {
            guard place >= 0, place + count <= bytes.count else { throw .damaged("it ends too early") }
            return (0..<count).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
        }
        // The end has no comment in what this connector writes; others may have put one there.
        let last = bytes.count - 22
        guard last >= 0,
            let end = stride(from: last, through: max(0, last - 65535), by: -1).first(where: {
                bytes[$0] == 0x50 && bytes[$0..<($0 + 4)].elementsEqual([0x50, 0x4B, 0x05, 0x06])
            })
        else { throw .damaged("it has no end record") }
        let count = try number(end + 10, 2)
        guard count <= Self.maxEntries else { throw .damaged("it has \(count) entries") }
        var place = try number(end + 16, 4)
        // What is stored takes its place; several names for one place would be more than was sent.
        var rest = bytes.count
        for _ in 0..<count {
            guard try number(place, 4) == 0x0201_4B50 else { throw .damaged("its directory is broken") }
            let (method, checksum) = (try number(place + 10, 2), try number(place + 16, 4))
            let (size, nameLength) = (try number(place + 24, 4), try number(place + 28, 2))
            let extra = try number(place + 30, 2) + number(place + 32, 2)
            let start = try number(place + 42, 4)
            guard place + 46 + nameLength <= bytes.count else { throw .damaged("it ends too early") }
            let name = String(decoding: bytes[(place + 46)..<(place + 46 + nameLength)], as: UTF8.self)
            guard method == 0 else { throw .compressed(name) }
            guard try number(start, 4) == 0x0403_4B50 else { throw .damaged("\(name) is not where it should be") }
            let content = try start + 30 + number(start + 26, 2) + number(start + 28, 2)
            rest -= size
            guard rest >= 0, content + size <= bytes.count else { throw .damaged("\(name) ends too early") }
            let data = Array(bytes[content..<(content + size)])
            guard Self.checksum(data) == checksum else { throw .damaged("\(name) has another checksum") }
            entries.append(Entry(name, data))
            place += 46 + nameLength + extra
        }
    }

    // MARK: CRC-32

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }

    static func checksum(_ bytes: [UInt8]) -> Int {
        Int(~bytes.reduce(~UInt32(0)) { table[Int(($0 ^ UInt32($1)) & 0xFF)] ^ ($0 >> 8) })
    }
}
