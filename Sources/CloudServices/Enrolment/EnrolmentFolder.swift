internal import ConnectivityService
internal import ControlProtocol
package import Cryptography
internal import Glibc
internal import HostSystem
internal import JSON

/// The store of one instance, or of several that share a folder:
///
///     ca.pem, ca.key        the authority
///     tokens/HASH           one file for each token that was not used yet
///     issued/SERIAL         one for each certificate: for whom, until when
///     revoked/SERIAL        one for each that counts no more
///
/// A token is used by removing its file, which only one can do.
package struct EnrolmentFolder: EnrolmentStore {
    private let folder: String

    /// Opens the folder, and makes it if there is none.
    package init(_ folder: String) throws {
        self.folder = folder
        for path in [folder, folder + "/tokens", folder + "/issued", folder + "/revoked"] {
            try Folder.make(path, mode: 0o700)
        }
    }

    package func authority(_ make: () throws -> CertificateIssuer.Identity) throws -> CertificateIssuer.Identity {
        let (certificate, key) = (folder + "/ca.pem", folder + "/ca.key")
        if unsafe access(key, F_OK) == 0 {
            return CertificateIssuer.Identity(certificate: try text(certificate), privateKey: try text(key))
        }
        let made = try make()
        try AtomicFile.write(made.certificate, to: certificate, mode: 0o644)
        try AtomicFile.write(made.privateKey, to: key, mode: 0o600)
        return made
    }

    var hasAuthority: Bool { unsafe access(folder + "/ca.key", F_OK) == 0 }

    // MARK: Tokens

    var tokenHashes: [String] { names("tokens") }
    func storedToken(_ hash: String) -> StoredToken? { read(path(hash)) }

    private func path(_ hash: String) -> String { "\(folder)/tokens/\(hash)" }

    package func add(token hash: String, _ token: StoredToken, lifetime: Int) throws {
        try AtomicFile.write(JSONLines.encode(token), to: path(hash), mode: 0o600)
    }

    package func take(token hash: String) throws -> (token: StoredToken, isExpired: Bool)? {
        guard let token: StoredToken = read(path(hash)),
            // Whoever removes it has used it; nobody else can.
            unsafe unlink(path(hash)) == 0
        else { return nil }
        return (token, token.expires < WallClock.seconds())
    }

    package func tokens() -> [StoredToken] {
        let now = WallClock.seconds()
        return names("tokens").compactMap { read(path($0)) as StoredToken? }.filter { $0.expires >= now }
    }

    package func removeExpiredTokens() {
        for name in names("tokens") {
            guard let token: StoredToken = read(path(name)), token.expires < WallClock.seconds() else { continue }
            unsafe unlink(path(name))
        }
    }

    // MARK: Certificates

    package func add(_ certificate: EnrolmentAuthority.Issued, unlessRevoked serial: String?) throws -> Bool {
        try AtomicFile.write(JSONLines.encode(certificate), to: "\(folder)/issued/\(certificate.serial)", mode: 0o600)
        // After it is there for whoever revokes: one of the two sees the other.
        guard let serial, unsafe access("\(folder)/revoked/\(serial)", F_OK) == 0 else { return true }
        unsafe unlink("\(folder)/issued/\(certificate.serial)")
        return false
    }

    package func issued() -> [EnrolmentAuthority.Issued] {
        names("issued").compactMap { read("\(folder)/issued/\($0)") }
    }

    package func removeExpiredCertificates() {
        for certificate in issued() where WallClock.clamped(certificate.expires) < WallClock.seconds() - 86400 {
            for kind in ["issued", "revoked"] { unsafe unlink("\(folder)/\(kind)/\(certificate.serial)") }
        }
    }

    package func revoke(_ identity: ConnectorIdentity, instance: String?) throws -> Set<String> {
        var all: Set<String> = []
        while true {
            // Until nothing new has come meanwhile.
            let known = revoked()
            let new = issued().filter {
                $0.subaccount == identity.subaccount && $0.locationID == identity.locationID
                    && (instance == nil || $0.instance == instance) && !known.contains($0.serial)
            }.map(\.serial)
            guard !new.isEmpty else { return all }
            for serial in new { try markRevoked(serial) }
            all.formUnion(new)
        }
    }

    func markRevoked(_ serial: String) throws {
        try AtomicFile.write("", to: "\(folder)/revoked/\(serial)", mode: 0o600)
    }

    package func revoked() -> Set<String> { Set(names("revoked")) }

    // MARK: Files

    /// Without files that are being written.
    private func names(_ kind: String) -> [String] {
        Folder.names("\(folder)/\(kind)").filter { !$0.contains(AtomicFile.unfinishedMark) }
    }

    private func read<Value: Decodable>(_ path: String) -> Value? {
        guard let bytes = try? bytes(path) else { return nil }
        return try? JSONLines.decode(Value.self, bytes)
    }

    private func bytes(_ path: String) throws -> [UInt8] {
        guard let file = unsafe fopen(path, "r") else {
            throw EnrolmentError(unsafe "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: EnrolmentProtocol.messageLimit)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    private func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }
}
