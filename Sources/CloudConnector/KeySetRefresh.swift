internal import Cryptography
internal import Glibc
internal import HostSystem
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Networking
internal import PrincipalPropagation
internal import Synchronization
internal import TextFormats

/// Fetches the keys of identity providers: at the start, each hour, and when a token names one that is not known.
struct KeySetRefresh: Sendable {
    let logger: Logger

    private static let systemTrust = "/etc/ssl/certs/ca-certificates.crt"

    /// Runs until its task is cancelled.
    func run(for connector: Connector) async {
        while !Task.isCancelled {
            let (users, trust) = connector.current.withLock { current in
                (current.snapshot.users, current.configuration.propagation?.trustedCA ?? "")
            }
            for keys in users?.fetchedKeys ?? [] where keys.isDue(now: WallClock.seconds()) {
                await fetch(keys, trust)
            }
            // A token may ask for keys at any time; without a URL there is nothing to look for but a reload.
            try? await Task.sleep(for: users?.fetchedKeys.isEmpty ?? true ? .seconds(5) : .seconds(1))
        }
    }

    private func fetch(_ keys: IssuerKeys, _ trust: String) async {
        guard let text = keys.url, let url = WebURL(text) else { return }
        let now = WallClock.seconds()
        do {
            let file = trust.isEmpty ? Self.systemTrust : trust
            let isThere = unsafe access(file, R_OK) == 0
            let client = try HTTPClient(trust: isThere ? file : nil, timeout: .seconds(10))
            let response = try await client.send(
                HTTPClient.Request(
                    method: .GET,
                    target: url.path,
                    headers: ["host": url.authority, "accept": "application/json", "connection": "close"]
                ),
                to: .host(url.host, port: url.port, isTLS: url.isTLS)
            )
            guard response.status == .ok else {
                return failed(keys, text, "the answer is \(response.status.code)", now)
            }
            if let fault = keys.took(response.body, now: now) { return failed(keys, text, fault, now) }
            logger.info("keys of an identity provider fetched", metadata: ["url": "\(text)"])
        } catch {
            failed(keys, text, "\(error)", now)
        }
    }

    private func failed(_ keys: IssuerKeys, _ url: String, _ cause: String, _ now: Int) {
        keys.failed(cause, now: now)
        logger.warning(
            "keys of an identity provider cannot be fetched; those of before stay in use",
            metadata: ["url": "\(url)", "cause": "\(cause)"]
        )
    }
}
