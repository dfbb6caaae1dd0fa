import ConnectivityService
import NIOHTTP1
import Testing

@testable import ConnectorDaemon

struct CockpitTests {
    private func access(password: String? = nil) throws -> CockpitAccess {
        try CockpitAccess(hostNames: ["cockpit.example.com"], password: password)
    }

    private func request(_ method: String, _ headers: HTTPHeaders) -> HTTPRequest {
        HTTPRequest(method: method, path: "/", headers: headers, body: [])
    }

    @Test(
        "The page is served under its names only",
        arguments: [
            ("localhost:20081", true), ("LOCALHOST", true), ("127.0.0.1:20081", true), ("[::1]:20081", true),
            ("cockpit.example.com", true), ("evil.example.com", false), ("localhost.evil.example.com", false),
            ("", false),
            ("127.0.0.1.nip.io", false),
        ]
    )
    func hosts(_ host: String, _ isAllowed: Bool) throws {
        #expect(try access().judge(request("GET", ["host": host])) == (isAllowed ? .allowed : .wrongHost))
    }

    @Test("A password that is demanded is compared as a whole, whatever the user's name")
    func password() throws {
        let access = try access(password: "pass:word")
        func judge(_ credentials: String?) -> CockpitAccess.Verdict {
            var headers: HTTPHeaders = ["host": "localhost"]
            if let credentials { headers.add(name: "authorization", value: credentials) }
            return access.judge(request("GET", headers))
        }
        #expect(judge(nil) == .wrongPassword)
        #expect(judge("Basic YWRtaW46cGFzczp3b3Jk") == .allowed)  // admin:pass:word
        #expect(judge("basic OnBhc3M6d29yZA==") == .allowed)  // :pass:word
        #expect(judge("Basic YWRtaW46cGFzcw==") == .wrongPassword)  // admin:pass
        #expect(judge("Basic ?") == .wrongPassword)
        #expect(judge("Bearer pass:word") == .wrongPassword)
    }

    @Test("Changes need the page's token, and no sign of another origin")
    func changes() throws {
        let access = try access()
        func judge(_ headers: HTTPHeaders) -> CockpitAccess.Verdict {
            var headers = headers
            headers.add(name: "host", value: "localhost:20081")
            return access.judge(request("POST", headers))
        }
        #expect(judge([:]) == .foreignChange)
        #expect(judge(["x-csrf-token": "wrong"]) == .foreignChange)
        #expect(judge(["x-csrf-token": access.changeToken]) == .allowed)
        let own = "http://localhost:20081"
        #expect(
            judge(["x-csrf-token": access.changeToken, "origin": own, "sec-fetch-site": "same-origin"]) == .allowed
        )
        for foreign in ["http://localhost:20082", "http://evil.example.com", "null"] {
            #expect(judge(["x-csrf-token": access.changeToken, "origin": foreign]) == .foreignChange)
        }
        #expect(judge(["x-csrf-token": access.changeToken, "sec-fetch-site": "cross-site"]) == .foreignChange)
    }

    @Test(
        "A refusal of the policy comes with the lines that would allow it; nothing a client writes breaks out of them"
    )
    func advice() {
        func lines(_ target: String, _ phase: String, _ cause: String, side: String = "cloud-connector") -> String? {
            let entry = RecentRefusals.Entry(
                time: 0,
                subaccount: "s",
                locationID: "",
                method: "GET",
                target: target,
                status: 403,
                source: "policy",
                phase: phase,
                cause: cause,
                side: side
            )
            return RefusalAdvice(entry)?.lines
        }
        #expect(lines("http://a:1/x?y=1", "resource", "resource not exposed") == "- {path: /x, access: path-only}")
        #expect(lines("http://a:1/x?…", "resource", "resource not exposed") == "- {path: /x, access: path-only}")
        #expect(lines("http://a:1/x", "resource", "resource suspended") == "active: true")
        #expect(lines("http://a:1/x", "upgrade", "upgrade not allowed") == "upgrade-allowed: true")
        #expect(lines("http://A:1/x", "system", "system not exposed")?.contains("virtual-host: \"a:1\"") == true)
        #expect(
            lines("http://a:1/x,access:y}", "resource", "resource not exposed")
                == "- {path: \"/x,access:y}\", access: path-only}"
        )
        #expect(lines("http://a:1/x", "system", "another principal", side: "connectivity-service") == nil)
        #expect(lines("nonsense", "system", "system not exposed") == nil)
    }
}
