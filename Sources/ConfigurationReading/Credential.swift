internal import Glibc

/// Secrets that systemd hands over (systemd.exec(5), `LoadCredential=`).
package enum Credential {
    /// Which of the two services.
    package enum Service: String {
        case connector = "connector"
        case cloud = "connector-cloud"

        var folder: String { "/run/credentials/\(rawValue).service" }
    }

    /// Whether a path is that of a credential which only the service can see.
    package static func isElsewhere(_ path: String) -> Bool {
        unsafe getenv("CREDENTIALS_DIRECTORY") == nil
            && [Service.connector, .cloud].contains { path.hasPrefix($0.folder + "/") }
    }

    /// `credential:NAME` stands for the file of that name in the service's credentials directory.
    ///
    /// For root's commands outside of the service it is the file that systemd takes it from, which is there before the
    /// first start: the units load the folder `/etc/SERVICE/credentials` as `connector_*`.
    package static func path(_ text: String, of service: Service = .connector) -> String {
        let prefix = "credential:"
        guard text.hasPrefix(prefix) else { return text }
        let name = text.dropFirst(prefix.count)
        if let folder = unsafe getenv("CREDENTIALS_DIRECTORY") { return unsafe String(cString: folder) + "/" + name }
        let source = "/etc/\(service.rawValue)/credentials/\(name.dropFirst("connector_".count))"
        if name.hasPrefix("connector_"), !name.contains("/"), unsafe access(source, R_OK) == 0 { return source }
        return service.folder + "/" + name
    }
}
