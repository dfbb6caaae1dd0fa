internal import Glibc
internal import HostSystem
internal import JSON
package import Logging
internal import Synchronization

/// How log events are written.
package enum LogFormat: String, Sendable, CaseIterable {
    /// The journal's own protocol where systemd has connected standard error to the journal, else text.
    case auto
    /// One line per event: time, level, message, then `key="value"` pairs in alphabetical order.
    case text
    /// One JSON object per line.
    case json
    /// Fields for journald, so that `journalctl CONNECTOR_STATUS=403` works.
    case journal
}

/// The level of all loggers of the process; it can change while they are used.
package enum LogLevelSwitch {
    private static let current = Atomic<Int>(Logger.Level.allCases.firstIndex(of: .info)!)

    package static var level: Logger.Level {
        get { Logger.Level.allCases[current.load(ordering: .relaxed)] }
        set { current.store(Logger.Level.allCases.firstIndex(of: newValue)!, ordering: .relaxed) }
    }
}

/// Writes events to standard error, or to the journal.
///
/// Whatever a value holds, it stays on its line and inside its quotes.
package struct ConnectorLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    private let label: String
    private let format: LogFormat
    private let journal: Journal?

    package init(label: String, format: LogFormat) {
        self.label = label
        let journal = format == .auto ? (Journal.isConnected ? Journal.shared : nil) : nil
        self.journal = format == .journal ? Journal.shared : journal
        self.format = format
    }

    package var logLevel: Logger.Level {
        get { LogLevelSwitch.level }
        // A level for one logger alone is not kept: the switch is for the process.
        set {}
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let more = event.metadata { all.merge(more) { $1 } }
        let pairs = all.sorted { $0.key < $1.key }.map { ($0.key, $0.value.description) }
        RecentLog.shared.add(event.level, event.message.description, pairs)
        if let journal, journal.send(label, event.level, event.message.description, pairs) { return }
        var line = format == .json ? json(event, pairs) : text(event, pairs)
        // One write(2), so that lines of several threads and processes do not mix.
        line.withUTF8 { bytes in _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
    }

    private func text(_ event: LogEvent, _ pairs: [(String, String)]) -> String {
        var line = "\(WallClock.timestamp()) \(event.level.rawValue.uppercased()) \(event.message)"
        for (key, value) in pairs { line += " \(key)=\"\(Self.escaped(value))\"" }
        return line + "\n"
    }

    private func json(_ event: LogEvent, _ pairs: [(String, String)]) -> String {
        var fields = Dictionary(pairs, uniquingKeysWith: { $1 })
        fields["time"] = WallClock.timestamp()
        fields["level"] = event.level.rawValue
        fields["logger"] = label
        fields["message"] = event.message.description
        return String(decoding: JSONLines.encode(fields), as: UTF8.self)
    }

    /// Control characters and quotes as escapes; other Unicode text stays readable. A backslash stays as well, but where it would make
    /// an escape of the quote after it, or of the one that ends the value.
    ///
    /// - Parameter isQuoted: false for text that stands between no quotes.
    package static func escaped(_ text: String, isQuoted: Bool = true) -> String {
        var result = ""
        let scalars = text.unicodeScalars
        for index in scalars.indices {
            let scalar = scalars[index]
            switch scalar {
            case "\"" where isQuoted: result += "\\\""
            case "\\" where isQuoted && [nil, "\""].contains(scalars[scalars.index(after: index)...].first):
                result += "\\u{5c}"
            case "\u{20}"..."\u{7E}", "…": result.unicodeScalars.append(scalar)
            case let scalar where scalar.properties.isAlphabetic: result.unicodeScalars.append(scalar)
            default: result += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return result
    }
}

/// journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): fields in one datagram.
package final class Journal: Sendable {
    package static let shared = Journal()
    private let socket: UnixDatagram?

    private init() { socket = UnixDatagram(path: "/run/systemd/journal/socket") }

    /// Whether standard error goes to the journal: systemd says so with the stream's device and inode.
    package static var isConnected: Bool {
        guard let text = unsafe getenv("JOURNAL_STREAM").map({ unsafe String(cString: $0) }) else { return false }
        var information = stat()
        guard unsafe fstat(STDERR_FILENO, &information) == 0 else { return false }
        return text == "\(information.st_dev):\(information.st_ino)"
    }

    /// - Returns: whether the journal took it.
    func send(_ label: String, _ level: Logger.Level, _ message: String, _ pairs: [(String, String)]) -> Bool {
        guard let socket else { return false }
        var datagram: [UInt8] = []
        Self.append(
            "MESSAGE",
            message + pairs.map { " \($0)=\"\(ConnectorLogHandler.escaped($1))\"" }.joined(),
            &datagram
        )
        Self.append("PRIORITY", String(Self.priority(level)), &datagram)
        Self.append("SYSLOG_IDENTIFIER", "connectord", &datagram)
        Self.append("CONNECTOR_LOGGER", label, &datagram)
        for (key, value) in pairs {
            let name = key.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
            Self.append("CONNECTOR_" + String(name), value, &datagram)
        }
        return socket.send(datagram)
    }

    /// A field whose value may hold anything: name, line end, length as 64 bits little-endian, value, line end.
    static func append(_ name: String, _ value: String, _ datagram: inout [UInt8]) {
        let bytes = Array(value.utf8)
        datagram += Array(name.utf8)
        datagram.append(UInt8(ascii: "\n"))
        unsafe withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { unsafe datagram += $0 }
        datagram += bytes
        datagram.append(UInt8(ascii: "\n"))
    }

    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
