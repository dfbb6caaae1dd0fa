internal import Glibc
internal import Logging
internal import TunnelCore

/// One line per event on standard error: time, level, message, then `key="value"` pairs in alphabetical order.
///
/// Whatever a value holds, it stays on its line and inside its quotes.
struct TextLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    init(level: Logger.Level) { logLevel = level }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = Self.timestamp() + " \(event.level.rawValue.uppercased()) \(Self.escaped(event.message.description))"
        let all = event.metadata.map { metadata.merging($0) { $1 } } ?? metadata
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\"\(Self.escaped(value.description))\""
        }
        line += "\n"
        // One write(2), so that lines of several threads and processes do not mix.
        line.withUTF8 { octets in _ = Glibc.write(STDERR_FILENO, octets.baseAddress, octets.count) }
    }

    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let milliseconds = String(now.tv_nsec / 1_000_000 + 1000).dropFirst()
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(milliseconds)Z"
    }

    /// Control characters and quotes as escapes; other Unicode text stays readable.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\u{20}"..."\u{7E}", "…": result.unicodeScalars.append(scalar)
            case let scalar where scalar.properties.isAlphabetic: result.unicodeScalars.append(scalar)
            default: result += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return result
    }
}
