package import CloudConnector
package import ControlProtocol
internal import Cryptography
internal import Glibc
internal import HostSystem
internal import JSON
internal import NIOCore
internal import NIOPosix
internal import TextFormats

/// Token and configuration speak of different connectors.
package struct EnrolMismatchError: Error, CustomStringConvertible {
    package var description: String
}

/// The connector's half of enrolment: a key of its own, a request over TLS to the pinned service, files with the right
/// owner and mode.
package struct Enrolment {
    /// What a certificate was issued for, and which files it is in.
    package struct Result {
        package var files: [String]
        package var expires: Int
    }

    package let token: EnrolmentToken
    package let configuration: ConnectorConfiguration
    package let owner: String?

    package init(token: EnrolmentToken, configuration: ConnectorConfiguration, owner: String?) {
        self.token = token
        self.configuration = configuration
        self.owner = owner
    }

    package func run() async throws -> Result {
        try checkFit()
        // Before the token is spent, which works once.
        try checkFiles()
        let key = try SigningKey()
        let instance = configuration.tunnel.instance
        let request = EnrolmentRequest(
            secret: token.secret,
            certificateRequest: try key.certificateRequest(),
            instance: instance?.text
        )
        let response = try await ask(request)
        guard let certificate = response.certificate, let anchor = response.anchor else {
            throw EnrolError("the service refused: \(LogText.escaped((response.refused ?? "no reason").utf8))")
        }
        let details = try CertificateDetails(.pem(certificate))
        guard details.connector == configuration.identity else {
            throw EnrolError("the service's certificate is for another connector")
        }
        guard instance == nil || details.instance == instance else {
            throw EnrolError("the service knows nothing of connectors side by side: its certificate names no instance")
        }
        guard try CertificateDetails.all(.pem(anchor)).contains(where: { $0.fingerprint == token.anchor }) else {
            throw EnrolError("the service's trust anchor is not the one in the token")
        }
        let tunnel = configuration.tunnel
        // The key first: a certificate without its key would be of no use.
        try write(key.pem, tunnel.privateKey, 0o600)
        try write(certificate, tunnel.certificate, 0o644)
        try write(anchor, tunnel.trustedCA, 0o644)
        return Result(files: [tunnel.privateKey, tunnel.certificate, tunnel.trustedCA], expires: details.notAfter)
    }

    private func checkFit() throws {
        let file = configuration.file
        let identity = ConnectorIdentity(subaccount: token.subaccount, locationID: token.locationID)
        guard identity == configuration.identity else {
            throw EnrolMismatchError(
                description: "the token is for \(identity), but \(file) says \(configuration.identity): "
                    + "edit subaccount and location-id there, or create a token that fits"
            )
        }
        guard token.service == configuration.dialer.service else {
            throw EnrolMismatchError(
                description: "the token is for the service at \(LogText.escaped(token.service.utf8)), but \(file) "
                    + "dials \(configuration.dialer.service): edit tunnel.service there"
            )
        }
        guard token.expires >= WallClock.seconds() else {
            throw EnrolMismatchError(
                description: "the token expired at \(WallClock.text(token.expires)) (this machine's clock says "
                    + "\(WallClock.timestamp())): create a new one"
            )
        }
    }

    // MARK: Asking

    private func ask(_ request: EnrolmentRequest) async throws -> EnrolmentResponse {
        let tls = try TLSContext(
            TLSConfiguration(
                role: .client,
                trust: .pinned(token.anchor),
                applicationProtocols: [EnrolmentProtocol.name]
            )
        )
        let dialer = configuration.dialer
        let promise = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: [UInt8].self)
        let eventLoop = promise.futureResult.eventLoop
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(10))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let bound = NIOLoopBound(channel, eventLoop: channel.eventLoop)
                    let addNext = {
                        try bound.value.pipeline.syncOperations.addHandlers(
                            TLSHandler(tls, serverName: dialer.host, peer: "the service at \(dialer.service)"),
                            Exchange(JSONLines.encode(request), promise)
                        )
                    }
                    guard let proxy = dialer.proxy else { return try addNext() }
                    let handler = ProxyConnectHandler(proxy, service: dialer.service, addNext: addNext)
                    try channel.pipeline.syncOperations.addHandlers(handler, FailureHandler(promise))
                }
            }
        let connecting =
            dialer.proxy.map { bootstrap.connect(host: $0.host, port: $0.port) }
            ?? bootstrap.connect(host: dialer.host, port: dialer.port)
        connecting.whenFailure { promise.fail($0) }
        let timer = eventLoop.scheduleTask(in: .seconds(30)) {
            promise.fail(EnrolError("the service did not answer within 30 seconds"))
        }
        defer { timer.cancel() }
        let answer = try await promise.futureResult.get()
        return try JSONLines.decode(EnrolmentResponse.self, answer)
    }

    private final class Exchange: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let request: [UInt8]
        private let promise: EventLoopPromise<[UInt8]>
        private var lines = LineBuffer(limit: EnrolmentProtocol.messageLimit)

        init(_ request: [UInt8], _ promise: EventLoopPromise<[UInt8]>) {
            self.request = request
            self.promise = promise
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard event is TLSEstablished else { return }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: request)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            do {
                let buffer = unwrapInboundIn(data)
                guard let line = try unsafe buffer.withUnsafeReadableBytes({ try unsafe lines.append($0) }).first else {
                    return
                }
                promise.succeed(line)
            } catch {
                promise.fail(error)
            }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(EnrolError("the service closed the connection without an answer"))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.fail(error) }
    }

    private final class FailureHandler: ChannelInboundHandler {
        typealias InboundIn = Never
        private let promise: EventLoopPromise<[UInt8]>

        init(_ promise: EventLoopPromise<[UInt8]>) { self.promise = promise }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.fail(error) }
    }

    // MARK: Files

    private func checkFiles() throws {
        if let owner, geteuid() == 0, unsafe getpwnam(owner) == nil { throw EnrolError("there is no user \(owner)") }
        for path in [configuration.tunnel.privateKey, configuration.tunnel.certificate, configuration.tunnel.trustedCA]
        {
            let folder = Folder.of(path)
            try Folder.make(folder, mode: 0o750)
            guard unsafe access(folder, W_OK) == 0 else {
                throw EnrolError(unsafe "cannot write into \(folder): \(String(cString: strerror(errno)))")
            }
        }
    }

    private func write(_ text: String, _ path: String, _ mode: UInt32) throws {
        try AtomicFile.write(text, to: path, mode: mode)
        guard geteuid() == 0 else { return }
        var information = stat()
        var user = uid_t(0)
        var group = gid_t(0)
        if let owner {
            guard let entry = unsafe getpwnam(owner) else { throw EnrolError("there is no user \(owner)") }
            (user, group) = unsafe (entry.pointee.pw_uid, entry.pointee.pw_gid)
        } else if unsafe stat(Folder.of(path), &information) == 0 {
            (user, group) = (information.st_uid, information.st_gid)
        }
        guard unsafe chown(path, user, group) == 0 else {
            throw EnrolError(unsafe "cannot give \(path) to its owner: \(String(cString: strerror(errno)))")
        }
    }
}
