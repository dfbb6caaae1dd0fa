internal import AdminProtocol
internal import ArgumentParser
internal import ConnectorCommands
internal import DaemonSupport
internal import Glibc
internal import HostSystem
internal import JSON
internal import TextFormats

/// `connectord env`
struct EnvCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "env",
        abstract: "Print service bindings for programs that should use the running cloud side.",
        discussion: """
            A program that expects a Cloud Foundry environment starts with it in one line:

              eval "$(connectord env)" && node app.js

            --format vcap prints the value of VCAP_SERVICES alone; --directory writes a file for each key, as Kubernetes \
            mounts bindings (SERVICE_BINDING_ROOT). What is printed holds secrets.
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable { case shell, vcap }

    @Option(help: "shell: export lines for a POSIX shell; vcap: JSON.")
    var format: Format?

    @Option(help: "Write files below this folder instead, readable for their owner only.")
    var directory: String?

    @OptionGroup var service: ServiceOptions

    func validate() throws {
        guard directory == nil || format == nil else { throw ValidationError("--format is of no use with --directory") }
    }

    func run() async throws {
        try await AdminCommand.run(service.admin) { client in
            let bindings = try await client.get("/bindings").decode(ServiceBindings.self)
            if let note = Self.note(bindings) { CommandSupport.printError("note: \(note)") }
            if let directory {
                try write(bindings, directory)
                // Programs start in other folders.
                let absolute = unsafe realpath(directory, nil)
                defer { unsafe free(absolute) }
                let path = unsafe absolute.map { unsafe String(cString: $0) } ?? directory
                print("export SERVICE_BINDING_ROOT=\(Self.quoted(path))")
                return
            }
            let text = String(decoding: JSONLines.encode(bindings).dropLast(), as: UTF8.self)
            switch format ?? .shell {
            case .vcap: print(text)
            case .shell: print("export VCAP_SERVICES=\(Self.quoted(text))")
            }
        }
    }

    /// What programs of several subaccounts would do wrong with these addresses.
    static func note(_ bindings: ServiceBindings) -> String? {
        guard let credentials = bindings.all.first?.credentials, credentials["tenantmode"]?.string == "shared",
            let zone = credentials["identityzone"]?.string,
            let url = credentials["url"]?.string.flatMap({ WebURL($0) }),
            !url.host.hasPrefix("\(zone).")
        else { return nil }
        let example = "http\(url.isTLS ? "s" : "")://\(zone).localhost:\(url.port)"
        return
            "SAP's SDKs put a subscriber's subdomain in the place of \"\(zone)\" in the host of url; \(url.authority) has none, "
            + "so they stay with the provider and write its destinations. Set api.url to one that has, such as \(example)"
    }

    private func write(_ bindings: ServiceBindings, _ directory: String) throws {
        try PrivateFile.makeFolder(directory)
        for binding in bindings.all {
            let folder = "\(directory)/\(binding.name)"
            try PrivateFile.makeFolder(folder)
            var values = binding.credentials.mapValues { value in
                value.string ?? String(decoding: JSONLines.encode(value).dropLast(), as: UTF8.self)
            }
            values["type"] = binding.label
            values["label"] = binding.label
            values["plan"] = binding.plan
            values["instance_guid"] = binding.instance_guid
            for (key, value) in values { try AtomicFile.write(value, to: "\(folder)/\(key)", mode: 0o600) }
        }
    }

    /// One word for a POSIX shell.
    static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "'\\''") + "'" }
}

/// `connectord token`
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Get a token from the running cloud side, for curl and tests.",
        discussion: """
              curl -x localhost:20003 --proxy-header "Proxy-Authorization: Bearer $(connectord token)" \
            http://internalhost:3333/hello

            `connectord token rotate-keys` makes a new signing key; tokens of the old one count until they expire.
            """,
        subcommands: [Create.self, RotateKeys.self],
        defaultSubcommand: Create.self
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "create", abstract: "Print a token.")

        @Option(help: "Whose connectors it is for; the service's own subaccount unless given.")
        var subaccount: String?

        @Option(help: "The service it is for: connectivity, destination or xsuaa.")
        var service = BoundService.connectivity

        @Option(help: "A token that stands for this user, as a login to the program would bring it.")
        var user: String?

        @OptionGroup var options: ServiceOptions

        func validate() throws {
            // An empty variable of a shell would ask for another token than its writer meant.
            for (name, value) in [("--user", user), ("--subaccount", subaccount)] where value?.isEmpty == true {
                throw ValidationError("\(name) is empty")
            }
        }

        func run() async throws {
            try await AdminCommand.run(options.admin) { client in
                let wanted = AdminMessage.TokenRequest(subaccount: subaccount, service: service, user: user)
                print(try await client.post("/tokens", wanted).decode(AdminMessage.Token.self).token)
            }
        }
    }

    struct RotateKeys: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate-keys",
            abstract: "Sign new tokens with a new key; those issued before count until they expire."
        )

        @OptionGroup var options: ServiceOptions

        func run() async throws {
            try await AdminCommand.run(options.admin) { client in
                let key = try await client.post("/token-keys", AdminMessage.Empty()).decode(AdminMessage.Key.self)
                print("tokens are signed with \(key.id) from now on")
            }
        }
    }
}

extension BoundService: ExpressibleByArgument {}
