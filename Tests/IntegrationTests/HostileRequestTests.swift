import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// The bytes of `http1-hostile.json`, sent to a real entry, with a real connector and an internal host that records
/// all it gets.
@Suite(.serialized)
struct HostileRequestTests {
    /// Everything the internal host received for one vector.
    final class Recorder: Sendable {
        private let state = Mutex<(bytes: [UInt8], requests: [[UInt8]])>(([], []))

        var bytes: [UInt8] { state.withLock { $0.bytes } }
        var requests: [[UInt8]] { state.withLock { $0.requests } }
        func reset() { state.withLock { $0 = ([], []) } }
        func received(_ bytes: [UInt8]) { state.withLock { $0.bytes += bytes } }
        func completed(_ request: [UInt8]) { state.withLock { $0.requests.append(request) } }

        func serve(_ socket: Socket) {
            var bytes: [UInt8] = []
            var isContinued = false
            while let piece = socket.receive(), !piece.isEmpty {
                received(piece)
                bytes += piece
                if !isContinued, let end = SimpleHTTP.headEnd(bytes[...]),
                    SimpleHTTP.fields(bytes[..<end]).contains(where: { $0.name.lowercased() == "expect" })
                {
                    isContinued = true
                    socket.send("HTTP/1.1 100 Continue\r\n\r\n")
                }
                while let end = SimpleHTTP.messageEnd(bytes, from: 0) {
                    let isHead = bytes.starts(with: "HEAD ".utf8)
                    completed(Array(bytes[..<end]))
                    bytes.removeFirst(end)
                    isContinued = false
                    socket.send(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n"
                            + (isHead ? "" : "ok\n")
                    )
                }
            }
            socket.close()
        }
    }

    /// `Host` names another system, or none; beside a target in absolute form it is to be ignored (RFC 9112 section 3.2.2).
    private static let otherHosts = ["HO-06", "HO-27", "HO-28", "HO-30"]

    @Test(
        "Every request gets a safe answer, and nothing forbidden reaches the internal host",
        arguments: [true, false]
    )
    func vectors(isAbsolute: Bool) throws {
        let recorder = Recorder()
        let backend = TestServer { socket, _ in recorder.serve(socket) }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(
                port: backend.port,
                "{path: /ok, access: path-and-sub-paths}, {path: /exact, access: path-only}"
            )
        )
        for vector in HostileVector.all where vector.needs == nil {
            recorder.reset()
            let outcome = try Exchange(vector, rig, isAbsolute: isAbsolute)
            if isAbsolute, Self.otherHosts.contains(vector.id) {
                #expect(outcome.finals.map(\.status) == [200], "\(vector.id)")
                continue
            }
            for problem in Judge(vector, outcome, recorder, isAbsolute).problems {
                Issue.record("\(vector.id): \(problem) (got \(outcome.finals.map(\.status)), \(outcome.end))")
            }
        }
        // It still works.
        #expect(try rig.curl("http://backend.test/ok").hasPrefix("HTTP/1.1 200"))
    }
}

/// What came back for one vector.
struct Exchange {
    enum End { case closed, reset, open }
    var finals: [SimpleResponse] = []
    var interim: [Int] = []
    var end = End.open

    init(_ vector: HostileVector, _ rig: Rig, isAbsolute: Bool) throws {
        let socket = try rig.connect()
        defer { socket.close() }
        let bytes = vector.bytes(isAbsolute: isAbsolute)
        let wanted = vector.responses?.range.upperBound ?? 1
        let mayHang = ([vector.expect] + (vector.also_ok ?? [])).contains("hang")
        socket.send(bytes)
        if vector.half_close == true { socket.finishSending() }
        var received: [UInt8] = []
        // The first answer may take its time; after the last expected one only a moment is left for surplus ones.
        while true {
            let isEnough = Self.finals(received, vector).count >= wanted
            let patience = isEnough ? 60 : mayHang ? 1000 : received.isEmpty ? Socket.timeout * 1000 : 3000
            guard socket.isReadable(within: patience) else { break }
            guard let piece = socket.receive() else {
                end = .reset
                break
            }
            if piece.isEmpty {
                end = .closed
                break
            }
            received += piece
        }
        finals = Self.finals(received, vector)
        interim = SimpleHTTP.responses(received, isHead: vector.head == true).map(\.status).filter { $0 < 200 }
    }

    static func finals(_ bytes: [UInt8], _ vector: HostileVector) -> [SimpleResponse] {
        SimpleHTTP.responses(bytes, isHead: vector.head == true).filter { $0.status >= 200 || $0.status == 101 }
    }
}

/// Whether an outcome is among those the vector allows.
struct Judge {
    private(set) var problems: [String] = []

    static let closingCategories: Set = [
        "request-line", "host", "header-syntax", "content-length", "transfer-encoding", "chunked", "connection-state",
    ]

    init(_ vector: HostileVector, _ outcome: Exchange, _ recorder: HostileRequestTests.Recorder, _ isAbsolute: Bool) {
        let allowed = [vector.expect] + (vector.also_ok ?? [])
        let statuses = outcome.finals.map(\.status)
        guard let first = statuses.first else {
            let isSafe =
                outcome.end == .open
                ? allowed.contains("hang") : allowed.contains { $0.hasPrefix("reject") || $0.hasPrefix("policy") }
            if !isSafe { problems.append("no answer") }
            return
        }
        guard let matched = allowed.first(where: { Self.matches($0, first, vector) }) else {
            problems.append("expected \(allowed)")
            return
        }
        let range = vector.responses?.range ?? 1...1
        if matched == "accept-and-normalise" || matched == vector.expect && matched.hasPrefix("policy") {
            let isCut = outcome.end != .open && statuses.count < range.lowerBound && range.lowerBound > 1
            if !range.contains(statuses.count), !isCut { problems.append("expected \(range) answers") }
            if statuses.count > 1, let second = vector.second, !second.contains(statuses.last!) {
                problems.append("expected \(second) at last")
            }
            if vector.must_close == true, outcome.end == .open { problems.append("left open") }
        } else if statuses.count > 1 {
            problems.append("answers after a refusal")
        }
        if matched.hasPrefix("reject"), first == 400, outcome.end == .open,
            Self.closingCategories.contains(vector.category)
        {
            problems.append("400, but left open")
        }
        if !(vector.never ?? []).filter({ (statuses + outcome.interim).contains($0) }).isEmpty {
            problems.append("forbidden status")
        }
        checkForwarded(vector, outcome, recorder, isAbsolute, isAccepted: matched == "accept-and-normalise")
    }

    private static func matches(_ expected: String, _ status: Int, _ vector: HostileVector) -> Bool {
        let own = expected == vector.expect ? vector.status : nil
        switch expected {
        case "accept-and-normalise": return (200..<400).contains(status)
        case "policy-deny-403": return status == 403
        case "reject-400": return (own ?? [400]).contains(status)
        case "reject-4xx":
            return own?.contains(status) ?? ((400..<500).contains(status) || status == 501 || status == 505)
        default: return false
        }
    }

    private mutating func checkForwarded(
        _ vector: HostileVector,
        _ outcome: Exchange,
        _ recorder: HostileRequestTests.Recorder,
        _ isAbsolute: Bool,
        isAccepted: Bool
    ) {
        let raw = String(decoding: recorder.bytes, as: Unicode.ASCII.self)
        let requests = recorder.requests
        for text in vector.must_not_reach ?? [] where raw.contains(vector.expand(text, isAbsolute: isAbsolute)) {
            problems.append("\(text) reached the internal host")
        }
        if isAccepted {
            for text in vector.must_reach ?? [] where !raw.contains(vector.expand(text, isAbsolute: isAbsolute)) {
                problems.append("\(text) did not reach the internal host")
            }
            if vector.half_close == true, !requests.isEmpty {
                problems.append("an incomplete request arrived as a complete one")
            }
        }
        let good = outcome.finals.filter { (200..<400).contains($0.status) }.count
        if requests.count > good { problems.append("\(requests.count) requests arrived for \(good) good answers") }
        for request in requests {
            let end = SimpleHTTP.headEnd(request[...])!
            let head = Array(request[..<(end - 4)])
            for index in head.indices where head[index] == 13 || head[index] == 10 {
                let isPair =
                    head[index] == 13
                    ? index + 1 < head.count && head[index + 1] == 10 : index > 0 && head[index - 1] == 13
                if !isPair { problems.append("bare CR or LF forwarded") }
            }
            let names = SimpleHTTP.fields(request[..<end]).map { $0.name.lowercased() }
            if names.filter({ $0 == "host" }).count != 1 { problems.append("not exactly one Host forwarded") }
            if names.filter({ $0 == "content-length" || $0 == "transfer-encoding" }).count > 1 {
                problems.append("two framings forwarded")
            }
            for name in [
                "proxy-authorization", "proxy-connection", "keep-alive", "http2-settings", "connection", "upgrade",
            ] where names.contains(name) {
                problems.append("\(name) forwarded")
            }
        }
    }
}
