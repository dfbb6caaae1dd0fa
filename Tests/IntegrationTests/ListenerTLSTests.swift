import ConnectorTestSupport
import Cryptography
import Foundation
import Testing

/// TLS on what programs and people reach.
@Suite(.serialized) struct ListenerTLSTests {
    private struct Service {
        let rig: Rig
        let authority: CertificateIssuer

        /// - Parameter more: keys of each `tls`.
        init(_ more: String = "") throws {
            let tls = "tls: {certificate: listener.pem, private-key: listener.key\(more)}"
            // The files have to be there before the service starts, and the rig's folder is made by the rig.
            let authority = try CertificateIssuer(commonName: "Listeners", days: 2)
            let folder = FileManager.default.temporaryDirectory.appending(
                path: "connectord-listeners-\(UUID().uuidString)"
            )
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Self.write(authority, in: folder)
            self.authority = authority
            let absolute = tls.replacing("listener.", with: folder.path + "/listener.")
                .replacing("client-ca: ", with: "client-ca: \(folder.path)/")
            rig = try Rig(
                cloud: """
                    proxy: {listen: "127.0.0.1:PORT", \(absolute)}
                    api: {listen: "127.0.0.1:0", directory: api, \(absolute)}
                    cockpit: {listen: "127.0.0.1:0", \(absolute)}
                    socks: {listen: "127.0.0.1:0", \(absolute)}
                    """
            )
            self.folder = folder
        }

        let folder: URL

        static func write(_ authority: CertificateIssuer, in folder: URL, name: String = "listener") throws {
            let made = try authority.issue(.server(names: ["localhost", "127.0.0.1"]), commonName: name, days: 1)
            for (file, text) in [
                ("listeners-ca.pem", authority.authority.certificate), ("listener.pem", made.certificate),
                ("listener.key", made.privateKey),
            ] {
                try text.write(to: folder.appending(path: file), atomically: true, encoding: .utf8)
            }
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600],
                ofItemAtPath: folder.appending(path: "listener.key").path
            )
        }

        func curl(_ arguments: String...) throws -> String {
            try Rig.run(URL(filePath: "/usr/bin/curl"), ["-s", "-S", "-i", "-m", "20"] + arguments, folder).output
        }

        func port(_ name: String) throws -> Int {
            let line = try rig.cloud.wait(for: "\(name) started")
            return line.split { !$0.isNumber }.compactMap { Int($0) }.last { $0 > 1023 } ?? 0
        }

        func stop() {
            rig.stop()
            try? FileManager.default.removeItem(at: folder)
        }
    }

    /// A connection that OpenSSL's own client holds open.
    private final class TLSPipe {
        private let process = Process()
        private let (input, output) = (Pipe(), Pipe())

        init(_ port: Int, _ folder: URL) throws {
            process.executableURL = URL(filePath: "/usr/bin/openssl")
            process.arguments = [
                "s_client", "-quiet", "-connect", "localhost:\(port)", "-CAfile", "listeners-ca.pem",
                "-verify_return_error",
            ]
            process.currentDirectoryURL = folder
            (process.standardInput, process.standardOutput, process.standardError) = (
                input, output, FileHandle.nullDevice
            )
            try process.run()
        }

        func send(_ bytes: [UInt8]) { input.fileHandleForWriting.write(Data(bytes)) }

        func receive(until isComplete: ([UInt8]) -> Bool) -> [UInt8] {
            var bytes: [UInt8] = []
            while !isComplete(bytes) {
                let piece = output.fileHandleForReading.availableData
                if piece.isEmpty { break }
                bytes += piece
            }
            return bytes
        }

        func stop() { process.terminate() }
    }

    @Test("Proxy, API, cockpit and SOCKS5 speak TLS; a browser that says http is led to https")
    func allListeners() throws {
        let backend = TestServer.http { _, body in TestServer.ok("inside \(body.count)") }
        defer { backend.stop() }
        let service = try Service()
        defer { service.stop() }
        try service.rig.startConnector(systems: Rig.system(port: backend.port))
        let proxy = ["--proxy-cacert", "listeners-ca.pem", "-x", "https://localhost:\(service.rig.proxyPort)"]
        let through = try service.curl(
            proxy[0],
            proxy[1],
            proxy[2],
            proxy[3],
            "-d",
            "12345",
            "http://backend.test/",
            "http://backend.test/"
        )
        #expect(through.components(separatedBy: "inside 5").count == 3, "\(through)")
        #expect(
            try service.curl("-x", "http://localhost:\(service.rig.proxyPort)", "http://backend.test/").contains(
                "curl: "
            )
        )
        let api = service.rig.apiPort
        let keys = try service.curl("--cacert", "listeners-ca.pem", "https://localhost:\(api)/token_keys")
        #expect(keys.contains("200 OK") && keys.contains("\"keys\""), "\(keys)")
        let cockpit = try service.port("cockpit")
        let page = try service.curl("--cacert", "listeners-ca.pem", "https://localhost:\(cockpit)/")
        #expect(page.contains("200 OK") && page.contains("<html"), "\(page)")
        let redirected = try service.curl("http://localhost:\(cockpit)/index.html?a=b")
        #expect(
            redirected.contains("308 ") && redirected.contains("location: https://localhost:\(cockpit)/index.html?a=b")
        )
        #expect(try service.curl("-d", "x", "http://localhost:\(api)/oauth/token").contains("400 Bad Request"))
        // What the token service says of itself is what it is.
        let bindings = String(decoding: try service.rig.bindings(), as: UTF8.self)
        #expect(bindings.contains("https://localhost:\(api)"), "\(bindings)")
        let socks = try service.port("socks")
        let greeting = try TLSPipe(socks, service.folder)
        defer { greeting.stop() }
        greeting.send([5, 1, 0x80])
        #expect(greeting.receive { $0.count >= 2 } == [5, 0x80])
    }

    @Test("A new certificate counts from the next connection on, and open ones go on; a broken one changes nothing")
    func reload() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("inside") }
        defer { backend.stop() }
        let service = try Service()
        defer { service.stop() }
        try service.rig.startConnector(systems: Rig.system(port: backend.port))
        func shown() throws -> String {
            try Rig.run(
                URL(filePath: "/bin/sh"),
                [
                    "-c",
                    "timeout 5 openssl s_client -connect localhost:\(service.rig.proxyPort) </dev/null 2>/dev/null | openssl x509 -noout -subject",
                ],
                service.folder
            ).output
        }
        #expect(try shown().contains("CN = listener"))
        let open = try TLSPipe(service.rig.proxyPort, service.folder)
        defer { open.stop() }
        func ask() -> String {
            open.send(Array("GET http://backend.test/ HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
            let end = Array("inside".utf8)
            return String(decoding: open.receive { $0.suffix(end.count).elementsEqual(end) }, as: UTF8.self)
        }
        #expect(ask().contains("200 OK"))
        try Service.write(service.authority, in: service.folder, name: "renewed")
        #expect(try service.rig.control("reload", "--config", "cloud.conf").status == 0)
        #expect(try shown().contains("CN = renewed"))
        #expect(ask().contains("200 OK"))
        try "not a certificate".write(
            to: service.folder.appending(path: "listener.pem"),
            atomically: true,
            encoding: .utf8
        )
        #expect(try service.rig.control("reload", "--config", "cloud.conf").status != 0)
        #expect(try shown().contains("CN = renewed"))
        #expect(ask().contains("200 OK"))
    }

    @Test("Where clients must show a certificate, those without one get nothing")
    func clientCertificates() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("inside") }
        defer { backend.stop() }
        let service = try Service(", client-ca: listeners-ca.pem, minimum-tls: \"1.3\"")
        defer { service.stop() }
        try service.rig.startConnector(systems: Rig.system(port: backend.port))
        let own = try service.authority.issue(
            .connector(ConnectorIdentity(subaccount: "test", locationID: "")),
            commonName: "program",
            days: 1
        )
        try (own.certificate + own.privateKey).write(
            to: service.folder.appending(path: "program.pem"),
            atomically: true,
            encoding: .utf8
        )
        let proxy = "https://localhost:\(service.rig.proxyPort)"
        let without = try service.curl("--proxy-cacert", "listeners-ca.pem", "-x", proxy, "http://backend.test/")
        #expect(!without.contains("inside") && without.contains("curl: "), "\(without)")
        let with = try service.curl(
            "--proxy-cacert",
            "listeners-ca.pem",
            "--proxy-cert",
            "program.pem",
            "-x",
            proxy,
            "http://backend.test/"
        )
        #expect(with.contains("inside"), "\(with)")
    }
}
