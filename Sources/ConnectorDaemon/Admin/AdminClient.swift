internal import ControlProtocol
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Tokens

/// Asks a running daemon over its admin socket.
struct AdminClient {
    let path: String

    struct Response: Sendable {
        var status: Int
        var body: [UInt8]

        func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
            guard status == 200 else {
                let text = (try? JSONLines.decode(AdminError.self, body))?.error
                throw AdminFailure(text ?? "the daemon answered \(status)")
            }
            return try JSONLines.decode(type, body)
        }
    }

    func get(_ path: String) async throws -> Response { try await send(.GET, path, []) }
    func post(_ path: String, _ value: some Encodable) async throws -> Response {
        try await send(.POST, path, JSONLines.encode(value))
    }
    func put(_ path: String, _ value: some Encodable) async throws -> Response {
        try await send(.PUT, path, JSONLines.encode(value))
    }

    private func send(_ method: HTTPMethod, _ target: String, _ body: [UInt8]) async throws -> Response {
        let group = MultiThreadedEventLoopGroup.singleton
        let promise = group.next().makePromise(of: Response.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: promise.futureResult.eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(Collector(promise))
                    }
                }
                .connect(unixDomainSocketPath: path).get()
        } catch {
            promise.fail(error)
            throw AdminFailure(
                "no daemon answers on \(path) (\(Self.reason(error))): does it run, and is this its socket?"
            )
        }
        let headers: HTTPHeaders = [
            "host": "connectord", "content-length": String(body.count), "content-type": "application/json",
        ]
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: headers)
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        defer { channel.close(promise: nil) }
        return try await promise.futureResult.get()
    }

    private static func reason(_ error: any Error) -> String {
        (error as? IOError).map { String(cString: strerror($0.errnoCode)).lowercased() } ?? "\(error)"
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        private let promise: EventLoopPromise<Response>
        private var response = Response(status: 0, body: [])

        init(_ promise: EventLoopPromise<Response>) { self.promise = promise }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): response.status = Int(head.status.code)
            case .body(let buffer): response.body += Array(buffer.readableBytesView)
            case .end: promise.succeed(response)
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(AdminFailure("the daemon closed the connection"))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.close(promise: nil)
        }
    }
}

/// Bodies of requests and answers on the admin socket.
enum AdminMessage {
    struct Level: Codable, Sendable { var level: String }
    struct Empty: Codable, Sendable {}
    struct Check: Codable, Sendable { var hosts: [String] }
    struct Systems: Codable, Sendable { var systems: [ConnectorStatus.System] }
    struct Reload: Codable, Sendable {
        var isApplied: Bool
        /// Errors if not, warnings if so.
        var findings: [String]
    }
    struct Enrolment: Codable, Sendable {
        var subaccount: String
        var locationID: String
        var seconds: Int
    }
    struct Token: Codable, Sendable {
        var token: String
        var expires: Int
        /// Something odd about the wish.
        var note: String?
    }
    struct TokenWish: Codable, Sendable {
        var subaccount: String?
        var service: ServiceClient.Service
        var user: String?
    }
    struct Key: Codable, Sendable { var id: String }
    struct Identity: Codable, Sendable {
        var subaccount: String
        var locationID: String
    }
    struct Revoked: Codable, Sendable {
        var certificates: Int
        var tunnels: Int
    }
}
