package import Foundation

/// A Kerberos realm of a test: MIT's KDC with its LDAP back end, which alone can hold whom a service may delegate to, and an Apache
/// that takes Kerberos logons. All of it runs as the test's own user, in a folder, on loopback addresses.
package final class KerberosRealm {
    package static let name = "CORP.TEST"
    package let kdcPort: Int
    package let webPort: Int
    private let folder: URL
    private let directory: Process
    private var center: Process?
    private var web: Process?

    private static let programs = [
        "/usr/sbin/slapd", "/usr/sbin/krb5kdc", "/usr/sbin/kdb5_ldap_util", "/usr/sbin/kadmin.local",
        "/usr/bin/ldapmodify",
        "/usr/sbin/apache2", "/usr/lib/apache2/modules/mod_auth_gssapi.so",
    ]

    /// Whether the machine has all that it takes (`dev/install-packages.sh suites`), or is to have it.
    package static var isThere: Bool {
        programs.allSatisfy { FileManager.default.fileExists(atPath: $0) }
            || ProcessInfo.processInfo.environment["CONNECTOR_ALL_TESTS"] != nil
    }

    /// With the users `connector`, who may act for others towards HTTP/localhost, and `anna` and `berta`.
    package init(_ parent: URL) throws {
        folder = parent.appending(path: "realm")
        try FileManager.default.createDirectory(at: folder.appending(path: "db"), withIntermediateDirectories: true)
        (kdcPort, webPort) = (try Self.freePort(), try Self.freePort())
        directory = Process()
        try writeFiles()
        try launch(directory, "/usr/sbin/slapd", ["-f", path("slapd.conf"), "-h", ldap, "-d", "0"])
        let modify = ["-x", "-H", ldap, "-D", "cn=admin,dc=t", "-w", "secret", "-f"]
        guard try Rig.eventually({ try run("/usr/bin/ldapmodify", modify + [path("top.ldif")]).status == 0 }) else {
            throw RigError("slapd does not answer")
        }
        try must(
            "/usr/sbin/kdb5_ldap_util",
            [
                "-D", "cn=admin,dc=t", "-w", "secret", "-H", ldap, "create", "-r", Self.name, "-s", "-P", "master",
                "-subtrees", "dc=t",
            ]
        )
        for command in [
            "addprinc -randkey connector", "modprinc +ok_to_auth_as_delegate connector",
            "addprinc -randkey HTTP/localhost",
            "addprinc -randkey HTTP/other", "addprinc -randkey anna", "addprinc -randkey berta",
            "ktadd -k connector.keytab connector", "ktadd -k web.keytab HTTP/localhost",
        ] {
            try must("/usr/sbin/kadmin.local", ["-r", Self.name, "-q", command])
        }
        try must("/usr/bin/ldapmodify", modify + [path("delegation.ldif")])
        try startCenter()
    }

    package var keytab: String { path("connector.keytab") }

    /// For a connector's file.
    package var section: String {
        "kerberos: {realm: \(Self.name), kdc-hosts: [\"127.0.0.1:\(kdcPort)\"], user-name: connector, keytab: \(keytab)}\n"
    }

    package func startCenter() throws {
        let process = Process()
        let log = folder.appending(path: "kdc.log")
        try? FileManager.default.removeItem(at: log)
        try launch(process, "/usr/sbin/krb5kdc", ["-n", "-r", Self.name])
        center = process
        let isUp = Rig.eventually {
            (try? String(contentsOf: log, encoding: .utf8))?.contains("commencing operation") ?? false
        }
        guard isUp else { throw RigError("the KDC does not start") }
    }

    package func stopCenter() {
        center.map(Self.end)
        center = nil
    }

    /// Times that the KDC was asked for a ticket to itself by name of the text, or whatever else its log says.
    package func logged(_ text: String) -> Int {
        let log = (try? String(contentsOf: folder.appending(path: "kdc.log"), encoding: .utf8)) ?? ""
        return log.split(separator: "\n").count { $0.contains(text) }
    }

    /// An Apache that logs users on by tickets, tells their names and the ports that they come from in the
    /// fields `X-User` and `X-Port` of its answers, and binds a logon to its connection.
    package func startWeb() throws {
        let process = Process()
        try launch(process, "/usr/sbin/apache2", ["-X", "-d", folder.path, "-f", path("apache.conf")])
        web = process
        guard Rig.eventually({ (try? Socket(connectingTo: webPort)) != nil }) else {
            throw RigError("Apache does not start")
        }
    }

    package func stop() {
        for process in [web, center, directory] { process.map(Self.end) }
    }

    // MARK: Processes

    private static func end(_ process: Process) {
        // They inherit that signals are blocked in the thread that starts them, and leave it so.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    private var ldap: String { "ldapi://" + path("ldap").replacing("/", with: "%2F") }
    private func path(_ name: String) -> String { folder.appending(path: name).path }

    private func launch(_ process: Process, _ program: String, _ arguments: [String]) throws {
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = [
            "KRB5_CONFIG": path("krb5.conf"), "KRB5_KDC_PROFILE": path("kdc.conf"), "KRB5_KTNAME": path("web.keytab"),
        ]
        process.currentDirectoryURL = folder
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    private func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        try Rig.run(
            URL(filePath: "/usr/bin/env"),
            ["KRB5_CONFIG=\(path("krb5.conf"))", "KRB5_KDC_PROFILE=\(path("kdc.conf"))", program] + arguments,
            folder
        )
    }

    private func must(_ program: String, _ arguments: [String]) throws {
        let (status, output) = try run(program, arguments)
        guard status == 0 else { throw RigError("\(program): \(output)") }
    }

    private static func freePort() throws -> Int {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) + getsockname(listener, $0, &length)
            }
        }
        guard result == 0 else { throw RigError("no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    // MARK: Files

    private func write(_ name: String, _ text: String) throws {
        try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
    }

    private func writeFiles() throws {
        let schema = try Rig.run(
            URL(filePath: "/usr/bin/zcat"),
            ["/usr/share/doc/krb5-kdc-ldap/kerberos.schema.gz"],
            folder
        )
        try write("kerberos.schema", schema.output)
        try write(
            "slapd.conf",
            """
            include /etc/ldap/schema/core.schema
            include /etc/ldap/schema/cosine.schema
            include \(path("kerberos.schema"))
            modulepath /usr/lib/ldap
            moduleload back_mdb
            database mdb
            suffix "dc=t"
            rootdn "cn=admin,dc=t"
            rootpw secret
            directory \(path("db"))
            maxsize 33554432
            dbnosync

            """
        )
        try write("top.ldif", "dn: dc=t\nchangetype: add\nobjectClass: domain\ndc: t\n")
        try write(
            "delegation.ldif",
            """
            dn: krbPrincipalName=connector@\(Self.name),cn=\(Self.name),cn=krb,dc=t
            changetype: modify
            add: krbAllowedToDelegateTo
            krbAllowedToDelegateTo: HTTP/localhost@\(Self.name)

            """
        )
        let secret = "secret".utf8.map { String($0, radix: 16) }.joined()
        try write("service.password", "cn=admin,dc=t#{HEX}\(secret)\n")
        try write(
            "krb5.conf",
            """
            [libdefaults]
              default_realm = \(Self.name)
              dns_lookup_kdc = false
              dns_canonicalize_hostname = false
            [realms]
              \(Self.name) = {
                kdc = 127.0.0.1:\(kdcPort)
              }

            """
        )
        try writeCenter()
        try writeWeb()
    }

    private func writeCenter() throws {
        try write(
            "kdc.conf",
            """
            [kdcdefaults]
              kdc_listen = 127.0.0.1:\(kdcPort)
              kdc_tcp_listen = 127.0.0.1:\(kdcPort)
            [realms]
              \(Self.name) = {
                database_module = ldap
                key_stash_file = \(path("stash"))
                supported_enctypes = aes256-cts-hmac-sha1-96:normal
              }
            [dbmodules]
              ldap = {
                db_library = kldap
                ldap_kerberos_container_dn = cn=krb,dc=t
                ldap_kdc_dn = cn=admin,dc=t
                ldap_kadmind_dn = cn=admin,dc=t
                ldap_service_password_file = \(path("service.password"))
                ldap_servers = \(ldap)
                ldap_conns_per_server = 2
              }
            [logging]
              kdc = FILE:\(path("kdc.log"))
              admin_server = FILE:\(path("admin.log"))

            """
        )
    }

    private func writeWeb() throws {
        try FileManager.default.createDirectory(at: folder.appending(path: "pages"), withIntermediateDirectories: true)
        try write("pages/index.html", "hello\n")
        let modules = ["mpm_event", "authn_core", "authz_core", "authz_user", "headers", "dir", "auth_gssapi"]
        try write(
            "apache.conf",
            modules.map { "LoadModule \($0)_module /usr/lib/apache2/modules/mod_\($0).so\n" }.joined()
                + """
                ServerName localhost
                Listen 127.0.0.1:\(webPort)
                PidFile \(path("apache.pid"))
                ErrorLog \(path("apache.log"))
                DocumentRoot \(path("pages"))
                KeepAlive On
                MaxKeepAliveRequests 0
                DirectoryIndex index.html
                <Location />
                  AuthType GSSAPI
                  GssapiCredStore keytab:\(path("web.keytab"))
                  GssapiConnectionBound On
                  Require valid-user
                  Header always set X-User "expr=%{REMOTE_USER}"
                  Header always set X-Port "expr=%{REMOTE_PORT}"
                  # Nothing in an answer tells that a logon stays with the connection.
                  Header always unset WWW-Authenticate "expr=%{REQUEST_STATUS} == 200"
                </Location>

                """
        )
    }
}
