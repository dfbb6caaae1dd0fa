internal import DaemonSupport
internal import Glibc
internal import HostSystem

/// The folder of a demonstration: both sides' configuration, a destination, the description of an action. Files that are there
/// stay as they are.
struct DemoFiles: Sendable {
    let folder: String
    /// Whether somebody has had it before, and may have edited it.
    let isUsed: Bool
    /// Whether its files are still there at the end.
    let isKept: Bool

    static let subaccount = "3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10"
    static let destination = "ON_PREM_HELLO_WORLD"

    var cloud: String { "\(folder)/cloud.conf" }
    var connector: String { "\(folder)/connector.conf" }
    var action: String { "\(folder)/hello.yaml" }
    var identity: String { "\(folder)/connector/connector.pem" }
    var cloudSocket: String { DemoFolder.socket(in: folder, isCloud: true) }
    var connectorSocket: String { DemoFolder.socket(in: folder, isCloud: false) }

    /// Writes what is missing.
    init(_ folder: String, _ ports: DemoProgram.Ports, isKept: Bool) throws {
        (self.folder, self.isKept) = (folder, isKept)
        let files = Folder.names(folder)
        isUsed = files.contains("cloud.conf") && files.contains("connector.conf")
        for name in ["", "/run", "/connector", "/cloud/destinations/provider/destinations"] {
            try PrivateFile.makeFolder(folder + name)
        }
        try add(cloud, cloudText(ports))
        try add(connector, connectorText(ports))
        try add(action, Self.actionText)
        guard !isUsed else { return }
        try add(
            "\(folder)/cloud/destinations/provider/destinations/\(Self.destination).properties",
            Self.destinationText
        )
    }

    private func add(_ path: String, _ text: String) throws {
        guard unsafe access(path, F_OK) != 0 else { return }
        try AtomicFile.write(text, to: path, mode: 0o600)
    }

    /// A path as YAML takes it, whatever is in it.
    private func quoted(_ name: String) -> String {
        let text = "\(folder)/\(name)".replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return "\"\(text)\""
    }

    private func cloudText(_ ports: DemoProgram.Ports) -> String {
        """
        # The cloud side of the demonstration. Edit it, then: connectord reload --demo --cloud
        # Every key there is stands in etc/cloud.conf of the source, or /etc/connector-cloud/cloud.conf of the package.
        subaccount: \(Self.subaccount)

        # Where programs send their requests; with authorization: token they need one (connectord token --demo).
        proxy:
          listen: 127.0.0.1:\(ports.proxy)
          authorization: none

        # TCP systems, by SOCKS5 with a token.
        socks:
          listen: 127.0.0.1:\(ports.socks)

        # Tokens, and the destinations below cloud/destinations.
        api:
          listen: 127.0.0.1:\(ports.api)
          directory: \(quoted("cloud/api"))
          destinations: \(quoted("cloud/destinations"))

        # The page.
        cockpit:
          listen: 127.0.0.1:\(ports.cockpit)

        # Where the connector dials in.
        tunnel:
          listen: 127.0.0.1:\(ports.tunnel)

        # The authority that signs the connector's certificate.
        enrolment:
          authority: \(quoted("cloud/authority"))
          service-names: [localhost, 127.0.0.1]

        admin:
          socket: \(quoted("run/cloud.sock"))

        """
    }

    private func connectorText(_ ports: DemoProgram.Ports) -> String {
        """
        # The connector of the demonstration. Edit it, then: connectord reload --demo
        # Every key there is stands in etc/connector.conf of the source, or /etc/connector/connector.conf of the package.
        subaccount: \(Self.subaccount)

        # Where it dials out to, and who it is there.
        tunnel:
          service: localhost:\(ports.tunnel)
          certificate: \(quoted("connector/connector.pem"))
          private-key: \(quoted("connector/connector.key"))
          trusted-ca: \(quoted("connector/service-ca.pem"))

        # What programs in the cloud may call, and under which name.
        systems:
          - virtual-host: internalhost:3333
            internal-host: localhost:\(ports.backend)
            protocol: HTTP
            description: Hello World
            resources:
              - path: /hello
                access: path-only
              # For Check Connection, which asks for what is in the destination's URL.
              - path: /
                access: path-only
          # The same server for programs that speak TCP: connectord forward 4444 hellotcp:4444 --demo
          - virtual-host: hellotcp:4444
            internal-host: localhost:\(ports.backend)
            protocol: TCP

        admin:
          socket: \(quoted("run/connector.sock"))

        """
    }

    private static let destinationText = """
        # As the cockpit exports it. The last two lines offer it to actions.
        Name=\(destination)
        Type=HTTP
        URL=http\\://internalhost\\:3333
        ProxyType=OnPremise
        Authentication=NoAuthentication
        sap.processautomation.enabled=true
        sap.applicationdevelopment.actions.enabled=true

        """

    private static let actionText = """
        openapi: 3.0.0
        info: {title: Hello World, version: 1.0.0}
        servers:
          - url: empty
        paths:
          /hello:
            get:
              operationId: hello
              summary: Says hello
              responses:
                "200":
                  description: A greeting
                  content:
                    application/json:
                      schema:
                        type: object
                        required: [message]
                        properties:
                          message: {type: string}

        """
}
