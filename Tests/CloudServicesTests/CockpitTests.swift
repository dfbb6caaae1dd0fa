import ConnectivityService
import NIOHTTP1
import Testing
import TextFormats

@testable import CloudServices
@testable import Networking

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
        #expect(try access().isNamed(request("GET", ["host": host])) == isAllowed)
    }

    @Test("A password that is demanded is compared as a whole, whatever the user's name")
    func password() throws {
        let access = try access(password: "pass:word")
        #expect(access.knows("Basic YWRtaW46cGFzczp3b3Jk"))  // admin:pass:word
        #expect(access.knows("basic OnBhc3M6d29yZA=="))  // :pass:word
        #expect(!access.knows("Basic YWRtaW46cGFzcw=="))  // admin:pass
        #expect(!access.knows("Basic ?"))
        #expect(!access.knows("Bearer pass:word"))
    }

    @Test("Changes need the page's token, and no sign of another origin")
    func changes() throws {
        let access = try access()
        func judge(_ headers: HTTPHeaders) -> Bool {
            var headers = headers
            headers.add(name: "host", value: "localhost:20081")
            return access.isOwnChange(request("POST", headers))
        }
        #expect(!judge([:]))
        #expect(!judge(["x-csrf-token": "wrong"]))
        #expect(judge(["x-csrf-token": access.changeToken]))
        let own = "http://localhost:20081"
        #expect(
            judge(["x-csrf-token": access.changeToken, "origin": own, "sec-fetch-site": "same-origin"])
        )
        for foreign in ["http://localhost:20082", "http://evil.example.com", "null"] {
            #expect(!judge(["x-csrf-token": access.changeToken, "origin": foreign]))
        }
        #expect(!judge(["x-csrf-token": access.changeToken, "sec-fetch-site": "cross-site"]))
    }

    @Test(
        "A refusal of the policy comes with the lines that would allow it; nothing a client writes breaks out of them"
    )
    func advice() {
        func lines(_ target: String, _ phase: RefusalPhase, _ cause: String, side: String = "cloud-connector")
            -> String?
        {
            let entry = RecentRefusals.Entry(
                time: 0,
                subaccount: "s",
                locationID: "",
                method: "GET",
                target: target,
                status: 403,
                source: .policy,
                phase: phase,
                cause: cause,
                side: side
            )
            return RefusalAdvice(entry)?.lines
        }
        #expect(lines("http://a:1/x?y=1", .resource, "resource not exposed") == "- {path: /x, access: path-only}")
        #expect(lines("http://a:1/x?…", .resource, "resource not exposed") == "- {path: /x, access: path-only}")
        #expect(lines("http://a:1/x", .resource, "resource suspended") == "active: true")
        #expect(lines("http://a:1/x", .upgrade, "upgrade not allowed") == "upgrade-allowed: true")
        #expect(lines("http://A:1/x", .system, "system not exposed")?.contains("virtual-host: \"a:1\"") == true)
        #expect(
            lines("http://a:1/x,access:y}", .resource, "resource not exposed")
                == "- {path: \"/x,access:y}\", access: path-only}"
        )
        #expect(lines("http://a:1/x", .system, "another principal", side: "connectivity-service") == nil)
        #expect(lines("nonsense", .system, "system not exposed") == nil)
    }
}
