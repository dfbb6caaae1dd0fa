internal import Glibc

/// The time of day. For what people read and for certificates; never for time limits.
package enum WallClock {
    /// Since 1970.
    package static func seconds() -> Int { Int(now().tv_sec) }

    static func now() -> timespec {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return now
    }

    /// A time that somebody else has named, brought to the years 1970 to 9999: what is computed with it cannot overflow.
    package static func clamped(_ seconds: Int) -> Int { min(max(seconds, 0), 253_402_300_799) }

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

    /// As `Date` has it (RFC 9110 section 5.6.7): Thu, 26 Nov 2026 19:07:08 GMT.
    package static func httpDate(_ seconds: Int = seconds()) -> String {
        var seconds = time_t(clamped(seconds))
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return unsafe "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) "
            + "\(parts.tm_year + 1900) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }

    private static func text(_ seconds: Int, _ middle: String, _ colon: String) -> String {
        var seconds = time_t(clamped(seconds))
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return unsafe "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))\(middle)"
            + "\(two(parts.tm_hour))\(colon)\(two(parts.tm_min))\(colon)\(two(parts.tm_sec))"
    }
}
