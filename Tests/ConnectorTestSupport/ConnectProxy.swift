internal import Foundation
internal import Synchronization

/// An HTTP proxy that knows CONNECT only.
package final class ConnectProxy: Sendable {
    private let server: TestServer
    private let log: Requests

    private final class Requests: Sendable {
        let heads = Mutex<[String]>([])
    }

    package var port: Int { server.port }
    package var heads: [String] { log.heads.withLock { $0 } }

    /// - Parameter route: from a request's head to 127.0.0.1:port, or to a status that refuses.
    package init(_ route: @escaping @Sendable (String) -> String) throws {
        let log = Requests()
        self.log = log
        server = TestServer { client, _ in
            let head = client.receive(through: "\r\n\r\n")
            log.heads.withLock { $0.append(head) }
            let answer = route(head)
            guard let port = answer.split(separator: ":").last.flatMap({ Int($0) }), answer.contains(":"),
                let target = try? Socket(connectingTo: port)
            else {
                client.send("HTTP/1.1 \(answer)\r\nContent-Length: 0\r\n\r\n")
                return client.close()
            }
            client.send("HTTP/1.1 200 Connection established\r\n\r\n")
            Thread.detachNewThread { Self.copy(target, client) }
            Self.copy(client, target)
        }
    }

    private static func copy(_ source: Socket, _ target: Socket) {
        while let piece = source.receive(), !piece.isEmpty, target.send(piece) {}
        target.close()
        source.close()
    }

    package func stop() { server.stop() }
}
