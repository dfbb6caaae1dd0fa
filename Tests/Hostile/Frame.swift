/// One HTTP/2 frame, written and read by hand: what no well-behaved library would send.
struct Frame {
    enum Kind {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let ping: UInt8 = 6
        static let windowUpdate: UInt8 = 8
    }

    var type: UInt8
    var flags: UInt8 = 0
    var stream: UInt32 = 0
    var payload: [UInt8] = []

    var isEnd: Bool { flags & 1 != 0 }

    /// RFC 9113 section 4.1.
    var bytes: [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 0xff), UInt8(length >> 8 & 0xff), UInt8(length & 0xff), type, flags]
            + withUnsafeBytes(of: stream.bigEndian) { Array($0) } + payload
    }

    /// Takes the first frame of `bytes`, if it is complete.
    static func take(_ bytes: inout [UInt8]) -> Frame? {
        guard bytes.count >= 9 else { return nil }
        let length = Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])
        guard bytes.count >= 9 + length else { return nil }
        let stream = bytes[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
        defer { bytes.removeFirst(9 + length) }
        return Frame(type: bytes[3], flags: bytes[4], stream: stream, payload: Array(bytes[9..<(9 + length)]))
    }

    // MARK: What tests send

    static let ping = Frame(type: Kind.ping, payload: [UInt8](repeating: 7, count: 8))
    static let unknown = Frame(type: 0x7f)

    static func settings(_ values: [(UInt16, UInt32)] = []) -> Frame {
        Frame(
            type: Kind.settings,
            payload: values.flatMap { id, value in
                withUnsafeBytes(of: id.bigEndian) { Array($0) } + withUnsafeBytes(of: value.bigEndian) { Array($0) }
            }
        )
    }

    static func windowUpdate(_ stream: UInt32 = 0, _ increment: UInt32 = 1) -> Frame {
        Frame(type: Kind.windowUpdate, stream: stream, payload: withUnsafeBytes(of: increment.bigEndian) { Array($0) })
    }

    static func reset(_ stream: UInt32, _ code: UInt32 = 8) -> Frame {
        Frame(type: Kind.reset, stream: stream, payload: withUnsafeBytes(of: code.bigEndian) { Array($0) })
    }

    static func data(_ stream: UInt32, _ payload: [UInt8], isEnd: Bool = false) -> Frame {
        Frame(type: Kind.data, flags: isEnd ? 1 : 0, stream: stream, payload: payload)
    }

    /// DATA that is padding from its first byte to its last.
    static func padding(_ stream: UInt32) -> Frame {
        Frame(type: Kind.data, flags: 8, stream: stream, payload: [255] + [UInt8](repeating: 0, count: 255))
    }

    /// A response head: `:status`, literal without indexing (RFC 7541 section 6.2.2).
    static func response(_ stream: UInt32, _ status: String = "200", isEnd: Bool = false) -> Frame {
        Frame(
            type: Kind.headers,
            flags: isEnd ? 5 : 4,
            stream: stream,
            payload: [0x08, UInt8(status.utf8.count)] + Array(status.utf8)
        )
    }

    /// A GET for a virtual host; without a path it is CONNECT.
    static func request(_ stream: UInt32, _ authority: String, path: String? = "/", isEnd: Bool = true) -> Frame {
        func literal(_ index: UInt8, _ text: String) -> [UInt8] { [index, UInt8(text.utf8.count)] + Array(text.utf8) }
        let head: [UInt8] =
            path.map { [0x82, 0x86] + literal(0x04, $0) } ?? literal(0x02, "CONNECT")
        return Frame(
            type: Kind.headers,
            flags: isEnd ? 5 : 4,
            stream: stream,
            payload: head + literal(0x01, authority)
        )
    }
}
