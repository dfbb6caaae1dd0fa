internal import AccessPolicy
internal import AdminProtocol
internal import CloudConnector
internal import CloudProcess
internal import ConnectivityService
internal import ConnectorProcess
internal import DaemonSupport
internal import Glibc
internal import TextFormats

extension Demo {
    private var proxyPort: Int { cloud.service.proxyPort }
    private var admin: AdminClient { AdminClient(path: files.cloudSocket) }

    /// Shows what works, what is refused and what fails, each as its user will see it.
    mutating func walk() async throws {
        say("1  A Hello World server listens on localhost:\(backendPort).")
        say("2  The connector exposes it as internalhost:3333, with the paths /hello and /.")
        let tunnels = await waitUntilConnected()
        say(
            "3  The connector has dialled out to the connectivity service on localhost:\(cloud.service.tunnelPort) over TLS;"
        )
        say("   \(Count.text(tunnels, "tunnel")) \(tunnels == 1 ? "is" : "are") up. Nobody can dial in.")
        say("4  A program in the cloud calls the virtual host through the proxy:")
        try await call("/hello", expect: "200", "{\"message\":\"Hello World\"}")
        say(
            "   and so does one that shows a token, which this proxy does not ask for (see authorization in cloud.conf):"
        )
        try await call("/hello", expect: "200", "{\"message\":\"Hello World\"}", token: try await token())
        say("5  A misspelt virtual host is not a way in:")
        try await call(host: "internalhst:3333", "/hello", expect: "403", "Access denied to system internalhst:3333.")
        say("6  A path that was not exposed is not either:")
        try await call("/admin", expect: "403", "Access denied to resource /admin on system internalhost:3333.")
        say("   nor is one that only looks exposed:")
        try await call("/hello/%2e%2e/admin", expect: "400", "dot segment")
        try await checkConnections()
        try await runAction()
        say("9  The Hello World server stops:")
        try await backend.stop()
        try await call("/hello", expect: "502", "Unable to open connection to backend system")
        try await check(DemoFiles.destination, expect: "Backend is not reachable from Cloud Connector.")
        say("   and the connector stops as well:")
        await stopConnector()
        try await waitUntilNoTunnel()
        try await call("/hello", expect: "503", "There is no SAP Cloud Connector (SCC) connected to your subaccount")
    }

    // MARK: Destinations

    private mutating func checkConnections() async throws {
        say("7  The destination \(DemoFiles.destination) leads to http://internalhost:3333. Check Connection:")
        try await check(DemoFiles.destination, expect: "established. Response returned: \"200: OK\"")
        say("   With the host misspelt:")
        try await check(
            "TYPO",
            "http://internalhst:3333",
            expect: "Backend is not available in the list of defined system"
        )
        say("   With a path that is not exposed:")
        try await check(
            "ADMIN",
            "http://internalhost:3333/admin",
            expect: "Resource is not accessible in Cloud Connector"
        )
    }

    /// Checks a destination that is there for the check alone.
    private mutating func check(_ name: String, _ url: String, expect text: String) async throws {
        let properties = [
            "Name": name, "Type": "HTTP", "URL": url, "ProxyType": "OnPremise", "Authentication": "NoAuthentication",
        ]
        var request = DestinationMessage.Request(name: name, properties: properties, replaces: true)
        request.kind = "destination"
        _ = try await admin.post("/destinations/import", request).decode(DestinationMessage.Properties.self)
        say("     \(name), made for this step: \(url)")
        say(try await connectionCheck(name), expect: text)
        _ = try await admin.post("/destinations/delete", DestinationMessage.Request(name: name))
            .decode(AdminMessage.Empty.self)
    }

    private mutating func check(_ name: String, expect text: String) async throws {
        say("   $ \(speaker.command("destination check \(name)", isCloud: true))")
        say(try await connectionCheck(name), expect: text)
    }

    private func connectionCheck(_ name: String) async throws -> ConnectionCheck {
        try await admin.post("/destinations/check", DestinationMessage.Request(name: name))
            .decode(ConnectionCheck.self)
    }

    private mutating func say(_ check: ConnectionCheck, expect text: String) {
        say("     \(check.message)")
        if let detail = check.detail { say("     \(detail)") }
        say("")
        if !check.message.contains(text) { failures.append("expected \"\(text)\", got \"\(check.message)\"") }
    }

    private mutating func runAction() async throws {
        say("8  The action \"hello\" calls it through the destination, and its message is picked:")
        say("   $ \(speaker.actionLine)")
        let message: String
        do {
            message = try await action(files.cloudSocket, DemoFiles.destination, files.action)
        } catch {
            message = "\(error)"
        }
        say("     subject='\(message)'\n")
        if message != "Hello World" { failures.append("action: expected \"Hello World\", got \"\(message)\"") }
    }

    private func token() async throws -> String {
        try await admin.post("/tokens", AdminMessage.TokenRequest(service: .connectivity))
            .decode(AdminMessage.Token.self).token
    }

    // MARK: Requests

    private mutating func call(
        host: String = "internalhost:3333",
        _ path: String,
        expect status: String,
        _ text: String,
        token: String? = nil
    ) async throws {
        let url = "http://\(host)\(path)"
        let header =
            token == nil
            ? "" : "--proxy-header \"Proxy-Authorization: Bearer $(\(speaker.command("token", isCloud: true)))\" "
        say("   $ curl -x localhost:\(proxyPort) \(header)\(url)")
        let response = try await DemoClient.get(url, proxyPort: proxyPort, token: token, on: group)
        say("     \(response.status): \(response.body.prefix { $0 != "\n" })\n")
        if !response.status.hasPrefix(status) || !response.body.contains(text) {
            failures.append("\(url): expected \(status) with \"\(text)\", got \(response.status)")
        }
    }

    /// The service learns of a closed tunnel a moment after the connector has closed it.
    private func waitUntilNoTunnel() async throws {
        for _ in 0..<100 {
            let url = "http://internalhost:3333/hello"
            let response = try await DemoClient.get(url, proxyPort: proxyPort, on: group)
            if response.status.hasPrefix("503") { return }
        }
    }

    func sayHowToGoOn() {
        let cockpit = configuration.cockpitPort ?? 0
        if files.isUsed {
            say(
                "The files were there already, so the walk is left out. What they say runs. The page: http://localhost:\(cockpit)/"
            )
        } else {
            say("Server and connector are back: everything runs. The page: http://localhost:\(cockpit)/")
        }
        say("Try it from another terminal, and end it with Ctrl-C:\n")
        let exposed =
            files.isUsed ? examples : ["internalhost:3333/hello", "internalhst:3333/hello", "internalhost:3333/admin"]
        if !configuration.usesTokens {
            for path in exposed { say("   curl -i -x localhost:\(proxyPort) http://\(path)") }
        }
        if let path = exposed.first {
            let token = speaker.command("token", isCloud: true)
            say("   curl -i -x localhost:\(proxyPort) --proxy-header \"Proxy-Authorization: Bearer $(\(token))\" \\")
            say("       http://\(path)")
        }
        for line in speaker.lines { say("   \(line)") }
        say("\nThe files are in \(speaker.folderForPeople):")
        say("   connector.conf   what is exposed; after a change: \(speaker.command("reload", isCloud: false))")
        say("   cloud.conf       the cloud side;  after a change: \(speaker.command("reload --cloud", isCloud: true))")
        say("   hello.yaml       what the action \"hello\" is")
        if !speaker.keepsFiles { say("They are gone at the end; with --directory DIR they stay.") }
    }

    /// A path of each of the first systems for requests.
    private var examples: [String] {
        let systems = (try? ConnectorFiles.load(files.connector))?.connectors.flatMap(\.systems) ?? []
        return systems.filter { $0.protocol.isHTTP }.prefix(3).compactMap { system in
            system.resources.first { $0.isActive }.map { system.virtualAddress + $0.path }
        }
    }
}
