import ConnectorTestSupport
import Foundation
import Testing

/// After an error of the whole HTTP/2 connection it ends at once (RFC 9113 section 5.4.1), and its requests fail with the cause.
@Suite(.serialized) struct ConnectionErrorTests {
    enum Fault: String, CaseIterable, Sendable {
        case dataOnStreamZero, brokenCompression, pushPromise, hugeFrame, settingsWithWrongLength, windowOfZero,
            headersOnEven

        func frame(_ stream: UInt32) -> Frame {
            switch self {
            case .dataOnStreamZero: Frame(type: Frame.Kind.data, stream: 0, payload: [1])
            // An index that no table has.
            case .brokenCompression:
                Frame(type: Frame.Kind.headers, flags: 4, stream: stream, payload: [0xff, 0xff, 0xff, 0x7f])
            case .pushPromise: Frame(type: 5, flags: 4, stream: stream, payload: [0, 0, 0, 2, 0x88])
            case .hugeFrame:
                Frame(type: Frame.Kind.data, stream: stream, payload: [UInt8](repeating: 0, count: 17 << 10))
            case .settingsWithWrongLength: Frame(type: Frame.Kind.settings, payload: [0, 1, 2])
            case .windowOfZero: Frame(type: Frame.Kind.windowUpdate, payload: [0, 0, 0, 0])
            case .headersOnEven: Frame(type: Frame.Kind.headers, flags: 5, stream: 2, payload: [0x88])
            }
        }
    }

    @Test("The connection closes, the request says why, and others do not notice", arguments: Fault.allCases)
    func closes(_ fault: Fault) throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        try rig.startConnector()
        let peer = try rig.hostile(try rig.enrol(HostileRig.location))
        let client = try rig.connect()
        client.send(HostileRig.request("GET", "Connection: close\r\n"))
        let stream = try peer.nextRequest()
        let start = DispatchTime.now().uptimeNanoseconds
        peer.send(fault.frame(stream))
        let answer = String(decoding: client.receiveToEnd().bytes, as: UTF8.self)
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        #expect(answer.hasPrefix("HTTP/1.1 502"), "\(fault): \(answer)")
        #expect(answer.contains("source=tunnel") && answer.contains("broke the HTTP/2 protocol"), "\(fault): \(answer)")
        #expect(seconds < 5, "\(fault): \(seconds) s")
        #expect(peer.next { _ in false } == nil && peer.isClosed)
        try rig.cloud.wait(for: "tunnel disconnected")
        #expect(try rig.isServing())
    }
}
