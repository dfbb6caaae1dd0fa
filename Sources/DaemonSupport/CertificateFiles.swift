package import ConfigurationReading
package import Cryptography
internal import Glibc
internal import HostSystem

/// Finds what a start would refuse in the certificates and keys that a configuration names. Files that cannot be read here say
/// nothing: a configuration may be checked on another machine.
package struct CertificateFiles {
    private let file: String
    package private(set) var findings: [Finding] = []

    package init(file: String) { self.file = file }

    private mutating func add(_ severity: Finding.Severity, _ key: String, _ message: String) {
        let line = ConfigurationFile.line(of: key, in: file) ?? 1
        findings.append(
            Finding(severity: severity, file: file, line: line, column: 1, key: key, message: message)
        )
    }

    private static func isReadable(_ path: String) -> Bool { unsafe !path.isEmpty && access(path, R_OK) == 0 }

    /// The certificate and key of one side of a tunnel, whose keys stand below `section`.
    ///
    /// - Returns: what the certificate says, if it is one.
    @discardableResult
    package mutating func checkIdentity(
        _ certificate: String,
        _ key: String,
        below section: String
    ) -> CertificateDetails? {
        checkMode(key, "\(section).private-key")
        guard Self.isReadable(certificate) else { return nil }
        let details: CertificateDetails
        do throws(TLSError) {
            details = try CertificateDetails(.file(certificate))
        } catch {
            let isKey = Self.holdsKey(certificate)
            let hint = isKey ? ": it holds a private key; are certificate and private-key exchanged?" : ""
            add(.error, "\(section).certificate", "\(error)\(hint)")
            return nil
        }
        guard Self.isReadable(key) else { return details }
        do throws(TLSError) {
            var pair = TLSConfiguration(role: .client)
            (pair.certificateChain, pair.privateKey) = (.file(certificate), .file(key))
            _ = try TLSContext(pair)
        } catch {
            add(.error, "\(section).private-key", "\(error)")
        }
        return details
    }

    private static func holdsKey(_ path: String) -> Bool {
        let bytes = (try? PlainFile.read(path, maxBytes: PrivateFile.maxBytes)) ?? []
        return String(decoding: bytes, as: UTF8.self).contains("PRIVATE KEY-----")
    }

    /// Certificates that are trusted.
    package mutating func checkTrust(_ paths: [String], _ key: String) {
        for path in paths where Self.isReadable(path) {
            do throws(TLSError) {
                _ = try TLSContext(TLSConfiguration(role: .client, trust: .anchors([.file(path)])))
            } catch {
                add(.error, key, "\(error)")
            }
        }
    }

    /// The files among certificates that are trusted.
    package mutating func checkTrust(_ trust: TLSConfiguration.Trust, _ key: String) {
        guard case .anchors(let sources) = trust else { return }
        let paths = sources.compactMap { source in
            if case .file(let path) = source { return path }
            return nil
        }
        checkTrust(paths, key)
    }

    /// A key that everybody on the machine may read is nobody's secret.
    private mutating func checkMode(_ path: String, _ key: String) {
        if let warning = PrivateFile.warning(path) { add(.warning, key, warning) }
    }

    /// Adds an error of the caller's own.
    package mutating func refuse(_ key: String, _ message: String) { add(.error, key, message) }
}
