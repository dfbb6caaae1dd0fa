import Testing

@testable import Networking

struct BodyBudgetTests {
    @Test("One address gets three quarters of the memory for bodies, all together get all of it, and it comes back")
    func shares() {
        var limits = HTTPServerLimits()
        limits.allBodyBytes = 1000
        let budget = BodyBudget(limits)
        #expect(budget.reserve(750, "a") && !budget.reserve(1, "a"))
        #expect(budget.reserve(250, "b") && !budget.reserve(1, "b") && !budget.reserve(1, "c"))
        budget.release(750, "a")
        budget.release(250, "b")
        #expect(budget.used == 0)
        #expect(budget.reserve(1000, ""), "a socket in the file system is not shared out")
    }
}
