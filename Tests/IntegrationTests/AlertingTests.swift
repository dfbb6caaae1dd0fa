import ConnectorTestSupport
import Foundation
import Testing

/// What the connector warns of, what it records, and how SAP's API changes both.
@Suite(.serialized)
struct AlertingTests {
    private let connector = "/api/v1/configuration/connector"

    @Test("Thresholds come from the file and go into it; what is beyond one stands in the API and in the log")
    func alerting() throws {
        let asked = try AskedConnector(extra: "alerts: {free-disk-mib: 100}")
        defer { asked.stop() }
        let path = connector + "/alerting"
        func thresholds() throws -> NSDictionary {
            try #require(asked.ask("GET", path).json["thresholds"] as? NSDictionary)
        }
        #expect(try thresholds()["cpuLoad"] as? Int == 90 && thresholds()["cpuLoadViolationToleranceSec"] as? Int == 60)
        #expect(
            try thresholds()["freeDiskSpaceMb"] as? Int == 100 && thresholds()["certificateValidityDays"] as? Int == 30
        )
        func alerts() throws -> [NSDictionary] {
            try asked.ask("GET", "/api/monitoring/alerts").json["alerts"] as? [NSDictionary] ?? []
        }
        #expect(try !alerts().contains { $0["type"] as? String == "Disk" })
        let all =
            #"{"thresholds":{"cpuLoad":"80","cpuLoadViolationToleranceSec":30,"freeDiskSpaceMb":900000000,"certificateValidityDays":7}}"#
        #expect(try asked.ask("PUT", path, all).status == 204)
        #expect(try thresholds()["cpuLoad"] as? Int == 80 && thresholds()["certificateValidityDays"] as? Int == 7)
        #expect(try asked.file().contains("cpu-load: 80") && asked.file().contains("cpu-duration: 30s"))
        #expect(try Rig.eventually { try alerts().contains { $0["type"] as? String == "Disk" } })
        let alert = try #require(try alerts().first { $0["type"] as? String == "Disk" })
        let text = alert["message"] as? String ?? ""
        #expect(text.hasPrefix("Free disk space dropped below configured threshold — "), "\(text)")
        try asked.connector.wait(for: "the disk is nearly full")
        #expect(try asked.ask("PATCH", path, #"{"thresholds":{"freeDiskSpaceMb":0}}"#).status == 204)
        try asked.connector.wait(for: "the disk has room again")
        #expect(try !alerts().contains { $0["type"] as? String == "Disk" })
    }

    @Test("What cannot be meant changes nothing, and is said in SAP's form")
    func refusals() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let before = try asked.file()
        for (method, body, text) in [
            ("PUT", #"{"thresholds":{"cpuLoad":80}}"#, "is missing"),
            ("PATCH", #"{"thresholds":{"cpuLoad":101}}"#, "between 1 and 100"),
            ("PATCH", #"{"thresholds":{"cpuLoad":true}}"#, "between 1 and 100"),
            ("PATCH", #"{"thresholds":{"cpu":1}}"#, "thresholds.cpu is not known"),
            ("PATCH", #"{"thresholds":{"freeDiscForTraceMb":1}}"#, "not built"),
            ("PATCH", #"{"notification":{"ha":true}}"#, "notification.ha is always false here: not built"),
            ("PATCH", #"{"notification":{"CPU":false}}"#, "notification.CPU is always true"),
            ("PATCH", #"{"other":1}"#, "other"),
        ] {
            let answer = try asked.ask(method, connector + "/alerting", body)
            #expect(answer.status == 400 && answer.message.contains(text), "\(body): \(answer)")
        }
        let mail = connector + "/email"
        #expect(try asked.ask("GET", mail).json["enabled"] as? Bool == false)
        let refused = try asked.ask("PUT", mail, #"{"enabled":true,"sendTo":"a@b.test","smtpHost":"mail.test"}"#)
        #expect(refused.status == 400 && refused.message.contains("e-mail is not built"), "\(refused)")
        #expect(try asked.ask("PATCH", mail, #"{"enabled":false}"#).status == 204)
        let audit = connector + "/auditLog"
        for (body, text) in [
            (#"{"level":"SOME"}"#, "OFF, SECURITY, ALL"), (#"{"cleanup":15}"#, "0, 14, 30"),
            (#"{"logPath":"/tmp"}"#, "logPath"), ("{}", "is needed"),
        ] {
            let answer = try asked.ask("PATCH", audit, body)
            #expect(answer.status == 400 && answer.message.contains(text), "\(body): \(answer)")
        }
        #expect(try asked.file() == before)
    }

    @Test("The audit log's level changes at once, and the log says who did it, also when it is switched off")
    func auditLevel() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let path = connector + "/auditLog"
        func records() throws -> String {
            let folder = asked.rig.folder.appending(path: "audit")
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
                $0.hasSuffix(".jsonl")
            }
            return try files.map { try String(contentsOf: folder.appending(path: $0), encoding: .utf8) }.joined()
        }
        #expect(try asked.rig.curl("http://backend.test/quiet").hasSuffix("here"))
        #expect(try asked.ask("PATCH", path, #"{"level":"ALL","cleanup":30}"#).status == 204)
        #expect(try asked.ask("GET", path).json["level"] as? String == "ALL")
        #expect(try asked.ask("GET", path).json["cleanup"] as? Int == 30)
        #expect(try asked.rig.curl("http://backend.test/loud").hasSuffix("here"))
        #expect(try Rig.eventually { try records().contains("/loud") })
        #expect(try !records().contains("/quiet"))
        #expect(try asked.ask("PATCH", path, #"{"level":"OFF"}"#).status == 204)
        #expect(
            try Rig.eventually { try records().contains("Audit log changed from level all to off [by Administrator") }
        )
        #expect(try asked.ask("GET", path).json["level"] as? String == "OFF")
        #expect(try asked.rig.curl("http://backend.test/silent").hasSuffix("here"))
        #expect(try asked.ask("PATCH", path, #"{"level":"SECURITY"}"#).status == 204)
        #expect(
            try Rig.eventually {
                try records().contains("Audit log changed from level off to security [by Administrator")
            }
        )
        #expect(try !records().contains("/silent"))
        let verified = try asked.rig.control("audit", "verify", "audit")
        #expect(verified.status == 0, "\(verified.output)")
    }

    @Test("Processors and disk have figures that add up")
    func machine() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let disk = try asked.ask("GET", "/api/monitoring/disk").json
        let parts = ["CloudConnector", "others", "free"].compactMap { disk[$0] as? Int }
        let total = try #require(disk["total"] as? Int)
        #expect(parts.count == 3 && total > 0 && parts.reduce(0, +) == total, "\(disk)")
        let processors = try asked.ask("GET", "/api/monitoring/cpu").json
        for name in ["total", "CloudConnector"] {
            let percent = try #require(processors[name] as? Int)
            #expect((0...100).contains(percent), "\(processors)")
        }
    }
}
