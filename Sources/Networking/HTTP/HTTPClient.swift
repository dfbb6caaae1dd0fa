package import Cryptography
internal import Glibc
package import NIOCore
package import NIOHTTP1
internal import NIOPosix

/// Sends single requests, each on a connection of its own: to token services, to the own proxy entry, to admin sockets.
package struct HTTPClient: Sendable {
    /// Where a server is reached: by host and port, or by a socket in the file system.
    package enum Address: Sendable, Equatable {
        case host(String, port: Int, isTLS: Bool)
        case socket(String)
    }

    /// One request, with all of its body.
    package struct Request: Sendable {
        package var method: HTTPMethod
        /// As it goes out: a path, or a whole URL where the peer is a proxy.
        package var target: String
        package var headers: HTTPHeaders
        package var body: [UInt8] = []

        package init(method: HTTPMethod, target: String, headers: HTTPHeaders, body: [UInt8] = []) {
            self.method = method
            self.target = target
            self.headers = headers
            self.body = body
        }
    }

    /// One response, with all of its body.
    package struct Response: Sendable {
        package var status: HTTPResponseStatus
        package var headers: HTTPHeaders
        package var body: [UInt8]
    }

    /// Why there was no response, in words for people.
    package struct HTTPClientError: Error, CustomStringConvertible {
        package var description: String

        package init(description: String) {
            self.description = description
        }
    }

    /// Bytes of a response's body.
    static let bodyLimit = 16 << 20

    /// For `https`.
    private let tls: TLSContext?
    private let timeout: TimeAmount
    /// Why a server is not the right one, by its certificate; nil where its name says it.
    private let fault: (@Sendable (TLSEstablished) -> String?)?

    /// For servers that are known by something else than their names.
    ///
    /// - Parameter fault: why the other end is not the right one; nil where it is.
    package init(
        _ configuration: TLSConfiguration,
        timeout: TimeAmount = .seconds(30),
        fault: @escaping @Sendable (TLSEstablished) -> String?
    ) throws {
        tls = try TLSContext(configuration)
        (self.timeout, self.fault) = (timeout, fault)
    }

    /// - Parameters:
    ///   - trust: a file with certificates that anchor `https`; nil where only other connections are made.
    ///   - timeout: from the begin of the connection to the end of the response.
    package init(trust: String? = nil, timeout: TimeAmount = .seconds(30)) throws {
        tls = try trust.map { file in
            try TLSContext(
                TLSConfiguration(
                    role: .client,
                    minimumVersion: .tls12,
                    // Without ALPN it is HTTP/1.1, and many servers know no other.
                    trust: .anchors([.file(file)])
                )
            )
        }
        self.timeout = timeout
        fault = nil
    }

    /// A method that has a body says so even if it is empty (RFC 9110 section 8.6).
    package static func setLength(_ headers: inout HTTPHeaders, _ method: HTTPMethod, _ body: [UInt8]) {
        guard !body.isEmpty || [.POST, .PUT, .PATCH].contains(method) else { return }
        headers.replaceOrAdd(name: "content-length", value: String(body.count))
    }

    /// Sends a request over a connection of its own, and waits for the whole response.
    package func send(_ request: Request, to address: Address) async throws -> Response {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: Response.self)
        let limit = timeout
        let timer = loop.scheduleTask(in: limit) {
            promise.fail(HTTPClientError(description: "no answer within \(limit.nanoseconds / 1_000_000_000) seconds"))
        }
        let connecting = connect(request, address, promise, loop)
        connecting.whenFailure { promise.fail($0) }
        promise.futureResult.whenComplete { _ in
            timer.cancel()
            connecting.whenSuccess { $0.close(promise: nil) }
        }
        do {
            return try await promise.futureResult.get()
        } catch let failure as HTTPClientError {
            throw failure
        } catch {
            throw HTTPClientError(description: ConnectionError(error).cause)
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
                return loop.makeFailedFuture(HTTPClientError(description: "no certificates are trusted for https"))
            }
            return bootstrap.resolver(HostResolver(on: loop)).channelInitializer { [tls, fault] channel in
                channel.eventLoop.makeCompletedFuture {
                    if isTLS, let tls {
                        let name = fault == nil ? host : nil
                        let handler = TLSHandler(tls, serverName: name, peer: "the server", handshakeTimeout: limit)
                        try channel.pipeline.syncOperations.addHandler(handler)
                        if let fault { try channel.pipeline.syncOperations.addHandler(TLSPeerCheck(fault)) }
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
                    promise.fail(
                        HTTPClientError(description: "the answer is longer than \(HTTPClient.bodyLimit >> 20) MiB")
                    )
                    return
                }
                response.body += Array(buffer.readableBytesView)
            case .end: promise.succeed(response)
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(HTTPClientError(description: "the connection was closed without an answer"))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.close(promise: nil)
        }
    }
}
