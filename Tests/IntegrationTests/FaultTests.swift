import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// Large transfers, slow peers and processes that die.
@Suite(.serialized)
struct FaultTests {
    /// Bytes that differ from place to place, without keeping them all.
    static func pattern(_ count: Int, from offset: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: (offset + $0) &* 31 >> 5) }
    }

    /// Answers GET /N with N mebibytes and POST with the sum of what it got.
    static func transferServer() -> TestServer {
        let block = pattern(1 << 20, from: 0)
        return TestServer { socket, _ in
            while true {
                var bytes = socket.receive { SimpleHTTP.headEnd($0[...]) != nil }
                guard let end = SimpleHTTP.headEnd(bytes[...]) else { break }
                let head = String(decoding: bytes[..<end], as: UTF8.self)
                if head.hasPrefix("POST") {
                    let length =
                        SimpleHTTP.fields(bytes[..<end]).first { $0.name == "content-length" }.flatMap {
                            Int($0.value)
                        } ?? 0
                    bytes.removeFirst(end)
                    var sum = Checksum()
                    sum.add(bytes[...])
                    while sum.count < length, let piece = socket.receive(1 << 18), !piece.isEmpty {
                        sum.add(piece[...])
                    }
                    guard socket.send(TestServer.ok("\(sum.count) \(sum.value)")) else { break }
                } else {
                    let count = Int(head.dropFirst(5).prefix { $0.isNumber }) ?? 0
                    guard socket.send("HTTP/1.1 200 OK\r\nContent-Length: \(count << 20)\r\n\r\n") else { break }
                    for _ in 0..<count where !socket.send(block) { break }
                }
            }
            socket.close()
        }
    }

    struct Checksum {
        var count = 0
        var value: UInt64 = 14_695_981_039_346_656_037
        mutating func add(_ bytes: ArraySlice<UInt8>) {
            count += bytes.count
            bytes.withUnsafeBytes { bytes in
                for byte in bytes { value = (value ^ UInt64(byte)) &* 1_099_511_628_211 }
            }
        }
    }

    static var mebibytes: Int {
        ProcessInfo.processInfo.environment["CONNECTOR_TRANSFER_MIB"].flatMap { Int($0) } ?? 64
    }

    @Test("A large download and a large upload arrive intact, in little memory")
    func transfers() throws {
        let backend = Self.transferServer()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        let block = Self.pattern(1 << 20, from: 0)
        var expected = Checksum()
        for _ in 0..<Self.mebibytes { expected.add(block[...]) }

        let socket = try rig.connect()
        socket.send("GET http://backend.test/\(Self.mebibytes) HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        var bytes = socket.receive { SimpleHTTP.headEnd($0[...]) != nil }
        bytes.removeFirst(SimpleHTTP.headEnd(bytes[...])!)
        var received = Checksum()
        received.add(bytes[...])
        while received.count < expected.count, let piece = socket.receive(1 << 18), !piece.isEmpty {
            received.add(piece[...])
        }
        #expect(received.count == expected.count && received.value == expected.value)

        socket.send(
            "POST http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nContent-Length: \(expected.count)\r\n\r\n"
        )
        for _ in 0..<Self.mebibytes { #expect(socket.send(block)) }
        #expect(socket.receive(through: "\(expected.count) \(expected.value)").contains("HTTP/1.1 200"))
        // Sanitizers take memory of their own.
        if !Sanitizer.isOn {
            #expect(
                rig.cloud.peakMemory < 100 && connector.peakMemory < 100,
                "\(rig.cloud.peakMemory) \(connector.peakMemory)"
            )
        }
    }

    @Test("Beside sixteen downloads whose clients have stopped reading, small requests are all answered")
    func stoppedReaders() throws {
        let backend = Self.transferServer()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        var stopped: [Socket] = []
        for _ in 0..<16 {
            let socket = try rig.connect()
            socket.limitReceiveBuffer(4096)
            socket.send("GET http://backend.test/100 HTTP/1.1\r\nHost: backend.test\r\n\r\n")
            #expect(socket.receive(20) != nil)
            stopped.append(socket)
        }
        let small = try rig.connect()
        for index in 0..<200 {
            small.send("GET http://backend.test/0?\(index) HTTP/1.1\r\nHost: backend.test\r\n\r\n")
            #expect(small.receive(through: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
        }
        if !Sanitizer.isOn {
            #expect(
                rig.cloud.peakMemory < 100 && connector.peakMemory < 100,
                "\(rig.cloud.peakMemory) \(connector.peakMemory)"
            )
        }
        for socket in stopped { socket.reset() }
    }

    /// A download that has begun and goes on until something breaks.
    static func begin(_ rig: Rig) throws -> Socket {
        let socket = try rig.connect()
        socket.send("GET http://backend.test/4000 HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(socket.receive(1 << 20)?.isEmpty == false)
        return socket
    }

    @Test("When the internal host dies within a response, the client's connection is cut, not ended")
    func backendDies() throws {
        let backend = TestServer { socket, number in
            _ = socket.receive(through: "\r\n\r\n")
            socket.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            if number > 1 { socket.send("0\r\n\r\n") }
            socket.close()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        let (bytes, _) = socket.receiveToEnd()
        #expect(!String(decoding: bytes, as: UTF8.self).contains("0\r\n\r\n"))
        try connector.wait(for: "the internal host closed the connection within the response")
        #expect(try rig.curl("http://backend.test/").hasSuffix("hello"))
    }

    @Test("When the connector is killed, transfers are cut, new requests get 503, and it comes back by itself")
    func connectorKilled() throws {
        let backend = Self.transferServer()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try Self.begin(rig)
        connector.stop(SIGKILL)
        while let piece = socket.receive(1 << 20), !piece.isEmpty {}
        try rig.cloud.wait(for: "tunnel disconnected")
        #expect(try rig.curl("http://backend.test/0").hasPrefix("HTTP/1.1 503"))
        try rig.restartConnector()
        #expect(try rig.curl("http://backend.test/0").hasPrefix("HTTP/1.1 200"))
    }

    @Test(
        "When the service is killed within a transfer, both ends are let go, and the connector dials until it is back"
    )
    func serviceKilled() throws {
        let backend = Self.transferServer()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        let before = connector.openDescriptors
        let socket = try Self.begin(rig)
        rig.cloud.stop(SIGKILL)
        while let piece = socket.receive(1 << 20), !piece.isEmpty {}
        #expect(!socket.isReadable(within: 0) || (socket.receive() ?? []).isEmpty)
        try connector.wait(for: "tunnel disconnected")
        try connector.wait(for: "tunnel not connected")
        #expect(connector.openDescriptors <= before)
        try rig.restartCloud()
        try rig.cloud.wait(for: "tunnel connected")
        #expect(try rig.curl("http://backend.test/0").hasPrefix("HTTP/1.1 200"))
    }

    @Test("A request that is answered while the tunnel breaks gets 502, and the line in the log says why")
    func tunnelLost() throws {
        let isAsked = DispatchSemaphore(value: 0)
        let backend = TestServer { socket, _ in
            _ = socket.receive(through: "\r\n\r\n")
            isAsked.signal()
            _ = socket.receiveToEnd()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(isAsked.wait(timeout: .now() + .seconds(Socket.timeout)) == .success)
        connector.stop(SIGKILL)
        let text = socket.receive(through: "processed.\n")
        #expect(text.hasPrefix("HTTP/1.1 502 ") && text.contains("source=tunnel"))
        try rig.cloud.wait(for: "the tunnel closed before the response was complete")
    }

    @Test("Requests land on a tunnel wherever its event loop is")
    func eventLoops() throws {
        let backend = Self.transferServer()
        defer { backend.stop() }
        let rig = try Rig(cloud: "event-loops: 3")
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port), connections: 1)
        let block = Self.pattern(1 << 20, from: 0)
        var sum = Checksum()
        for _ in 0..<3 { sum.add(block[...]) }
        for _ in 0..<6 {
            let socket = try rig.connect()
            socket.send("GET http://backend.test/3 HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
            var bytes = socket.receiveToEnd().bytes
            bytes.removeFirst(SimpleHTTP.headEnd(bytes[...])!)
            var received = Checksum()
            received.add(bytes[...])
            #expect(received.count == sum.count && received.value == sum.value)
            let upload = try rig.connect()
            upload.send(
                "POST http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nContent-Length: \(sum.count)\r\n\r\n"
            )
            for _ in 0..<3 { #expect(upload.send(block)) }
            #expect(upload.receive(through: "\(sum.count) \(sum.value)").contains("HTTP/1.1 200"))
        }
    }

    @Test("A client that does not finish its head gets 408, an internal host that does not answer 504")
    func timeLimits() throws {
        let backend = TestServer { socket, _ in _ = socket.receiveToEnd() }
        defer { backend.stop() }
        let rig = try Rig(cloud: "times: {request-head: 1s, request-body: 1s, keep-alive: 1s}")
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port), extra: "times: {response-head: 1s}")
        let slow = try rig.connect()
        slow.send("GET http://backend.test/ HTTP/1.1\r\nHost: ")
        #expect(SimpleHTTP.responses(slow.receiveToEnd().bytes).map(\.status) == [408])
        let body = try rig.connect()
        body.send("POST http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nContent-Length: 10\r\n\r\nabc")
        #expect(SimpleHTTP.responses(body.receiveToEnd().bytes).map(\.status) == [408])
        let unanswered = try rig.curl("http://backend.test/")
        #expect(unanswered.hasPrefix("HTTP/1.1 504 ") && unanswered.contains("http_response_timeout"))
        let idle = try rig.connect()
        #expect(idle.receiveToEnd().bytes.isEmpty)
    }

    @Test("Ten clients that come and go a hundred times leave no descriptor behind")
    func descriptors() throws {
        let backend = Self.transferServer()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port), extra: "times: {pool-idle: 1s}")
        #expect(try rig.curl("http://backend.test/0").hasPrefix("HTTP/1.1 200"))
        let before = (rig.cloud.openDescriptors, connector.openDescriptors)
        for round in 0..<100 {
            let sockets = try (0..<10).map { _ in try rig.connect() }
            for socket in sockets { socket.send("GET http://backend.test/1 HTTP/1.1\r\nHost: backend.test\r\n\r\n") }
            for socket in sockets { round % 2 == 0 ? socket.reset() : socket.close() }
        }
        // Pooled connections go after a second without use.
        for _ in 0..<100 where rig.cloud.openDescriptors > before.0 || connector.openDescriptors > before.1 {
            _ = try rig.connect().isReadable(within: 100)
        }
        #expect(rig.cloud.openDescriptors <= before.0 + 1 && connector.openDescriptors <= before.1)
    }

    @Test("A connection limit makes further clients wait, not fail")
    func connectionLimit() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("ok") }
        defer { backend.stop() }
        let rig = try Rig(cloud: "proxy: {listen: \"127.0.0.1:PORT\", max-connections: 2}")
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let first = [try rig.connect(), try rig.connect()]
        let waiting = try rig.connect()
        waiting.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(!waiting.isReadable(within: 300))
        first[0].close()
        #expect(waiting.receive(through: "ok").hasPrefix("HTTP/1.1 200"))
    }
}

/// Whether this build watches itself.
enum Sanitizer {
    static let isOn = ProcessInfo.processInfo.environment["CONNECTOR_SANITIZER"] != nil
}

/// A tunnel whose other end is there but says nothing, as behind a firewall that has forgotten it.
@Suite(.serialized) struct SilenceTests {
    @Test(
        "A connector that stands still is said to be silent, and is given up after two intervals; so is the request that waits for it"
    )
    func frozen() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("") }
        defer { backend.stop() }
        let rig = try Rig(cloud: "proxy: {listen: \"127.0.0.1:0\"}")
        defer { rig.stop() }
        try rig.rewrite("cloud.conf") {
            $0.replacingOccurrences(
                of: "  certificate: service.pem",
                with: "  ping-interval: 2s\n  certificate: service.pem"
            )
        }
        let reloaded = try rig.control("reload", "--config", "cloud.conf")
        #expect(reloaded.status == 0, "\(reloaded.output)")
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
        let start = DispatchTime.now().uptimeNanoseconds
        connector.freeze()
        defer { connector.signal(SIGCONT) }
        let client = try rig.connect()
        client.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        let isSaid = try Rig.eventually {
            try rig.control("status", "--cloud", "--config", "cloud.conf").output.contains("silent for ")
        }
        #expect(isSaid)
        let answer = String(decoding: client.receiveToEnd().bytes, as: UTF8.self)
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        #expect(answer.hasPrefix("HTTP/1.1 502") && answer.contains("silent for two ping intervals"), "\(answer)")
        try AgreementTests.expectAgreement(
            rig,
            answer,
            "connection_terminated",
            "response-head",
            isKnownToConnector: false
        )
        // Less than the 20 s of the default interval.
        #expect(seconds > 2 && seconds < 18, "\(seconds)")
    }
}
