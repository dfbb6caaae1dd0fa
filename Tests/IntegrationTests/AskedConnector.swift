import ConnectorTestSupport
import Foundation

/// A connector with one subaccount and an administrator, asked over HTTPS as SAP's clients do.
final class AskedConnector {
    let rig: Rig
    let backend = TestServer.http { _, _ in TestServer.ok("here") }
    let connector: LoggedProcess
    let port: Int
    static let subaccount = "/api/v1/configuration/subaccounts/cf.example.com/test"
    static let authentication = "/api/v1/configuration/connector/authentication/basic"
    static let password = "correct horse battery"
    /// A name that the page has been given; requests are made under it.
    static let authority = "scc.test:8443"

    /// - Parameter isSetUp: the administrator has a password.
    init(isSetUp: Bool = true, extra: String = "") throws {
        rig = try Rig()
        connector = try rig.startConnector(
            systems: Rig.system(port: backend.port) + "  # the last line\n",
            extra: """
                region-host: cf.example.com
                audit: {directory: audit}
                admin: {socket: connector.sock, listen: "127.0.0.1:0", host-names: [scc.test]}
                \(extra)
                """
        )
        port = try Self.port(connector)
        if isSetUp { try setPassword(Self.password) }
    }

    static func port(_ connector: LoggedProcess) throws -> Int {
        let line = try connector.wait(for: "administration served")
        return line.split(separator: "\"").compactMap { Int($0) }.last ?? 0
    }

    /// With a code, as `connectord admin` prints it.
    func setPassword(_ password: String, of user: String = "Administrator") throws {
        let code = try code(of: user)
        let answer = try ask(
            "PUT",
            Self.authentication,
            #"{"oldPassword":"\#(code)","newPassword":"\#(password)"}"#,
            login: "\(user):\(code)"
        )
        guard answer.status == 204 else { throw RigError("no password: \(answer)") }
    }

    func code(of user: String = "Administrator") throws -> String {
        try Self.firstLine(rig.control("admin", "password", user, "--socket", "connector.sock").output)
    }

    /// Makes a user, with the usual password.
    func add(_ user: String, role: String) throws {
        let added = try rig.control("admin", "add", user, "--role", role, "--socket", "connector.sock")
        guard added.status == 0 else { throw RigError(added.output) }
        try setPassword(Self.password, of: user)
    }

    static func firstLine(_ text: String) throws -> String {
        // Standard error comes along.
        guard let line = text.split(separator: "\n").first(where: { $0.split(separator: "-").count == 5 }) else {
            throw RigError(text)
        }
        return String(line)
    }

    func stop() {
        rig.stop()
        backend.stop()
    }

    struct Answer {
        var status: Int
        /// In small letters.
        var head: String
        var body: String
        var json: NSDictionary {
            (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? NSDictionary) ?? [:]
        }
        var list: [NSDictionary] {
            (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [NSDictionary]) ?? []
        }
        var message: String { json["message"] as? String ?? "" }

        func field(_ name: String) -> String? {
            head.components(separatedBy: "\r\n").first { $0.hasPrefix(name + ": ") }.map {
                String($0.dropFirst(name.count + 2))
            }
        }
    }

    func ask(
        _ method: String,
        _ path: String,
        _ body: String? = nil,
        type: String = "application/json",
        login: String? = "Administrator:\(AskedConnector.password)",
        authority: String = AskedConnector.authority,
        _ further: String...
    ) throws -> Answer {
        var arguments = [
            "-s", "-i", "-k", "--path-as-is", "--connect-to", "\(authority):127.0.0.1:\(port)", "-X", method,
            "https://\(authority)\(path)",
        ]
        if let login { arguments += ["-u", login] }
        if let body { arguments += ["-H", "Content-Type: \(type)", "--data-binary", body] }
        let output = try Rig.run(URL(filePath: "/usr/bin/curl"), arguments + further, rig.folder).output
        var parts = output.components(separatedBy: "\r\n\r\n")
        while parts[0].contains(" 100 ") { parts.removeFirst() }
        let status = Int(parts[0].split(separator: " ").dropFirst().first ?? "") ?? 0
        return Answer(
            status: status,
            head: parts[0].lowercased(),
            body: parts.dropFirst().joined(separator: "\r\n\r\n")
        )
    }

    func file() throws -> String {
        try String(contentsOf: rig.folder.appending(path: "connector0.conf"), encoding: .utf8)
    }
}
