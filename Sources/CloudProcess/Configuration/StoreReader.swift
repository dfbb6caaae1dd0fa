internal import ConfigurationReading
internal import HostSystem
internal import PostgreSQL
internal import TextFormats
internal import YAMLDocument

/// The database that several instances share, and what its secrets are encrypted with.
struct StoreConfiguration: Sendable, Equatable {
    var address: DatabaseAddress
    var key: String
}

/// Reads `store`.
enum StoreReader {
    /// Bytes of the key at least.
    private static let keyLength = 32

    /// - Returns: nil where it is wrong; the findings say why.
    static func read(_ node: YAMLNode, _ findings: Findings) -> StoreConfiguration? {
        var section = Section(node, "store", findings)
        let url = section.required("url", "such as postgresql://connector@db.example.com/connector?sslmode=verify-full")
        let password = secret("password-file", &section, findings)
        if section.required(
            "key-file",
            "a file with a secret of \(keyLength) characters, which the database never sees"
        ) == nil {
            section.finish()
            return nil
        }
        let key = secret("key-file", &section, findings)
        section.finish()
        if let key, key.utf8.count < keyLength {
            findings.error(section.place("key-file"), "store.key-file", "has less than \(keyLength) characters")
            return nil
        }
        guard let url, let key, isSafe(url, section, findings) else { return nil }
        return StoreConfiguration(address: DatabaseAddress(url: url, password: password), key: key)
    }

    private static func secret(_ name: String, _ section: inout Section, _ findings: Findings) -> String? {
        guard let path = section.string(name).map({ Credential.path($0, of: .cloud) }) else { return nil }
        if let warning = PrivateFile.warning(path) {
            findings.warning(section.place(name), section.path(name), warning)
        }
        do throws(ConfigurationError) { return try ConfigurationFile.secret(path) } catch {
            let cause = error.findings.first?.message ?? "cannot be read"
            findings.error(section.place(name), section.path(name), "\(path) \(cause)")
            return nil
        }
    }

    /// Beyond this machine, whoever answers in the database's place can enrol connectors.
    private static func isSafe(_ url: String, _ section: Section, _ findings: Findings) -> Bool {
        let (place, path) = (section.place("url"), section.path("url"))
        guard url.hasPrefix("postgresql://") || url.hasPrefix("postgres://") else {
            findings.error(place, path, "must begin with postgresql://")
            return false
        }
        let address = DatabaseAddress(url: url, password: nil)
        if address.hasPassword {
            findings.error(
                place,
                path,
                "has a password in it; put it into a file, and its name into store.password-file"
            )
            return false
        }
        if !address.isLocal, !address.isVerified {
            findings.error(
                place,
                path,
                "needs sslmode=verify-full: whoever answers in the database's place could enrol connectors"
            )
            return false
        }
        return true
    }
}
