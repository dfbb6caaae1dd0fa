internal import AdminAccess
internal import ConfigurationEditing
internal import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import Networking

/// Where a certificate of the connector lies, for `CertificateEndpoint`.
protocol CertificatePlace {
    /// As log and messages call it.
    var title: String { get }
    /// The name of its file in DER; nil where it is not given away.
    var fileName: String? { get }
    /// It signs others.
    var isAuthority: Bool { get }
    /// Days of one that the connector signs itself.
    var days: Int { get }
    /// Nil where there is none.
    var source: PEMSource? { get throws }
    func put(_ identity: OwnCertificate.Identity, isOwn: Bool) async throws
    /// Keeps the key of a request until its answer comes.
    func keep(requestKey: String) throws
    /// The certificate that an authority has made for the last request, followed by those between.
    func take(chain: String) async throws
    func remove() async throws
}

/// With which the page and the API are served.
struct PageCertificatePlace: CertificatePlace {
    let certificate: PageCertificate

    var title: String { "UI certificate" }
    var fileName: String? { nil }
    var isAuthority: Bool { false }
    var days: Int { PageCertificate.days }
    var source: PEMSource? { certificate.source }

    func put(_ identity: OwnCertificate.Identity, isOwn: Bool) throws { try certificate.put(identity, isOwn: isOwn) }
    func keep(requestKey: String) throws { try certificate.keep(requestKey: requestKey) }
    func take(chain: String) throws { try certificate.take(chain: chain) }
    func remove() throws { throw APIFailure.notAllowed(["GET", "POST", "PATCH", "PUT"]) }
}

/// The CA of users' certificates, or the system certificate: files beside the users of the page, named in the connector's file.
struct OnPremisesCertificatePlace: CertificatePlace {
    let kind: CertificateKind
    let store: ConfigurationStore
    let call: APICall
    /// For files that the API makes.
    let folder: String

    var title: String { isAuthority ? "CA certificate" : "system certificate" }
    var fileName: String? { isAuthority ? "ca_certificate.der" : "system_certificate.der" }
    var isAuthority: Bool { kind == .ca }
    /// Nobody renews it by itself.
    var days: Int { 3650 }

    private var steps: [YAMLStep] {
        isAuthority ? [.key("principal-propagation"), .key("ca")] : [.key("system-certificate")]
    }
    private var base: String { "\(folder)/\(isAuthority ? "user-ca" : "system")" }
    private var requestKeyFile: String { "\(base)-request.key" }

    var source: PEMSource? {
        get throws { try store.value[steps]?["certificate"]?.scalar.map { .file(Credential.path($0)) } }
    }

    /// Under a name that nothing has: the old ones stay good until the configuration names the new ones.
    func put(_ identity: OwnCertificate.Identity, isOwn: Bool) async throws {
        try kind.check(identity)
        let old = try files()
        let key = FreshFile.path(base, ".key")
        let certificate = String(key.dropLast(4)) + ".pem"
        let value = YAMLValue.mapping([.init("certificate", .text(certificate)), .init("private-key", .text(key))])
        do {
            try PrivateFile.makeFolder(folder)
            try AtomicFile.write(identity.privateKey, to: key, mode: 0o600)
            try AtomicFile.write(identity.certificate, to: certificate, mode: 0o640)
            try await call.change(store, "change \(title)", .set(steps, value))
        } catch {
            for path in [certificate, key] { try? PlainFile.remove(path) }
            throw error
        }
        drop(old)
    }

    private func files() throws -> [String] {
        let value = try store.value[steps]
        return ["certificate", "private-key"].compactMap { value?[$0]?.scalar }
    }

    /// Those that the API has made have no other use.
    private func drop(_ files: [String]) {
        for path in files where path.hasPrefix("\(base).") { try? PlainFile.remove(path) }
    }

    func keep(requestKey: String) throws {
        try PrivateFile.makeFolder(folder)
        try AtomicFile.write(requestKey, to: requestKeyFile, mode: 0o600)
    }

    func take(chain: String) async throws {
        guard let key = try PrivateFile.read(requestKeyFile) else {
            throw TLSError(.configuration, "there is no certificate request whose answer this could be")
        }
        let identity = OwnCertificate.Identity(certificate: chain, privateKey: String(decoding: key, as: UTF8.self))
        try await put(identity, isOwn: false)
        try PlainFile.remove(requestKeyFile)
    }

    func remove() async throws {
        let old = try files()
        guard !old.isEmpty else { throw APIFailure.notFound("there is no \(title)") }
        try await call.change(store, "remove \(title)", .remove(steps))
        drop(old)
    }
}
