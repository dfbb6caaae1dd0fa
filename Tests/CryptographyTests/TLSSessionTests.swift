import EpollTransport
import NIOCore
import Testing

@testable import Cryptography

struct TLSSessionTests {
    static let issuer = (try? CertificateIssuer(commonName: "Test CA", days: 2))!
    static let otherIssuer = (try? CertificateIssuer(commonName: "Other CA", days: 2))!
    static let identity = ConnectorIdentity(subaccount: "sub 1", locationID: "plant/4")

    static func server(
        _ names: [String] = ["localhost"],
        issuer: CertificateIssuer = issuer,
        trust: CertificateIssuer = issuer,
        days: Int = 2,
        protocols: [String] = ["h2-reverse"],
        version: TLSConfiguration.Version = .tls13
    ) throws -> TLSContext {
        let own = try issuer.issue(.server(names: names), commonName: "service", days: days)
        return try TLSContext(
            TLSConfiguration(
                role: .server,
                minimumVersion: version,
                certificateChain: .pem(own.certificate),
                privateKey: .pem(own.privateKey),
                trust: .anchors([.pem(trust.authority.certificate)]),
                requiresClientCertificate: true,
                applicationProtocols: protocols
            )
        )
    }

    static func client(
        issuer: CertificateIssuer? = issuer,
        trust: CertificateIssuer? = issuer,
        days: Int = 2,
        protocols: [String] = ["h2-reverse"],
        version: TLSConfiguration.Version = .tls13
    ) throws -> TLSContext {
        let own = try issuer?.issue(.connector(identity), commonName: "connector", days: days)
        return try TLSContext(
            TLSConfiguration(
                role: .client,
                minimumVersion: version,
                certificateChain: own.map { .pem($0.certificate) },
                privateKey: own.map { .pem($0.privateKey) },
                trust: .anchors(trust.map { [.pem($0.authority.certificate)] } ?? []),
                applicationProtocols: protocols
            )
        )
    }

    struct Outcome {
        var client: TLSSession
        var server: TLSSession
        var clientError: TLSError?
        var serverError: TLSError?
    }

    /// Shakes hands over buffers until nothing moves any more.
    static func handshake(_ client: TLSContext, _ server: TLSContext, name: String = "localhost") throws -> Outcome {
        var outcome = Outcome(
            client: try TLSSession(client, serverName: name, peer: "the service", buffers: LoopBuffers()),
            server: try TLSSession(server, serverName: nil, peer: "the connector", buffers: LoopBuffers())
        )
        func step(_ session: TLSSession) -> TLSError? {
            do throws(TLSError) {
                try session.handshake()
                var plaintext = ByteBuffer()
                try session.read(into: &plaintext)
                return nil
            } catch { return error }
        }
        for _ in 0..<10 {
            outcome.clientError = outcome.clientError ?? step(outcome.client)
            if let flight = outcome.client.takeCiphertext() { outcome.server.receive(flight) }
            outcome.serverError = outcome.serverError ?? step(outcome.server)
            if let flight = outcome.server.takeCiphertext() { outcome.client.receive(flight) }
        }
        return outcome
    }

    @Test("Both sides prove who they are, and the connector's identity is in its certificate")
    func mutual() throws {
        let outcome = try Self.handshake(try Self.client(), try Self.server())
        #expect(outcome.clientError == nil && outcome.serverError == nil)
        #expect(outcome.client.state == .established && outcome.server.state == .established)
        #expect(outcome.server.version == "TLSv1.3")
        #expect(outcome.server.applicationProtocol == "h2-reverse")
        #expect(outcome.server.peerCertificate?.connector == Self.identity)
    }

    @Test("Bytes pass unchanged, a megabyte in one go")
    func bytes() throws {
        let outcome = try Self.handshake(try Self.client(), try Self.server())
        let sent = ByteBuffer(bytes: (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        try outcome.client.write(sent)
        outcome.server.receive(try #require(outcome.client.takeCiphertext()))
        #expect(outcome.client.takeCiphertext() == nil)
        var received = ByteBuffer()
        try outcome.server.read(into: &received)
        #expect(received == sent)
        outcome.client.close()
        outcome.server.receive(try #require(outcome.client.takeCiphertext()))
        try outcome.server.read(into: &received)
        #expect(outcome.server.isInputEnded && outcome.server.state == .established)
        // The other direction is open still, and ends by itself.
        try outcome.server.write(ByteBuffer(string: "the rest"))
        outcome.client.receive(try #require(outcome.server.takeCiphertext()))
        received.clear()
        try outcome.client.read(into: &received)
        #expect(String(buffer: received) == "the rest")
        #expect(!outcome.client.isWritable)
        outcome.server.close()
        #expect(outcome.server.state == .closed)
        outcome.client.receive(try #require(outcome.server.takeCiphertext()))
        try outcome.client.read(into: &received)
        #expect(outcome.client.state == .closed)
    }

    @Test("A service whose authority is not trusted is refused here, and told so")
    func untrustedService() throws {
        let outcome = try Self.handshake(try Self.client(trust: Self.otherIssuer), try Self.server())
        #expect(outcome.clientError?.code == .peerCertificate)
        #expect(outcome.clientError?.description.contains("certificate of the service is not accepted here") == true)
        #expect(outcome.serverError?.code == .refusedByPeer)
    }

    @Test("Without trusted authorities nothing is trusted")
    func noTrust() throws {
        let outcome = try Self.handshake(try Self.client(trust: nil), try Self.server())
        #expect(outcome.clientError?.code == .peerCertificate)
    }

    @Test("A certificate for another name is refused, and the error says that it is the name")
    func wrongName() throws {
        let outcome = try Self.handshake(try Self.client(), try Self.server(["elsewhere.example"]))
        #expect(outcome.clientError?.code == .peerName)
        let address = try Self.handshake(try Self.client(), try Self.server(["127.0.0.1"]), name: "127.0.0.1")
        #expect(address.clientError == nil)
        let wrongAddress = try Self.handshake(try Self.client(), try Self.server(["127.0.0.1"]), name: "127.0.0.2")
        #expect(wrongAddress.clientError?.code == .peerName)
    }

    @Test("Expired certificates are refused on either side, by name")
    func expired() throws {
        let service = try Self.handshake(try Self.client(), try Self.server(days: -1))
        #expect(service.clientError?.code == .peerCertificateTime)
        #expect(service.clientError?.description.contains("expired") == true)
        let connector = try Self.handshake(try Self.client(days: -1), try Self.server())
        #expect(connector.serverError?.code == .peerCertificateTime)
        #expect(connector.serverError?.description.contains("expired") == true)
        #expect(connector.clientError?.code == .refusedByPeer)
        #expect(connector.clientError?.description.contains("certificate expired") == true)
    }

    @Test("A connector without a certificate, or with one of another authority, does not get in")
    func unknownConnector() throws {
        let none = try Self.handshake(try Self.client(issuer: nil), try Self.server())
        #expect(none.serverError?.code == .noPeerCertificate)
        let other = try Self.handshake(try Self.client(issuer: Self.otherIssuer), try Self.server())
        #expect(other.serverError?.code == .peerCertificate)
    }

    @Test("A connector's certificate does not make a service, nor the other way round")
    func wrongUse() throws {
        let own = try Self.issuer.issue(.connector(Self.identity), commonName: "localhost", days: 2)
        let server = try TLSContext(
            TLSConfiguration(
                role: .server,
                certificateChain: .pem(own.certificate),
                privateKey: .pem(own.privateKey),
                trust: .anchors([.pem(Self.issuer.authority.certificate)]),
                requiresClientCertificate: true,
                applicationProtocols: ["h2-reverse"]
            )
        )
        #expect(try Self.handshake(try Self.client(), server).clientError?.code == .peerCertificate)
    }

    @Test("Sides that share no application protocol do not talk")
    func applicationProtocol() throws {
        let outcome = try Self.handshake(try Self.client(protocols: ["h2"]), try Self.server())
        #expect(outcome.serverError?.code == .applicationProtocol)
        #expect(outcome.clientError?.code == .refusedByPeer)
    }

    @Test("What is not TLS is refused")
    func garbage() throws {
        let server = try TLSSession(
            try Self.server(),
            serverName: nil,
            peer: "the connector",
            buffers: LoopBuffers()
        )
        server.receive(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
        #expect(throws: TLSError.self) { try server.handshake() }
    }

    @Test("Files that do not fit together are refused before anything is dialled")
    func configuration() throws {
        let one = try Self.issuer.issue(.server(names: ["a"]), commonName: "a", days: 2)
        let two = try Self.issuer.issue(.server(names: ["b"]), commonName: "b", days: 2)
        func load(_ certificate: PEMSource, _ key: PEMSource) -> TLSError? {
            do throws(TLSError) {
                _ = try TLSContext(
                    TLSConfiguration(role: .server, certificateChain: certificate, privateKey: key)
                )
                return nil
            } catch { return error }
        }
        #expect(load(.pem(one.certificate), .pem(one.privateKey)) == nil)
        #expect(load(.pem(one.certificate), .pem(two.privateKey))?.code == .configuration)
        #expect(load(.pem("nothing"), .pem(one.privateKey))?.description.contains("no certificate") == true)
        #expect(load(.file("/nonexistent.pem"), .pem(one.privateKey))?.description.contains("/nonexistent.pem") == true)
    }
}

struct CertificateIssuerTests {
    static let identity = ConnectorIdentity(subaccount: "sub/\u{e4}", locationID: "Plant 4")

    @Test("An authority that was written and read again signs certificates that its first self trusts")
    func authority() throws {
        let first = try CertificateIssuer(commonName: "authority", days: 10)
        let again = try CertificateIssuer(first.authority)
        let key = try SigningKey()
        let pem = try again.sign(request: try key.certificateRequest(), for: Self.identity, seconds: 3600)
        let details = try CertificateDetails(.pem(pem))
        #expect(details.connector == Self.identity)
        #expect(details.issuer.contains("authority") && details.notAfter - details.notBefore <= 4000)
        // The key is the one in the request.
        _ = try TLSContext(
            TLSConfiguration(role: .client, certificateChain: .pem(pem), privateKey: .pem(key.pem))
        )
    }

    @Test("A request that is no request, or whose signature is not right, gets nothing")
    func requests() throws {
        let issuer = try CertificateIssuer(commonName: "authority", days: 10)
        let request = try SigningKey().certificateRequest()
        var lines = request.split(separator: "\n").map(String.init)
        lines[3] = String(lines[3].map { $0 == "A" ? "B" : $0 == "B" ? "A" : $0 })
        for text in ["", "no PEM", issuer.authority.certificate, lines.joined(separator: "\n")] {
            #expect(throws: TLSError.self) { try issuer.sign(request: text, for: Self.identity, seconds: 60) }
        }
    }

    @Test("An authority whose key is another's is refused")
    func otherKey() throws {
        let (one, other) = (
            try CertificateIssuer(commonName: "one", days: 1), try CertificateIssuer(commonName: "other", days: 1)
        )
        let mixed = CertificateIssuer.Identity(
            certificate: one.authority.certificate,
            privateKey: other.authority.privateKey
        )
        #expect(throws: TLSError.self) { try CertificateIssuer(mixed) }
    }

    @Test("A signature holds for what was signed, and for this key only")
    func signatures() throws {
        let key = try SigningKey()
        let signature = try key.sign(Array("text".utf8))
        #expect(SigningKey.isValid(signature, over: Array("text".utf8), publicKeyPEM: key.publicKeyPEM))
        #expect(!SigningKey.isValid(signature, over: Array("texT".utf8), publicKeyPEM: key.publicKeyPEM))
        #expect(!SigningKey.isValid(signature, over: Array("text".utf8), publicKeyPEM: try SigningKey().publicKeyPEM))
        #expect(!SigningKey.isValid([], over: [], publicKeyPEM: "no PEM"))
    }
}
