import ConnectorTestSupport
import Foundation
import Testing

/// What an operator does with running daemons: checks, status, reload, logs, metrics, proxies, systemd's notifications.
@Suite(.serialized)
struct OperationTests {
    @Test("Availability is looked at and shown: in check, status, metrics and on the cloud side")
    func availability() throws {
        let backend = TestServer.http { _, _ in "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" }
        defer { backend.stop() }
        let closed = TestServer { socket, _ in socket.close() }
        closed.stop()
        let plain = TestServer { socket, _ in
            _ = socket.receive()
            socket.send("HTTP/1.1 400 Bad Request\r\n\r\n")
            socket.close()
        }
        defer { plain.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        func system(_ name: String, _ host: String, _ kind: String) -> String {
            "  - {virtual-host: \"\(name):80\", internal-host: \"\(host)\", protocol: \(kind)"
                + (kind.hasPrefix("TCP") ? "}\n" : ", resources: [{path: /, access: path-and-sub-paths}]}\n")
        }
        let connector = try rig.startConnector(
            systems: system("up.test", "127.0.0.1:\(backend.port)", "HTTP")
                + system("down.test", "127.0.0.1:\(closed.port)", "HTTP")
                + system("name.test", "no-such-name.invalid:80", "HTTP")
                + system("tls.test", "127.0.0.1:\(plain.port)", "HTTPS")
                + system("tcp.test", "127.0.0.1:\(backend.port)", "TCP"),
            extra: "check: {interval: 1s, timeout: 2s}"
        )
        try connector.wait(for: "internal host not reachable", count: 3)
        let check = try rig.control("check", "--config", "connector0.conf")
        #expect(check.status == 2)
        #expect(check.output.contains("up.test:80") && check.output.contains("reachable ("))
        #expect(check.output.contains("connection refused: does the server listen on 127.0.0.1:\(closed.port)?"))
        #expect(check.output.contains("cannot be resolved"))
        #expect(check.output.contains("does it speak TLS on this port?"))
        #expect(try rig.control("check", "up.test", "tcp.test:80", "--config", "connector0.conf").status == 0)
        let unknown = try rig.control("check", "up.tset:80", "--config", "connector0.conf")
        #expect(unknown.status == 1 && unknown.output.contains("did you mean up.test:80?"), "\(unknown.output)")
        let cloud = try rig.control("status", "--cloud", "--config", "cloud.conf")
        #expect(
            cloud.output.contains("not reachable: connection_refused")
                && cloud.output.contains("not reachable: dns_error")
        )
        // Never what is inside.
        #expect(!cloud.output.contains(String(closed.port)) && !cloud.output.contains("no-such-name"))
        let metrics = try Self.curl(rig, "/metrics")
        #expect(
            metrics.contains(
                "connector_system_reachable{subaccount=\"test\",location_id=\"\",virtual_host=\"up.test:80\"} 1"
            )
        )
        #expect(
            metrics.contains(
                "connector_system_reachable{subaccount=\"test\",location_id=\"\",virtual_host=\"down.test:80\"} 0"
            )
        )
        // What comes up is seen by itself.
        let late = TestServer.http(port: closed.port) { _, _ in TestServer.ok("") }
        defer { late.stop() }
        try connector.wait(for: "internal host reachable internal_host=\"127.0.0.1:\(closed.port)\"")
    }

    @Test("What a check on demand finds out is known on the cloud side as well")
    func demandedCheckIsTold() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("") }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port), extra: "check: {interval: 1h}")
        try connector.wait(for: "internal host reachable")
        func isShown(_ state: String) throws -> Bool {
            try Rig.eventually {
                try rig.control("status", "--cloud", "--config", "cloud.conf").output.contains(state)
            }
        }
        #expect(try isShown("  reachable"))
        let port = backend.port
        backend.stop()
        #expect(try Rig.eventually { try rig.control("check", "--config", "connector0.conf").status == 2 })
        #expect(try isShown("not reachable: connection_refused"))
        let again = TestServer.http(port: port) { _, _ in TestServer.ok("") }
        defer { again.stop() }
        #expect(try Rig.eventually { try rig.control("check", "--config", "connector0.conf").status == 0 })
        #expect(try isShown("  reachable"))
    }

    @Test("A shorter interval of checks counts from the reload on")
    func shorterInterval() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("") }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port), extra: "check: {interval: 1h}")
        try connector.wait(for: "internal host reachable")
        backend.stop()
        try rig.rewrite { $0.replacingOccurrences(of: "interval: 1h", with: "interval: 1s") }
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        try connector.wait(for: "internal host not reachable")
    }

    @Test("A wrong address of the service keeps the old tunnels, and its correction leaves nothing of it behind")
    func wrongService() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port), connections: 2)
        let own = "service: localhost:\(rig.tunnelPort)"
        for wrong in ["service: localhost:1", "service: 127.0.0.1:2"] {
            try rig.rewrite { $0.replacingOccurrences(of: own, with: wrong) }
            #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
            let isSaid = try Rig.eventually {
                try rig.control("status", "--config", "connector0.conf").output.contains("no tunnel")
            }
            #expect(isSaid)
            #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
            try rig.rewrite { $0.replacingOccurrences(of: wrong, with: own) }
            #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        }
        func tunnels() throws -> Bool {
            let metrics = try Self.curl(rig, "/metrics")
            let status = try rig.control("status", "--config", "connector0.conf").output
            return metrics.contains("connector_tunnels{subaccount=\"test\",location_id=\"\"} 2")
                && !status.contains("no tunnel")
        }
        #expect(try Rig.eventually { try tunnels() })
        #expect(try rig.control("rotate", "--config", "connector0.conf").status == 0)
        #expect(try Rig.eventually { try tunnels() })
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
    }

    @Test("However often a check is demanded, a host is asked once in a second, and never twice at once")
    func noFlood() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("") }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: (0..<50).map { Rig.system("s\($0).test:80", port: backend.port) }.joined()
        )
        let start = Date()
        for _ in 0..<10 { #expect(try rig.control("check", "--config", "connector0.conf").status == 0) }
        let seconds = Date().timeIntervalSince(start)
        #expect(backend.connectionCount <= Int(seconds) + 2, "\(backend.connectionCount) in \(seconds) s")
    }

    static func curl(_ rig: Rig, _ path: String, socket: String = "connector.sock") throws -> String {
        try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "-m", "10", "--unix-socket", socket, "http://localhost\(path)"],
            rig.folder
        ).output
    }

    @Test("A bad file changes nothing, and says so in exit status, log, status and metrics")
    func badReload() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        for broken in [
            "systems: [", "subaccount: test\nsubaccount: test", "tunnel: 5", "\u{1}\u{2}", "", "a: *x", "systms: []",
            String(repeating: "[", count: 10000),
        ] {
            let original = try String(contentsOf: rig.folder.appending(path: "connector0.conf"), encoding: .utf8)
            try rig.rewrite { _ in broken }
            let result = try rig.control("reload", "--config", "connector0.conf", "--socket", "connector.sock")
            #expect(result.status == 64 && result.output.contains("connector0.conf:"), "\(result.output)")
            #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
            try rig.rewrite { _ in original }
        }
        try connector.wait(for: "configuration not changed")
        let status = try rig.control("status", "--config", "connector0.conf")
        #expect(status.output.contains("LAST RELOAD FAILED"))
        #expect(try Self.curl(rig, "/metrics").contains("connector_configuration_ok 0"))
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        #expect(try Self.curl(rig, "/metrics").contains("connector_configuration_ok 1"))
    }

    @Test("A removed mapping gets 403 from the next request on; what is in flight lives on")
    func removedMapping() throws {
        let gate = DispatchSemaphore(value: 0)
        let isAsked = DispatchSemaphore(value: 0)
        let backend = TestServer.http { head, _ in
            if head.contains("/slow") {
                isAsked.signal()
                gate.wait()
            }
            return TestServer.ok("fine")
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let slow = try rig.connect()
        slow.send("GET http://backend.test/slow HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(isAsked.wait(timeout: .now() + .seconds(Socket.timeout)) == .success)
        try rig.rewrite { $0.replacingOccurrences(of: "backend.test:80", with: "renamed.test:80") }
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 403"))
        #expect(try rig.curl("http://renamed.test/").hasPrefix("HTTP/1.1 200"))
        gate.signal()
        #expect(slow.receive(through: "fine").hasPrefix("HTTP/1.1 200"))
    }

    @Test("The service's listeners move with a reload, and an address that is taken changes nothing")
    func listeners() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig(cloud: "proxy: {listen: \"127.0.0.1:PORT\"}")
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        try rig.rewrite("cloud.conf") {
            $0.replacingOccurrences(of: "127.0.0.1:0\"", with: "127.0.0.1:\(backend.port)\"")
        }
        let taken = try rig.control("reload", "--cloud", "--config", "cloud.conf")
        #expect(taken.status == 64 && taken.output.lowercased().contains("in use"), "\(taken.output)")
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
    }

    @Test("Log level, format and access log can be set; the level while it runs")
    func logs() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(
            systems: Rig.system(port: backend.port),
            extra: "log: {format: json, access: true}"
        )
        _ = try rig.curl("http://backend.test/x?secret=1", "-H", "Authorization: Basic c2VjcmV0")
        let line = try connector.wait(for: "\"access\"")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(object["status"] == "200" && object["path"] == "/x" && object["virtual_host"] == "backend.test:80")
        #expect(!connector.log.contains { $0.contains("secret") || $0.contains("c2VjcmV0") })
        let mark = connector.mark
        #expect(try rig.control("log-level", "error", "--config", "connector0.conf").status == 0)
        _ = try rig.curl("http://nothing.test/")
        #expect(try rig.control("log-level", "debug", "--config", "connector0.conf").status == 0)
        try connector.wait(for: "log level changed", after: mark)
        #expect(!connector.log(after: mark).contains { $0.contains("request refused") })
        #expect(try rig.control("log-level", "louder", "--config", "connector0.conf").status == 64)
        // Without the key in the file, the default is in force again.
        let file = rig.folder.appending(path: "connector0.conf")
        let changes = [("format: json", "level: error, format: json", "error"), ("level: error, ", "", "info")]
        for (old, new, level) in changes {
            let next = try String(contentsOf: file, encoding: .utf8).replacing(old, with: new)
            try next.write(to: file, atomically: true, encoding: .utf8)
            #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
            #expect(try rig.control("status", "--config", "connector0.conf").output.contains("log level \(level)\n"))
        }
    }

    @Test("Each refusal has one audit record, and the metrics count it")
    func audit() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig(cloud: "audit: {directory: cloud-audit}")
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port, "{path: /ok, access: path-only}"),
            extra: "audit: {directory: audit, level: all}"
        )
        for _ in 0..<5 { _ = try rig.curl("http://backend.test/denied") }
        for _ in 0..<3 { _ = try rig.curl("http://nothing.test/") }
        for _ in 0..<2 { _ = try rig.curl("http://backend.test/ok") }
        _ = try rig.curl("http://backend.test/%zz")
        let metrics = try Self.curl(rig, "/metrics")
        #expect(
            metrics.contains(
                "connector_refusals_total{subaccount=\"test\",location_id=\"\",virtual_host=\"backend.test:80\",source=\"policy\",phase=\"resource\",error=\"http_request_denied\"} 5"
            )
        )
        #expect(
            metrics.contains(
                "connector_refusals_total{subaccount=\"test\",location_id=\"\",virtual_host=\"\",source=\"policy\",phase=\"system\",error=\"http_request_denied\"} 3"
            )
        )
        #expect(rig.connectors[0].stop() == 0)
        #expect(rig.cloud.stop() == 0)
        func records(_ folder: String) throws -> [String] {
            try rig.auditText(folder).split(separator: "\n").map(String.init)
        }
        let connector = try records("audit")
        #expect(connector.filter { $0.contains("ACCESS_DENIED") }.count == 8)
        #expect(connector.filter { $0.contains("ACCESS_ALLOWED") }.count == 2)
        #expect(try records("cloud-audit").filter { $0.contains("ACCESS_DENIED") }.count == 1)
        #expect(try rig.control("audit", "verify", "audit").status == 0)
        #expect(try rig.control("audit", "verify", "cloud-audit").status == 0)
    }

    @Test("traceparent reaches the internal host as it came, and sampled requests leave a span on both sides")
    func traceparent() throws {
        let backend = TestServer.http { head, _ in
            TestServer.ok(head.contains("0af7651916cd43dd8448eb211c80319c") ? "yes" : "no")
        }
        defer { backend.stop() }
        let rig = try Rig(cloud: "tracing: {file: cloud-spans.jsonl}")
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port), extra: "tracing: {file: spans.jsonl}")
        let value = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        #expect(try rig.curl("http://backend.test/", "-H", value).hasSuffix("yes"))
        let unsampled = value.dropLast() + "0"
        #expect(try rig.curl("http://backend.test/", "-H", String(unsampled)).hasSuffix("yes"))
        #expect(rig.connectors[0].stop() == 0 && rig.cloud.stop() == 0)
        for file in ["spans.jsonl", "cloud-spans.jsonl"] {
            let lines = try String(contentsOf: rig.folder.appending(path: file), encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 1)
            #expect(lines[0].contains("\"traceId\":\"0af7651916cd43dd8448eb211c80319c\""))
            #expect(
                lines[0].contains("\"parentSpanId\":\"b7ad6b7169203331\"") && lines[0].contains("\"intValue\":\"200\"")
            )
        }
    }

    @Test("A tunnel through an HTTP proxy, with a password; without the right one the log and the doctor say so")
    func proxy() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let (port, credentials) = (rig.tunnelPort, "Proxy-Authorization: Basic dXNlcjpww6Rzcw==")
        let proxy = try ConnectProxy { head in
            guard head.hasPrefix("CONNECT localhost:\(port) HTTP/1.1\r\n") else { return "400 Bad Request" }
            return head.contains(credentials) ? "127.0.0.1:\(port)" : "407 Proxy Authentication Required"
        }
        defer { proxy.stop() }
        try "päss\n".write(to: rig.folder.appending(path: "password"), atomically: true, encoding: .utf8)
        try rig.startConnector(systems: Rig.system(port: backend.port)).stop()
        try rig.rewrite {
            $0.replacingOccurrences(
                of: "tunnel:\n",
                with:
                    "tunnel:\n  http-proxy: {address: \"127.0.0.1:\(proxy.port)\", user: user, password-file: password}\n"
            )
        }
        let connector = try rig.restartConnector()
        #expect(try rig.curl("http://backend.test/through").hasSuffix("/through 0"))
        #expect(!connector.log.contains { $0.contains("päss") || $0.contains("dXNlcj") })
        let healthy = try rig.control("doctor", "--config", "connector0.conf")
        #expect(healthy.status == 0 && healthy.output.contains("ok      proxy"), "\(healthy.output)")
        connector.stop()
        try "wrong".write(to: rig.folder.appending(path: "password"), atomically: true, encoding: .utf8)
        let ill = try rig.control("doctor", "--config", "connector0.conf")
        #expect(ill.status == 1 && ill.output.contains("FAILED  proxy") && ill.output.contains("407"), "\(ill.output)")
        let refused = try LoggedProcess(["run", "--config", "connector0.conf"], folder: rig.folder)
        defer { refused.stop(SIGKILL) }
        try refused.wait(for: "it does not take this user and password")
    }

    @Test("The doctor names the step that fails")
    func doctor() throws {
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: "  []").stop()
        func ask(_ change: @escaping (String) -> String) throws -> String {
            let file = rig.folder.appending(path: "connector0.conf")
            let original = try String(contentsOf: file, encoding: .utf8)
            try rig.rewrite("connector0.conf", change)
            defer { try? original.write(to: file, atomically: true, encoding: .utf8) }
            return try rig.control("doctor", "--config", "connector0.conf").output
        }
        let service = "localhost:\(rig.tunnelPort)"
        #expect(try ask { $0 }.contains("takes tunnels of this connector"))
        #expect(try ask { $0.replacingOccurrences(of: service, with: "no-such.invalid:1") }.contains("FAILED  name"))
        let closed = TestServer { socket, _ in socket.close() }
        closed.stop()
        let refused = try ask { $0.replacingOccurrences(of: service, with: "localhost:\(closed.port)") }
        #expect(refused.contains("FAILED  connection") && refused.contains("firewall"), "\(refused)")
        let plain = TestServer.http { _, _ in TestServer.ok("not TLS") }
        defer { plain.stop() }
        #expect(
            try ask { $0.replacingOccurrences(of: service, with: "localhost:\(plain.port)") }.contains("FAILED  TLS")
        )
        // Another authority in between, as a firewall that opens TLS has it.
        let other = try EnrolmentRig()
        defer { other.stop() }
        let opened = try ask { $0.replacingOccurrences(of: service, with: "localhost:\(other.tunnelPort)") }
        #expect(opened.contains("exempt") && opened.contains("TLS inspection"), "\(opened)")
        #expect(
            try ask { $0.replacingOccurrences(of: "subaccount: test", with: "subaccount: other") }.contains(
                "FAILED  enrolment"
            )
        )
    }

    @Test("systemd hears of start, reload, watchdog and end")
    func notifications() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let socket = try NotifySocket(rig.folder.appending(path: "notify").path)
        try rig.startConnector(systems: Rig.system(port: backend.port)).stop()
        let connector = try rig.restartConnector(
            environment: ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "600000"]
        )
        #expect(socket.wait(for: "READY=1\nSTATUS="))
        #expect(socket.wait(for: "WATCHDOG=1"))
        connector.signal(SIGHUP)
        #expect(socket.wait(for: "RELOADING=1\nMONOTONIC_USEC="))
        #expect(socket.wait(for: "READY=1"))
        // A stopped process sends nothing; one that goes on does.
        connector.freeze()
        socket.drain()
        #expect(!socket.wait(for: "WATCHDOG=1", seconds: 1))
        connector.signal(SIGCONT)
        #expect(socket.wait(for: "WATCHDOG=1"))
        connector.signal(SIGTERM)
        #expect(socket.wait(for: "STOPPING=1"))
        #expect(connector.waitUntilExit() == 0)
    }

    @Test("Metrics can be switched on and off by a reload, which gets its answer")
    func metricsSwitch() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: "  []", extra: "admin: {socket: connector.sock}")
        for _ in 0..<3 {
            let mark = connector.mark
            try rig.rewrite {
                $0.replacingOccurrences(of: "connector.sock}", with: "connector.sock, metrics: \"127.0.0.1:0\"}")
            }
            #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
            let line = try connector.wait(for: "metrics served", after: mark)
            let port = try #require(line.split(separator: "\"").compactMap { Int($0) }.first)
            let answer = try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                ["-s", "-m", "5", "http://127.0.0.1:\(port)/metrics", "http://127.0.0.1:\(port)/status"],
                rig.folder
            ).output
            #expect(
                answer.contains("connector_configuration_ok 1") && answer.contains("the rest is on the admin socket")
            )
            try rig.rewrite { $0.replacingOccurrences(of: ", metrics: \"127.0.0.1:0\"", with: "") }
            #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        }
        #expect(connector.stop() == 0)
        #expect(!connector.log.contains { $0.contains("ERROR") })
    }

    @Test(
        "An internal host with two addresses, the first of which nobody listens on, answers",
        .enabled(if: LossTests.canMount)
    )
    func twoAddresses() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try Data("127.0.0.1 localhost\n::1 twin.test\n127.0.0.1 twin.test\n".utf8)
            .write(to: rig.folder.appending(path: "hosts"))
        let system = Rig.system(port: backend.port)
            .replacingOccurrences(of: "127.0.0.1:\(backend.port)", with: "twin.test:\(backend.port)")
        try rig.startConnector(systems: system).stop()
        try rig.restartConnector(wrapper: LossTests.Pair.withHosts)
        for index in 0..<5 { #expect(try rig.curl("http://backend.test/\(index)").hasSuffix("/\(index) 0")) }
    }
}
