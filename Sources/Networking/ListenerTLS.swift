package import Cryptography
internal import Synchronization

/// TLS of a listener that programs and people reach.
package struct ListenerTLS: Sendable, Equatable {
    /// PEM files.
    package var certificate = ""
    package var privateKey = ""
    /// PEM file with the authority whose certificates clients must show; empty where they need none.
    package var clientCA = ""
    package var minimumVersion = TLSConfiguration.Version.tls12
    /// Of the files, so that a reload notices their change.
    package var digest: [UInt8] = []

    package init() {}

    /// Reads the files' digest.
    package mutating func takeDigest() {
        digest = FileDigest.of([certificate, privateKey, clientCA].filter { !$0.isEmpty })
    }

    package var configuration: TLSConfiguration {
        var configuration = TLSConfiguration(
            role: .server,
            minimumVersion: minimumVersion,
            certificateChain: .file(certificate),
            privateKey: .file(privateKey),
            trust: .anchors(clientCA.isEmpty ? [] : [.file(clientCA)]),
            requiresClientCertificate: !clientCA.isEmpty
        )
        configuration.acceptsAnyAnchor = true
        return configuration
    }
}

/// What a listener shows new connections; replaced by a reload, while those that are open stay.
package final class ListenerCertificate: Sendable {
    private let state: Mutex<(settings: ListenerTLS?, context: TLSContext?)>

    /// - Parameter settings: nil for a listener without TLS.
    package init(_ settings: ListenerTLS?) throws(TLSError) {
        state = Mutex((settings, try Self.context(settings)))
    }

    private static func context(_ settings: ListenerTLS?) throws(TLSError) -> TLSContext? {
        guard let settings else { return nil }
        return try TLSContext(settings.configuration)
    }

    /// For the next connection; nil without TLS.
    package var current: TLSContext? { state.withLock { $0.context } }

    /// A change whose files have been read, to be made by `apply`.
    package struct Prepared: Sendable {
        fileprivate var settings: ListenerTLS?
        fileprivate var context: TLSContext?
    }

    /// - Throws: where a certificate or key cannot be used; nothing has changed then.
    package func prepare(_ settings: ListenerTLS?) throws(TLSError) -> Prepared {
        let old = state.withLock { $0 }
        if old.settings == settings { return Prepared(settings: settings, context: old.context) }
        return Prepared(settings: settings, context: try Self.context(settings))
    }

    /// What is in force.
    package var unchanged: Prepared {
        let now = state.withLock { $0 }
        return Prepared(settings: now.settings, context: now.context)
    }

    package func apply(_ prepared: Prepared) { state.withLock { $0 = (prepared.settings, prepared.context) } }
}
