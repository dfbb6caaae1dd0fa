internal import Foundation
internal import Synchronization

/// What became of the requests of a load.
package struct LoadResult: Sendable, CustomStringConvertible {
    package var sent = 0
    package var answered = 0
    /// Answered with 503: nothing was done, so the client may send it again.
    package var refused = 0
    /// No answer, half an answer or a wrong one.
    package var lost = 0
    package var details: [String] = []

    package var description: String {
        "\(sent) sent, \(answered) answered, \(refused) refused, \(lost) lost" + (details.isEmpty ? "" : " \(details)")
    }
}

/// Keep-alive connections that send GET and POST requests with bodies, one after the other, until told to stop.
package final class Load: Sendable {
    private let result = Mutex(LoadResult())
    private let isStopping = Atomic<Bool>(false)
    private let done = DispatchGroup()
    private let ports: [Int]
    private let url: String

    /// - Parameters:
    ///   - ports: of proxies; a connection goes on to the next one where it is refused, and after a farewell.
    package init(ports: [Int], connections: Int, url: String = "http://backend.test") {
        self.ports = ports
        self.url = url
        for index in 0..<connections {
            done.enter()
            Thread.detachNewThread { [self] in
                run(index)
                done.leave()
            }
        }
    }

    package var soFar: LoadResult { result.withLock { $0 } }

    package func stop() -> LoadResult {
        isStopping.store(true, ordering: .relaxed)
        done.wait()
        return soFar
    }

    private func run(_ index: Int) {
        var port = index
        var number = 0
        let body = String(repeating: "x", count: 64 << 10)
        while !isStopping.load(ordering: .relaxed) {
            guard let socket = try? Socket(connectingTo: ports[port % ports.count]) else {
                port += 1
                if ports.count == 1 { Thread.sleep(forTimeInterval: 0.01) }
                continue
            }
            while !isStopping.load(ordering: .relaxed) {
                number += 1
                let isPost = number % 4 == 0
                let head = "\(isPost ? "POST" : "GET") \(url)/\(index)-\(number) HTTP/1.1\r\nHost: backend.test\r\n"
                let request =
                    isPost ? head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body : head + "\r\n"
                guard exchange(socket, request, expect: "/\(index)-\(number) \(isPost ? body.utf8.count : 0)") else {
                    break
                }
            }
            port += 1
        }
    }

    /// - Returns: whether the connection goes on.
    private func exchange(_ socket: Socket, _ request: String, expect text: String) -> Bool {
        result.withLock { $0.sent += 1 }
        let isSent = socket.send(request)
        var bytes: [UInt8] = []
        while true {
            if let end = SimpleHTTP.headEnd(bytes[...]) {
                let head = String(decoding: bytes[..<end], as: UTF8.self).lowercased()
                let length = SimpleHTTP.contentLength(head)
                if bytes.count >= end + length {
                    let answer = String(decoding: bytes[end..<(end + length)], as: UTF8.self)
                    record(head, answer, text)
                    return isSent && !head.contains("connection: close")
                }
            }
            guard let piece = socket.receive(), !piece.isEmpty else {
                // A connection that ends between two requests, before anything was answered, is HTTP's to retry.
                result.withLock { result in
                    result.lost += 1
                    result.details.append("no answer after \(bytes.count) bytes to \(text)")
                }
                return false
            }
            bytes += piece
        }
    }

    private func record(_ head: String, _ answer: String, _ text: String) {
        result.withLock { result in
            if head.hasPrefix("http/1.1 200"), answer == text {
                result.answered += 1
            } else if head.hasPrefix("http/1.1 503") {
                result.refused += 1
            } else {
                result.lost += 1
                result.details.append("\(head.prefix(24)) \(answer.prefix(120)) to \(text)")
            }
        }
        if head.hasPrefix("http/1.1 503") { Thread.sleep(forTimeInterval: 0.02) }
    }

    /// Answers each request with its path and the length of its body.
    package static func backend() -> TestServer {
        TestServer.http { head, body in
            let path = head.split(separator: " ", maxSplits: 2)[1]
            return TestServer.ok("\(path) \(body.count)")
        }
    }
}
