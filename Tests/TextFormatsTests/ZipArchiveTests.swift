import Testing

@testable import TextFormats

struct ZipArchiveTests {
    private let archive = ZipArchive([
        .init("backup.json", Array("{}\n".utf8)), .init("a/größe", []), .init("b", Array(repeating: 7, count: 70_000)),
    ])

    @Test("What was put in comes out, also behind other bytes' comment")
    func roundTrip() throws {
        #expect(try ZipArchive(reading: archive.bytes) == archive)
        var commented = archive.bytes
        commented[commented.count - 2] = 5
        #expect(try ZipArchive(reading: commented + Array("PK\u{5}\u{6}!".utf8)) == archive)
        #expect(try ZipArchive(reading: ZipArchive().bytes).entries.isEmpty)
        #expect(archive["b"]?.count == 70_000 && archive["c"] == nil)
    }

    @Test("CRC-32 is that of the check value")
    func checksum() { #expect(ZipArchive.checksum(Array("123456789".utf8)) == 0xCBF4_3926) }

    @Test("An archive that is cut or changed anywhere is refused, and never read as another one")
    func damaged() {
        let bytes = ZipArchive([.init("name", Array("content".utf8))]).bytes
        for count in 0..<bytes.count {
            #expect(throws: ZipArchive.ZipError.self) { try ZipArchive(reading: Array(bytes.prefix(count))) }
        }
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0xFF
            // Dates, versions and names of the local head are not looked at.
            if let read = try? ZipArchive(reading: changed) {
                #expect(read["name"] ?? read.entries.first?.content == Array("content".utf8))
            }
        }
    }

    /// Of Python's zipfile: `a.txt` with five hundred times "0123456789", deflated, and `b.txt` with "kept", stored.
    private static let packed =
        "504b0304140000000800000021009d1d9ea3260000008813000005000000612e747874edc6490100200800b04a7820dabf98"
        + "29f86dafc5986be7a9fbc2cccccccccccccccccc9af601504b030414000000000000002100066a28fb040000000400000005"
        + "000000622e7478746b657074504b01021403140000000800000021009d1d9ea3260000008813000005000000000000000000"
        + "0000800100000000612e747874504b0102140314000000000000002100066a28fb0400000004000000050000000000000000"
        + "000000800149000000622e747874504b0506000000000200020066000000700000000000"

    private static var foreign: [UInt8] { Hexadecimal.bytes(packed) ?? [] }

    @Test("What another program has packed is unpacked, and what is not wanted is not looked at")
    func packed() throws {
        let archive = try ZipArchive(reading: Self.foreign)
        let digits = Array(repeating: Array("0123456789".utf8), count: 500).flatMap(\.self)
        #expect(archive.entries == [.init("a.txt", digits), .init("b.txt", Array("kept".utf8))])
        let some = try ZipArchive(reading: Self.foreign) { $0 == "b.txt" }
        #expect(some.entries.map(\.name) == ["b.txt"])
    }

    @Test("A packed archive that is cut or changed anywhere is refused, and never read as another one")
    func damagedPacked() throws {
        let bytes = Self.foreign
        let whole = try ZipArchive(reading: bytes)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x11
            guard let read = try? ZipArchive(reading: changed) else { continue }
            #expect(read.entries.map(\.content) == whole.entries.map(\.content), "\(index)")
        }
    }

    @Test("What is encrypted, or packed in another way, is refused with its name")
    func unknown() throws {
        let directory = try #require(
            Self.foreign.indices.first { Self.foreign[$0...].starts(with: [0x50, 0x4B, 0x01, 0x02]) }
        )
        for (place, value) in [(8, UInt8(1)), (10, 12)] {
            var bytes = Self.foreign
            bytes[directory + place] = value
            #expect(throws: ZipArchive.ZipError.packed("a.txt")) { try ZipArchive(reading: bytes) }
        }
    }

    @Test("What says that it is larger than all may be is not unpacked")
    func bomb() throws {
        let bytes = Self.foreign
        let directory = try #require(bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4B, 0x01, 0x02]) })
        var changed = bytes
        changed.replaceSubrange((directory + 24)..<(directory + 28), with: [0, 0, 0, 0x7F])
        let error = #expect(throws: ZipArchive.ZipError.self) { try ZipArchive(reading: changed) }
        #expect("\(String(describing: error))".contains("holds more than"))
    }
}
