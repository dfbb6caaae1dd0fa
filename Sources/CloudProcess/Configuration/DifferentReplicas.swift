/// What becomes of a connector that serves beside others and is not configured like them.
enum DifferentReplicas: String, CaseIterable {
    /// Requests reach it as well; it is shown.
    case use
    case leaveOut = "leave-out"
}
