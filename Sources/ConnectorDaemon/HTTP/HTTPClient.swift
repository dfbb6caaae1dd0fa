internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import TunnelCore

/// Sends single requests, each on a connection of its own: to token services, to the own proxy entry, to admin sockets.
struct HTTPClient: Sendable {
    enum Address: Sendable, Equatable {
        case host(String, port: Int, isTLS: Bool)
        case socket(String)
    }

    struct Request: Sendable {
        var method: HTTPMethod
        /// As it goes out: a path, or a whole URL where the peer is a proxy.
        var target: String
        var headers: HTTPHeaders
        var body: [UInt8] = []
    }

    struct Response: Sendable {
        var status: HTTPResponseStatus
        var headers: HTTPHeaders
        var body: [UInt8]
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Octets of a response's body.
    static let bodyLimit = 16 << 20

    /// For `https`.
    private let tls: TLSContext?
    private let timeout: TimeAmount

    /// - Parameters:
    ///   - trust: a file with certificates that anchor `https`; nil where only other connections are made.
    ///   - timeout: from the begin of the connection to the end of the response.
    init(trust: String? = nil, timeout: TimeAmount = .seconds(30)) throws {
        tls = try trust.map { file in
            try TLSContext(
                TLSConfiguration(
                    role: .client,
                    minimumVersion: .tls12,
                    trust: .anchors([.file(file)]),
                    applicationProtocols: ["http/1.1"]
                )
            )
        }
        self.timeout = timeout
    }

    /// A method that has a body says so even if it is empty (RFC 9110 section 8.6).
    static func setLength(_ headers: inout HTTPHeaders, _ method: HTTPMethod, _ body: [UInt8]) {
        guard !body.isEmpty || [.POST, .PUT, .PATCH].contains(method) else { return }
        headers.replaceOrAdd(name: "content-length", value: String(body.count))
    }

    func send(_ request: Request, to address: Address) async throws -> Response {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: Response.self)
        let limit = timeout
        let timer = loop.scheduleTask(in: limit) {
            promise.fail(Failure(description: "no answer within \(limit.nanoseconds / 1_000_000_000) seconds"))
        }
        let connecting = connect(request, address, promise, loop)
        connecting.whenFailure { promise.fail($0) }
        promise.futureResult.whenComplete { _ in
            timer.cancel()
            connecting.whenSuccess { $0.close(promise: nil) }
        }
        do {
            return try await promise.futureResult.get()
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(description: BackendRefusal.explain(error).cause)
        }
    }

    private func connect(
        _ request: Request,
        _ address: Address,
        _ promise: EventLoopPromise<Response>,
        _ loop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(timeout)
        let limit = timeout
        switch address {
        case .socket(let path):
            return bootstrap.channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(Exchange(request, promise, waitsForTLS: false))
                }
            }.connect(unixDomainSocketPath: path)
        case .host(let host, let port, let isTLS):
            guard !isTLS || tls != nil else {
                return loop.makeFailedFuture(Failure(description: "no certificates are trusted for https"))
            }
            return bootstrap.resolver(HostResolver(on: loop)).channelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    if isTLS, let tls {
                        let handler = TLSHandler(tls, serverName: host, peer: "the server", handshakeTimeout: limit)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(Exchange(request, promise, waitsForTLS: isTLS))
                }
            }.connect(host: host, port: port)
        }
    }

    private final class Exchange: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        typealias OutboundOut = HTTPClientRequestPart
        private let request: Request
        private let promise: EventLoopPromise<Response>
        private let waitsForTLS: Bool
        private var response = Response(status: .ok, headers: [:], body: [])

        init(_ request: Request, _ promise: EventLoopPromise<Response>, waitsForTLS: Bool) {
            self.request = request
            self.promise = promise
            self.waitsForTLS = waitsForTLS
        }

        func channelActive(context: ChannelHandlerContext) {
            if !waitsForTLS { write(context) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is TLSEstablished { write(context) }
        }

        private func write(_ context: ChannelHandlerContext) {
            let head = HTTPRequestHead(
                version: .http1_1,
                method: request.method,
                uri: request.target,
                headers: request.headers
            )
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request.body)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): (response.status, response.headers) = (head.status, head.headers)
            case .body(let buffer):
                guard response.body.count + buffer.readableBytes <= HTTPClient.bodyLimit else {
                    promise.fail(Failure(description: "the answer is longer than \(HTTPClient.bodyLimit >> 20) MiB"))
                    return
                }
                response.body += Array(buffer.readableBytesView)
            case .end: promise.succeed(response)
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(Failure(description: "the connection was closed without an answer"))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.close(promise: nil)
        }
    }
}

/// An `http` or `https` URL, taken apart.
struct WebURL: Sendable, Equatable {
    var isTLS: Bool
    var host: String
    var port: Int
    /// With the query; "/" where there is none.
    var path: String
    /// "host" or "host:port", as written.
    var authority: String

    /// - Returns: nil for other schemes, a missing host, user information or a bad port.
    init?(_ text: String) {
        let scheme = ["http://", "https://"].first { text.lowercased().hasPrefix($0) }
        guard let scheme, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        isTLS = scheme == "https://"
        var rest = text.dropFirst(scheme.count)
        if let fragment = rest.firstIndex(of: "#") { rest = rest[..<fragment] }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        authority = String(rest[..<end])
        let tail = rest[end...]
        path = tail.hasPrefix("/") ? String(tail) : "/" + tail
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        let parts = Self.split(authority)
        guard let parts, !parts.host.isEmpty else { return nil }
        host = parts.host
        if let digits = parts.port {
            guard let number = Int(digits), (1...65535).contains(number) else { return nil }
            port = number
        } else {
            port = isTLS ? 443 : 80
        }
    }

    private static func split(_ authority: String) -> (host: String, port: String?)? {
        var host = authority[...]
        var port: String?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let rest = authority[authority.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            port = rest.isEmpty ? nil : String(rest.dropFirst())
        } else if let colon = authority.lastIndex(of: ":") {
            (host, port) = (authority[..<colon], String(authority[authority.index(after: colon)...]))
            guard !host.contains(":") else { return nil }
        }
        return (String(host), port?.isEmpty == true ? nil : port)
    }
}
