internal import Glibc

/// The time of day. For what people read and for certificates; never for time limits.
package enum WallClock {
    /// Since 1970.
    package static func seconds() -> Int { Int(now().tv_sec) }

    static func now() -> timespec {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return now
    }

    /// ISO 8601 in UTC with milliseconds, as in 2026-11-21T07:09:12.080Z.
    package static func timestamp() -> String {
        let now = now()
        let milliseconds = String(now.tv_nsec / 1_000_000 + 1000).dropFirst()
        return text(now.tv_sec, "T", ":") + ".\(milliseconds)Z"
    }

    /// ISO 8601 in UTC to the second.
    package static func text(_ seconds: Int) -> String { text(seconds, "T", ":") + "Z" }

    /// As in 20261121-070912, for file names that sort by age.
    package static func fileStamp() -> String {
        String(text(now().tv_sec, "-", "").enumerated().filter { !(($0.offset == 4 || $0.offset == 7)) }.map(\.element))
    }

    private static func text(_ seconds: Int, _ middle: String, _ colon: String) -> String {
        var seconds = time_t(seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))\(middle)"
            + "\(two(parts.tm_hour))\(colon)\(two(parts.tm_min))\(colon)\(two(parts.tm_sec))"
    }
}
