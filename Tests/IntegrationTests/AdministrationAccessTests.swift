import ConnectorTestSupport
import Foundation
import Testing

/// Who may administer, over HTTPS with the built program.
@Suite(.serialized)
struct AdministrationAccessTests {
    private let version = "/api/v1/connector/version"

    @Test("Nobody has a password at first; a one-time code lets the administrator set one, and nothing else")
    func firstLogin() throws {
        let asked = try AskedConnector(isSetUp: false)
        defer { asked.stop() }
        for login in ["Administrator:manage", "Administrator:", ":"] {
            #expect(try asked.ask("GET", version, login: login).status == 401)
        }
        let code = try asked.code()
        let initial = try asked.ask("GET", version, login: "Administrator:\(code)")
        #expect(initial.status == 403 && initial.message == "operation unavailable unless initial password is changed")
        func set(_ password: String, old: String? = nil) throws -> AskedConnector.Answer {
            let body = #"{"oldPassword":"\#(old ?? code)","newPassword":"\#(password)"}"#
            return try asked.ask("PUT", AskedConnector.authentication, body, login: "Administrator:\(old ?? code)")
        }
        #expect(try set("short").message.contains("shorter than 12 characters"))
        // A wrong old password takes its time and is noted, as a wrong login.
        #expect(
            try asked.ask(
                "PUT",
                AskedConnector.authentication,
                #"{"oldPassword":"x","newPassword":"correct horse battery"}"#,
                login: "Administrator:\(code)"
            ).message.contains("old password is wrong")
        )
        #expect(try set("my administrator").message.contains("the user's name"))
        #expect(try set("aaaaaaaaaaaaaaaa").message.contains("different characters"))
        #expect(try set("correct horse battery").status == 204)
        #expect(try set("another battery", old: code).status == 401, "a code works once")
        #expect(try asked.ask("GET", version).status == 200)
        // One who forgot the password gets a code; until it is used, the old one stays.
        let second = try asked.code()
        #expect(try asked.ask("GET", version).status == 200)
        #expect(try set("another battery staple", old: second).status == 204)
        #expect(try asked.ask("GET", version).status == 401)
        #expect(try asked.ask("GET", version, login: "Administrator:another battery staple").status == 200)
        let file = asked.rig.folder.appending(path: "admin/users.json")
        let users = try String(contentsOf: file, encoding: .utf8)
        #expect(users.contains("scrypt$") && !users.contains("battery"))
        let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(asked.rig.connectors[0].stop() == 0)
        let audit = try asked.rig.auditText()
        #expect(audit.contains("LOGIN_REFUSED") && audit.contains("set a new password") && !audit.contains("battery"))
    }

    @Test("Each role may do what SAP's documentation gives it, and is told what it lacks")
    func roles() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let roles = ["associate-administrator", "subaccount-administrator", "support", "display", "monitoring"]
        for role in roles { try asked.add(role, role: role) }
        let mappings = AskedConnector.subaccount + "/systemMappings"
        let connector = "/api/v1/configuration/connector"
        let mapping =
            #"{"localHost":"h","localPort":"1","protocol":"HTTP","virtualHost":"NAME","virtualPort":"1"}"#
        // What is refused for its role is refused before it is looked at.
        let allowed: [(method: String, path: String, body: String?, roles: [String])] = [
            ("GET", mappings, nil, roles),
            ("GET", "/api/monitoring/memory", nil, ["monitoring"]),
            ("POST", mappings, mapping, ["associate-administrator", "subaccount-administrator"]),
            ("PUT", connector, #"{"description":"d"}"#, ["associate-administrator"]),
            ("PUT", connector + "/proxy", "{}", []),
            ("POST", connector + "/haRole", #""master""#, []),
            ("PATCH", connector + "/logAndTrace", #"{"sccLogLevel":"INFO"}"#, ["support"]),
            (
                "PATCH", connector + "/onPremises/truststore", #"{"trustAllBackends":false}"#,
                ["associate-administrator"]
            ),
        ]
        for example in allowed {
            for role in roles {
                let answer = try asked.ask(
                    example.method,
                    example.path,
                    example.body?.replacing("NAME", with: role),
                    login: "\(role):\(AskedConnector.password)"
                )
                let isAllowed = (200..<300).contains(answer.status)
                #expect(isAllowed == example.roles.contains(role), "\(role): \(example) \(answer)")
                if !isAllowed {
                    #expect(answer.status == 403 && answer.message.contains("needs the role"), "\(answer)")
                }
            }
        }
        #expect(try asked.rig.control("admin", "remove", "display", "--socket", "connector.sock").status == 0)
        #expect(try asked.ask("GET", mappings, login: "display:\(AskedConnector.password)").status == 401)
        let last = try asked.rig.control("admin", "remove", "Administrator", "--socket", "connector.sock")
        #expect(last.status == 1 && last.output.contains("last administrator"))
        let list = try asked.rig.control("admin", "list", "--socket", "connector.sock").output
        #expect(list.contains("support: support") && !list.contains("display"))
    }

    @Test("A session is begun with the first answer, and a change in it needs its token")
    func sessions() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let connector = "/api/v1/configuration/connector"
        let first = try asked.ask("GET", version)
        let cookie = try #require(first.field("set-cookie")?.split(separator: ";").first).replacing(
            "jsessionid",
            with: "JSESSIONID"
        )
        let token = try #require(first.field("x-csrf-token"))
        #expect(first.head.contains("secure") && first.head.contains("samesite=strict"))
        func put(_ fields: String...) throws -> AskedConnector.Answer {
            var answer = try asked.ask("GET", version, login: nil, "-H", "Cookie: \(cookie)")
            #expect(answer.status == 200 && answer.field("set-cookie") == nil)
            let arguments = fields.flatMap { ["-H", $0] }
            let output = try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                [
                    "-s", "-i", "-k", "-X", "PUT", "https://127.0.0.1:\(asked.port)\(connector)", "-H",
                    "Cookie: \(cookie)",
                    "-H", "Content-Type: application/json", "-d", #"{"description":"x"}"#,
                ] + arguments,
                asked.rig.folder
            ).output
            answer.status = Int(output.split(separator: " ").dropFirst().first ?? "") ?? 0
            answer.body = output
            return answer
        }
        #expect(try put().status == 403)
        #expect(try put("X-CSRF-Token: \(String(token.reversed()))").status == 403)
        #expect(try put("X-CSRF-Token: \(token)", "Origin: https://evil.example.com").status == 403)
        #expect(try put("X-CSRF-Token: \(token)", "Sec-Fetch-Site: cross-site").status == 403)
        #expect(try put("X-CSRF-Token: \(token)").status == 200)
        // Nor does a browser's memory of a password help another page.
        let foreign = try asked.ask("PUT", connector, #"{"description":"y"}"#, "-H", "Origin: https://evil.example.com")
        #expect(foreign.status == 403)
        let once = try asked.ask("GET", version, nil, "-H", "Connection: close")
        #expect(once.field("set-cookie") == nil)
        try asked.setPassword("another battery staple")
        #expect(try asked.ask("GET", version, login: nil, "-H", "Cookie: \(cookie)").status == 401)
    }

    @Test("The page answers under its own names and addresses only")
    func hosts() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        #expect(try asked.ask("GET", version).status == 200)
        #expect(try asked.ask("GET", version, authority: "localhost:\(asked.port)").status == 200)
        let other = try asked.ask("GET", version, authority: "evil.example.com:8443")
        #expect(other.status == 421 && other.body.contains("host-names"))
        #expect(try asked.ask("GET", "/exposed?action=ping", login: nil).status == 200)
        #expect(try asked.ask("GET", "/exposed?action=hasMasterRole", login: nil).body == "true")
        #expect(try asked.ask("GET", "/exposed?action=x", login: nil).status == 400)
    }

    @Test("One who guesses keeps the administrator out no longer than a moment")
    func guesses() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let url = "https://127.0.0.1:\(asked.port)\(version)"
        let script = """
            for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
                curl -sk -o /dev/null -w '%{http_code} %{time_total}\n' -u Administrator:wrong$i \(url) &
            done
            curl -sk -o /dev/null -w 'RIGHT %{http_code}\n' -u 'Administrator:\(AskedConnector.password)' \(url)
            wait
            """
        let lines = try Rig.run(URL(filePath: "/bin/bash"), ["-c", script], asked.rig.folder).output.split(
            separator: "\n"
        )
        #expect(lines.contains("RIGHT 200") && lines.count == 13, "\(lines)")
        for line in lines where !line.hasPrefix("RIGHT") {
            let parts = line.split(separator: " ")
            #expect(parts[0] == "401" && (Double(parts[1]) ?? 0) >= 1, "a wrong password takes its second: \(line)")
        }
    }

    @Test("In SAP's words, a connector that another one has superseded is the shadow, until that one goes")
    func masterAndShadow() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let probe = "/exposed?action=ensureMasterRole"
        #expect(try asked.ask("GET", probe, login: nil).status == 200)
        let file = asked.rig.folder.appending(path: "connector0.conf")
        try String(contentsOf: file, encoding: .utf8).replacing("connector.sock", with: "second.sock")
            .write(to: asked.rig.folder.appending(path: "second.conf"), atomically: true, encoding: .utf8)
        let second = try LoggedProcess(["run", "--config", "second.conf"], folder: asked.rig.folder)
        defer { second.stop(SIGKILL) }
        #expect(try Rig.eventually { try asked.ask("GET", probe, login: nil).status == 409 })
        #expect(try asked.ask("GET", "/exposed?action=hasMasterRole", login: nil).body == "false")
        let role = "/api/v1/configuration/connector/haRole"
        #expect(try asked.ask("GET", role).body == "\"shadow\"\n")
        #expect(try asked.ask("POST", role, #""master""#).status == 409)
        second.stop()
        #expect(try Rig.eventually { try asked.ask("GET", probe, login: nil).status == 200 })
        #expect(try asked.ask("GET", role).body == "\"master\"\n")
    }
}
