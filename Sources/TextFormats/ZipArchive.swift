/// Files in a ZIP archive (APPNOTE.TXT of PKWARE). It writes them as they are, since what is in a backup is small, or encrypted; it
/// reads packed ones, too.
package struct ZipArchive: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var name: String
        package var content: [UInt8]

        package init(_ name: String, _ content: [UInt8]) { (self.name, self.content) = (name, content) }
    }

    package enum ZipError: Error, Equatable, CustomStringConvertible {
        case damaged(String)
        /// Of an entry that another program has packed.
        case packed(String)

        package var description: String {
            switch self {
            case .damaged(let what): "this is not a ZIP archive, or it is damaged: \(what)"
            case .packed(let name): "\(name) is encrypted, or packed by a method other than DEFLATE"
            }
        }
    }

    package static let maxEntries = 1000
    /// Bytes of all that is read from an archive, unpacked.
    package static let maxBytes = 64 << 20

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

    /// - Parameter isWanted: by its name; others are not unpacked, and are not among the entries.
    package init(
        reading bytes: [UInt8],
        maxEntries: Int = maxEntries,
        isWanted: (String) -> Bool = { _ in true }
    ) throws(ZipError) {
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
        guard count <= maxEntries else { throw .damaged("it has \(count) entries") }
        var place = try number(end + 16, 4)
        // Several names for one place, and what packs itself a thousandfold, come to more than was sent.
        var rest = Self.maxBytes
        for _ in 0..<count {
            guard try number(place, 4) == 0x0201_4B50 else { throw .damaged("its directory is broken") }
            let (method, checksum) = (try number(place + 10, 2), try number(place + 16, 4))
            let (packed, size) = (try number(place + 20, 4), try number(place + 24, 4))
            let (flags, nameLength) = (try number(place + 8, 2), try number(place + 28, 2))
            let extra = try number(place + 30, 2) + number(place + 32, 2)
            let start = try number(place + 42, 4)
            guard place + 46 + nameLength <= bytes.count else { throw .damaged("it ends too early") }
            let name = String(decoding: bytes[(place + 46)..<(place + 46 + nameLength)], as: UTF8.self)
            defer { place += 46 + nameLength + extra }
            guard isWanted(name) else { continue }
            guard method == 0 || method == 8, flags & 1 == 0 else { throw .packed(name) }
            guard try number(start, 4) == 0x0403_4B50 else { throw .damaged("\(name) is not where it should be") }
            let content = try start + 30 + number(start + 26, 2) + number(start + 28, 2)
            rest -= size
            guard content + packed <= bytes.count else { throw .damaged("\(name) ends too early") }
            guard rest >= 0 else { throw .damaged("it holds more than \(Self.maxBytes) bytes") }
            let raw = bytes[content..<(content + packed)]
            guard let data = method == 0 ? (packed == size ? Array(raw) : nil) : Inflate.unpack(raw, size: size) else {
                throw .damaged("\(name) cannot be unpacked")
            }
            guard Self.checksum(data) == checksum else { throw .damaged("\(name) has another checksum") }
            entries.append(Entry(name, data))
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
