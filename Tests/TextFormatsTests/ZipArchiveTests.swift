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

    @Test("What another program has packed is refused with its name")
    func compressed() {
        var bytes = archive.bytes
        guard let place = bytes.indices.first(where: { bytes[$0...].starts(with: [0x50, 0x4B, 0x01, 0x02]) }) else {
            return
        }
        bytes[place + 10] = 8
        #expect(throws: ZipArchive.ZipError.compressed("backup.json")) { try ZipArchive(reading: bytes) }
    }
}
