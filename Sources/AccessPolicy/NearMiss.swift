extension SystemMapping {
    /// Resources that are looked at, so that refusing stays cheap.
    private static let nearMissLimit = 200

    /// How a path that no resource admits differs from one that would be admitted, without telling more of the configured
    /// paths than the request already says.
    package func nearMiss(_ target: RequestTarget, _ denial: AccessDenial) -> String? {
        guard denial == .resourceNotExposed else { return nil }
        let path = target.pathText
        let lower = path.lowercased()
        var best: String?
        for resource in resources.prefix(Self.nearMissLimit) where resource.isActive {
            if resource.access == .pathOnly, resource.path != "/", path.hasPrefix(resource.path),
                path != resource.path
            {
                return "\(resource.path) is exposed with path-only, which does not admit what is below it"
            }
            if resource.path.lowercased() == lower
                || resource.access == .pathAndSubPaths
                    && lower.hasPrefix(resource.path.lowercased())
            {
                best = best ?? "an exposed resource differs from it by upper and lower case only"
            }
            if resource.path == path + "/" { best = "the exposed resource ends with a slash" }
        }
        return best
    }
}
