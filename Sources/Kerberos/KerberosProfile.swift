internal import Glibc
internal import HostSystem
internal import Synchronization

/// What the Kerberos library reads as its configuration: the realms of all connectors of this process, made of what their files say.
///
/// The library takes it from a file only, whose name comes from the environment, and so it lives in memory under a name of its own.
/// What the machine's `/etc/krb5.conf` says beside counts as well.
package final class KerberosProfile: Sendable {
    /// Whoever starts threads looks at it first: the environment may not change beside them.
    package static let shared = KerberosProfile()

    private let file = MemoryFile("krb5.conf")
    private let realms = Mutex<[(name: String, kdcHosts: [String])]>([])

    private init() { unsafe setenv("KRB5_CONFIG", "\(file.path):/etc/krb5.conf", 1) }

    /// Adds a realm, or says anew where its KDCs are.
    func add(_ configuration: KerberosConfiguration) {
        realms.withLock { realms in
            realms.removeAll { $0.name == configuration.realm }
            realms.append((configuration.realm, configuration.kdcHosts))
            file.replace(Self.text(realms))
        }
    }

    /// Delegation needs forwardable tickets. Names of hosts are those of the configuration, whatever DNS calls them.
    static func text(_ realms: [(name: String, kdcHosts: [String])]) -> String {
        var text = """
            [libdefaults]
              default_realm = \(realms.first?.name ?? "")
              forwardable = true
              dns_canonicalize_hostname = false
              rdns = false

            [realms]

            """
        for realm in realms where !realm.kdcHosts.isEmpty {
            text += "  \(realm.name) = {\n"
            for host in realm.kdcHosts { text += "    kdc = \(host)\n" }
            // Nothing that the machine's own file says of this realm counts.
            text += "  }*\n"
        }
        return text
    }
}
