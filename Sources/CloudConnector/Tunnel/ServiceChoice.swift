package import NIOCore
internal import Networking

/// Which addresses of a service with very many get tunnels: others for each connector, so that all services have as many, and the same ones
/// as long as they are there.
package enum ServiceChoice {
    /// - Parameters:
    ///   - limit: of addresses.
    ///   - seed: what tells connectors apart.
    /// - Returns: all of them where there are no more than `limit`; else those with the greatest weights (rendezvous hashing).
    package static func choose(_ addresses: [SocketAddress], limit: Int, seed: String) -> [SocketAddress] {
        guard addresses.count > limit else { return addresses }
        let weighed = addresses.map { (address: $0, weight: weight(seed, $0.text)) }
        return weighed.sorted { ($0.weight, $0.address.text) > ($1.weight, $1.address.text) }.prefix(limit).map(
            \.address
        )
    }

    /// FNV-1a over both, and the mixing of splitmix64, without which similar addresses would have similar weights.
    private static func weight(_ seed: String, _ address: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in Array(seed.utf8) + [0] + Array(address.utf8) {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        return hash ^ hash >> 31
    }
}
