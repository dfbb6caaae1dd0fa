import Testing
import TextFormats

/// Times in files.
struct TimestampTextTests {
    @Test(
        "A time is milliseconds since 1970",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.5Z", 500), ("2000-02-29T12:00:00.080Z", 951_825_600_080),
            ("2026-11-27T18:51:41Z", 1_795_805_501_000), ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ]
    )
    func times(_ text: String, _ milliseconds: Int) {
        #expect(TimestampText.milliseconds(text) == milliseconds)
    }

    @Test(
        "Anything else is none",
        arguments: [
            "", "2026-11-27", "2026-11-27T18:51:41", "2026-11-27 18:51:41Z", "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z", "1969-12-31T23:59:59Z",
            "2026-11-27T24:00:00Z", "2026-11-27T18:51:41.Z", "2026-11-27T18:51:41.xZ", "2026-11-27T18:51:41+01:00",
            "٢026-11-27T18:51:41Z",
        ]
    )
    func others(_ text: String) {
        #expect(TimestampText.milliseconds(text) == nil)
    }
}
