package import Foundation

/// A client of the SOCKS5 entry, as SAP's libraries speak it.
package struct SocksClient {
    package let port: Int
    package let token: [UInt8]

    /// - Parameter file: of the service, in the folder.
    package init(_ cloud: LoggedProcess, _ folder: URL, file: String = "cloud.conf") throws {
        let line = try cloud.wait(for: "socks started")
        port = line.split(separator: "\"").compactMap { Int($0) }.first ?? 0
        token = Array(
            try Rig.run(["token", "--config", file], folder).output
                .trimmingCharacters(in: .whitespacesAndNewlines).utf8
        )
    }

    /// - Returns: the connection, and the reply's code or the status of the authentication.
    package func open(
        _ host: String,
        _ port: Int,
        location: String = "",
        token: [UInt8]? = nil
    ) throws -> (Socket, UInt8) {
        let socket = try Socket(connectingTo: self.port)
        socket.send([5, 1, 0x80])
        guard exactly(2, socket) == [5, 0x80] else { throw RigError("no SOCKS5 with tokens") }
        let token = token ?? self.token
        let encoded = Array(Data(location.utf8).base64EncodedString().utf8)
        let length = (0..<4).map { UInt8(truncatingIfNeeded: token.count >> (24 - 8 * $0)) }
        socket.send([1] + length + token + [UInt8(encoded.count)] + encoded)
        let status = exactly(2, socket)
        guard status == [1, 0] else { return (socket, status.last ?? 255) }
        let name = Array(host.utf8)
        socket.send([5, 1, 0, 3, UInt8(name.count)] + name + [UInt8(port >> 8), UInt8(port & 255)])
        let reply = exactly(10, socket)
        return (socket, reply.count == 10 ? reply[1] : 255)
    }

    package func exactly(_ count: Int, _ socket: Socket) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let piece = socket.receive(count - bytes.count), !piece.isEmpty {
            bytes += piece
        }
        return bytes
    }
}
