/// Runs one piece of work after the other.
package actor SerialTasks {
    private var last: Task<Void, Never>?

    package init() {}

    /// Runs a body after all that were given before have ended.
    package func run<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) async -> Result {
        let previous = last
        let task = Task {
            await previous?.value
            return await body()
        }
        last = Task { _ = await task.value }
        return await task.value
    }
}
