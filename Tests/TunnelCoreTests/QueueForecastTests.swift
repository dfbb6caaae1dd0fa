import NIOCore
import Testing

@testable import TunnelCore

@Suite struct QueueForecastTests {
    private func at(_ milliseconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(1000 + milliseconds) * 1_000_000) }

    @Test func `Nobody can say before a window has passed; after a long one the rate is that of all of it`() {
        var forecast = QueueForecast(window: .seconds(1))
        #expect(forecast.wait(behind: 5, ended: 0, now: at(0)) == nil)
        #expect(forecast.wait(behind: 5, ended: 10, now: at(900)) == nil)
        #expect(forecast.wait(behind: 9, ended: 20, now: at(1000)) == 0.5)
        #expect(forecast.wait(behind: 9, ended: 40, now: at(3000)) == 1)
    }

    @Test func `The wait is that of those before it at the rate of the last window`() {
        var forecast = QueueForecast(window: .seconds(1))
        _ = forecast.wait(behind: 0, ended: 100, now: at(0))
        #expect(forecast.wait(behind: 99, ended: 150, now: at(1000)) == 2)
        #expect(forecast.wait(behind: 99, ended: 155, now: at(1500)) == 2, "until the next window")
        #expect(forecast.wait(behind: 99, ended: 160, now: at(2000)) == 10)
        #expect(forecast.wait(behind: 0, ended: 160, now: at(3000)) == .infinity, "nothing has become free")
    }
}
