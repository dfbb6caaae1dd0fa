internal import AdminAccess
internal import Cryptography
internal import DaemonSupport
internal import HostSystem
internal import Logging
internal import NIOCore
internal import Networking
internal import Synchronization
internal import Telemetry
internal import TextFormats

/// The page and the API on a listener of their own: HTTPS, for those who have a password.
final class Administration: Sendable {
    /// Bytes of one request: a backup has the largest, and none is made that is larger.
    static let bodyLimit = 4 << 20
    private static let maxConnections = 256

    let users: AdminUsers
    let certificate: PageCertificate
    private let box: SettingsBox
    private let gate: AdministrationGate
    private let listener: RetriedListener
    private let logger: Logger

    /// - Parameters:
    ///   - open: answers what needs no login.
    ///   - inside: answers the rest.
    init(
        _ settings: AdministrationSettings,
        _ audit: AuditLog,
        _ logger: Logger,
        open: @escaping @Sendable (HTTPRequest) async -> HTTPResponse?,
        inside: @escaping AdministrationGate.Inside
    ) throws {
        users = try AdminUsers(folder: settings.folder)
        certificate = try PageCertificate(settings, logger: logger)
        let box = SettingsBox(settings)
        gate = try AdministrationGate(
            users,
            settings: { box.settings },
            event: { event in Self.record(event, audit, logger) },
            open: open,
            inside: inside
        )
        self.box = box
        listener = RetriedListener("administration", logger: logger)
        self.logger = logger
    }

    private final class SettingsBox: Sendable {
        private let value: Mutex<AdministrationSettings>
        init(_ settings: AdministrationSettings) { value = Mutex(settings) }
        var settings: AdministrationSettings {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }
    }

    private static func record(_ event: AdministrationGate.Event, _ audit: AuditLog, _ logger: Logger) {
        switch event {
        case .loggedIn(let caller):
            audit.record(.login, "\(LogText.escaped(caller.description.utf8)) as \(caller.role.title)")
        case .refused(let name, let address):
            let who = LogText.escaped(name.utf8.prefix(64))
            logger.warning(
                "administration: wrong name or password",
                metadata: ["user": "\(who)", "client": "\(address)"]
            )
            audit.record(.loginRefused, "\(who) from \(address): wrong name or password")
        }
    }

    /// Brings it to what the configuration says.
    ///
    /// - Returns: why it is not served where it should be.
    @discardableResult
    func apply(_ settings: AdministrationSettings, isFirst: Bool = false) async -> String? {
        let old = box.settings
        var settings = settings
        if settings.folder != old.folder {
            logger.warning("admin.directory takes effect at the next start", metadata: ["in force": "\(old.folder)"])
            settings.folder = old.folder
        }
        box.settings = settings
        guard isFirst || settings.listen != old.listen else { return nil }
        guard let address = settings.listen else { return await listener.replace(nil) }
        return await listener.replace { [self] in try await serve(address) }
    }

    private func serve(_ address: HostPort) async throws -> HTTPListener {
        let listener = try await HTTPListener.bind(
            address,
            as: "admin.listen",
            maxConnections: Self.maxConnections,
            tls: { [certificate] in certificate.current() },
            limits: HTTPServerLimits(bodyBytes: Self.bodyLimit)
        )
        try await listener.serve(gate)
        logger.info("administration served", metadata: ["address": "\(address.host)", "port": "\(listener.port)"])
        return listener
    }

    var eventLoops: [any EventLoop] { listener.eventLoops }
    var settings: AdministrationSettings { box.settings }

    func confirm(_ name: String, _ password: String, _ request: HTTPRequest) async -> AdminUsers.Known? {
        await gate.confirm(name, password, request)
    }

    func work<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await gate.work(body)
    }

    /// Apart from the folder, which is another one at the next start only.
    func isChanged(_ new: AdministrationSettings) -> Bool {
        var new = new
        new.folder = settings.folder
        return new != settings
    }

    func endSessions(of name: String) { gate.endSessions(of: name) }

    /// Their file is another one now.
    func usersRestored() throws {
        try users.read()
        certificate.read()
        gate.endAllSessions()
    }

    func stop() async { await listener.stop() }
}
