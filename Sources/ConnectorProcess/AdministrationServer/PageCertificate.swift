internal import AdminAccess
internal import Cryptography
internal import HostSystem
internal import Logging
internal import Synchronization
internal import TextFormats

/// With which the page and the API are served: a certificate that the connector has made for itself, until somebody puts another
/// one in its place. A self-made one is renewed by itself, a month before it ends.
final class PageCertificate: Sendable {
    private struct State {
        var context: TLSContext
        /// Seconds since 1970.
        var renewsAt: Int?
    }

    static let days = 365
    private static let month = 30 * 86400

    private let certificateFile: String
    private let keyFile: String
    private let folder: String
    private let logger: Logger
    private let state: Mutex<State>

    init(_ settings: AdministrationSettings, logger: Logger) throws {
        folder = settings.folder
        certificateFile = "\(folder)/page.pem"
        keyFile = "\(folder)/page.key"
        self.logger = logger
        if let key = try? PrivateFile.read(keyFile), !key.isEmpty,
            let context = try? Self.context(.file(certificateFile), .file(keyFile))
        {
            state = Mutex(State(context: context, renewsAt: nil))
            plan()
            return
        }
        let own = try Self.make(settings)
        state = Mutex(State(context: try Self.context(.pem(own.certificate), .pem(own.privateKey)), renewsAt: nil))
        do {
            try put(own, isOwn: true)
        } catch {
            logger.warning(
                "the page's certificate lasts until the end of the process only, so browsers will ask again",
                metadata: ["cause": "\(error)"]
            )
        }
    }

    /// Takes what its files say now, if they can be used.
    func read() {
        guard let context = try? Self.context(.file(certificateFile), .file(keyFile)) else { return }
        state.withLock { $0.context = context }
        plan()
    }

    private static func context(_ chain: PEMSource, _ key: PEMSource) throws(TLSError) -> TLSContext {
        // Without ALPN (RFC 7301): many programs offer none, and all that come here speak HTTP/1.
        var configuration = TLSConfiguration(role: .server, minimumVersion: .tls12)
        (configuration.certificateChain, configuration.privateKey) = (chain, key)
        return try TLSContext(configuration)
    }

    private static func make(_ settings: AdministrationSettings) throws(TLSError) -> OwnCertificate.Identity {
        var names = ["localhost", "127.0.0.1", "::1"]
        let machine = HostIdentity.name
        let further = settings.hostNames + [machine] + (settings.listen.map { [$0.host] } ?? [])
        for name in further where !name.isEmpty && !names.contains(name) && name != "0.0.0.0" && name != "::" {
            names.append(name)
        }
        let subject = "CN=\(machine.isEmpty ? "localhost" : machine),O=Open Cloud Connector"
        return try OwnCertificate.selfSigned(.init(subject: subject, names: names), days: days)
    }

    /// For the next connection.
    func current(now: Int = WallClock.seconds()) -> TLSContext {
        let isDue = state.withLock { state in
            guard let renewsAt = state.renewsAt, now >= renewsAt else { return false }
            // Tried again in an hour where it fails.
            state.renewsAt = now + 3600
            return true
        }
        if isDue { renew() }
        return state.withLock { $0.context }
    }

    private func renew() {
        do {
            guard let details else { return }
            let wanted = OwnCertificate.Wanted(subject: details.subjectDN, names: details.names)
            try put(try OwnCertificate.selfSigned(wanted, days: Self.days), isOwn: true)
            logger.notice("the page's self-made certificate was renewed")
        } catch {
            logger.error("the page's certificate could not be renewed", metadata: ["cause": "\(error)"])
        }
    }

    private func plan() {
        let details = details
        let isOwn = details != nil && details?.fingerprint == Self.text(ownMark)
        state.withLock { $0.renewsAt = isOwn ? details.map { $0.notAfter - Self.month } : nil }
    }

    var source: PEMSource { .file(certificateFile) }

    /// Nil where it lies in no file.
    var details: CertificateDetails? { try? CertificateDetails(.file(certificateFile)) }

    /// Holds the fingerprint of the one that the connector has made itself: one that somebody gave it is not replaced.
    private var ownMark: String { "\(folder)/page.own" }

    private static func text(_ path: String) -> String? {
        (try? PlainFile.read(path, maxBytes: 100)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Puts another one in its place, for the connections that come.
    ///
    /// - Parameter isOwn: it is self-made, and so renewed.
    func put(_ identity: OwnCertificate.Identity, isOwn: Bool = false) throws {
        let context = try Self.context(.pem(identity.certificate), .pem(identity.privateKey))
        try PrivateFile.makeFolder(folder)
        try AtomicFile.write(identity.privateKey, to: keyFile, mode: 0o600)
        try AtomicFile.write(identity.certificate, to: certificateFile, mode: 0o640)
        let fingerprint = isOwn ? try CertificateDetails(.pem(identity.certificate)).fingerprint : ""
        try AtomicFile.write(fingerprint, to: ownMark, mode: 0o640)
        state.withLock { $0.context = context }
        plan()
    }

    // MARK: Requests for an authority

    private var requestKeyFile: String { "\(folder)/page-request.key" }

    /// The key of a request waits for the certificate.
    func keep(requestKey key: String) throws {
        try PrivateFile.makeFolder(folder)
        try AtomicFile.write(key, to: requestKeyFile, mode: 0o600)
    }

    /// The certificate that an authority has made for the last request, followed by those between.
    func take(chain: String) throws {
        guard let key = try PrivateFile.read(requestKeyFile) else {
            throw TLSError(.configuration, "there is no certificate request whose answer this could be")
        }
        try put(OwnCertificate.Identity(certificate: chain, privateKey: String(decoding: key, as: UTF8.self)))
        try PlainFile.remove(requestKeyFile)
    }
}
