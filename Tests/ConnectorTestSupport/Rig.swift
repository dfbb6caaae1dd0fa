package import Foundation
internal import Synchronization

/// A process whose output is read line by line, what it logs and what it says.
package final class LoggedProcess: Sendable {
    private let process: Mutex<Process>
    private let lines = Mutex<[String]>([])
    private let arrival = DispatchSemaphore(value: 0)
    package let pid: Int32

    /// - Parameters:
    ///   - wrapper: a program with arguments that becomes connectord, such as `unshare`.
    ///   - environment: in addition to the test's own.
    package init(
        _ arguments: [String],
        folder: URL,
        wrapper: [String] = [],
        environment: [String: String] = [:]
    ) throws {
        let process = Process()
        let all = wrapper + [Repository.connectord.path] + arguments
        process.executableURL = URL(filePath: all[0])
        process.arguments = Array(all.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.currentDirectoryURL = folder
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        pid = process.processIdentifier
        self.process = Mutex(process)
        let reader = pipe.fileHandleForReading
        Thread.detachNewThread { [self] in
            var rest = Data()
            while true {
                let data = reader.availableData
                if data.isEmpty { break }
                rest += data
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = String(decoding: rest[..<end], as: UTF8.self)
                    rest = Data(rest[rest.index(after: end)...])
                    lines.withLock { $0.append(line) }
                    arrival.signal()
                }
            }
        }
    }

    package var log: [String] { lines.withLock { $0 } }

    /// Lines logged after a mark; take one with `mark`.
    package func log(after mark: Int) -> [String] { Array(log.dropFirst(mark)) }
    package var mark: Int { lines.withLock { $0.count } }

    /// Waits for a line with this text.
    @discardableResult
    package func wait(for text: String, after mark: Int = 0, count: Int = 1) throws -> String {
        let deadline = DispatchTime.now() + .seconds(Socket.timeout)
        while true {
            let found = log(after: mark).filter { $0.contains(text) }
            if found.count >= count { return found[count - 1] }
            guard arrival.wait(timeout: deadline) == .success else {
                throw RigError("no line with \"\(text)\" in:\n\(log.suffix(20).joined(separator: "\n"))")
            }
        }
    }

    package func signal(_ number: Int32) { kill(pid, number) }

    /// Makes it stand still, and waits until each of its threads does: a signal says only that it will.
    package func freeze() {
        kill(pid, SIGSTOP)
        while !isFrozen {}
    }

    private var isFrozen: Bool {
        let tasks = "/proc/\(pid)/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
        return threads.allSatisfy { thread in
            let text = (try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8)) ?? ""
            // What follows the name in brackets; a thread that has ended meanwhile has no file.
            return text.isEmpty || text.split(separator: ")").last?.hasPrefix(" T") == true
        }
    }

    /// Ends it and waits for its end.
    ///
    /// - Returns: its exit status.
    @discardableResult
    package func stop(_ number: Int32 = SIGTERM) -> Int32 {
        kill(pid, number)
        return waitUntilExit()
    }

    package func waitUntilExit() -> Int32 {
        process.withLock {
            $0.waitUntilExit()
            return $0.terminationStatus
        }
    }

    /// Resident memory now, in KiB.
    package var residentKiB: Int { status("VmRSS:") }

    /// Resident memory now, in MiB.
    package var memory: Int { residentKiB / 1024 }

    /// Highest resident memory so far, in MiB.
    package var peakMemory: Int { status("VmHWM:") / 1024 }

    private func status(_ key: String) -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(key) } ?? ""
        return (line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0)
    }

    /// Used so far.
    package var processorSeconds: Double {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 13, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / 100
    }

    package var openDescriptors: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
    }
}

package struct RigError: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// The built program as its users run it: a connectivity service and connectors as processes of their own.
package final class Rig {
    package let folder: URL
    package private(set) var cloud: LoggedProcess
    package private(set) var connectors: [LoggedProcess] = []
    package private(set) var proxyPort = 0
    package private(set) var tunnelPort = 0
    /// Of the token service; 0 without one.
    package private(set) var apiPort = 0
    private let cloudExtra: String

    /// - Parameters:
    ///   - cloud: further lines for cloud.conf.
    ///   - locationIDs: one connector is prepared for each.
    ///   - files: which cloud.conf names.
    package init(cloud extra: String = "", locationIDs: [String] = [""], files: [String: String] = [:]) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "connectord-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        cloudExtra = extra
        for (name, text) in files {
            try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
        }
        // One authority signs for all, so each connector gets the certificates of a folder of its own.
        try Self.run(
            ["certificates", "--directory", ".", "--subaccount", "test", "--location-id", locationIDs[0]],
            folder
        )
        try Self.writeCloud(folder, proxy: 0, tunnel: 0, extra)
        cloud = try LoggedProcess(["cloud", "--config", "cloud.conf"], folder: folder)
        try readPorts()
    }

    /// Asks until the answer is yes, or the time of all tests is over. For what another process knows: asking it takes its
    /// time.
    package static func eventually(_ isTrue: () throws -> Bool) rethrows -> Bool {
        let end = DispatchTime.now() + .seconds(Socket.timeout)
        while DispatchTime.now() < end {
            if try isTrue() { return true }
        }
        return false
    }

    private func readPorts() throws {
        let line = try cloud.wait(for: "connectivity service started")
        let numbers = line.split(separator: "\"").compactMap { Int($0) }
        (proxyPort, tunnelPort) = (numbers[0], numbers[1])
        let api = cloud.log.first { $0.contains("api started") }
        apiPort = api?.split(separator: "\"").compactMap { Int($0) }.first ?? 0
    }

    private static func writeCloud(_ folder: URL, proxy: Int, tunnel: Int, _ extra: String) throws {
        let text = """
            subaccount: test
            \(extra.contains("proxy:") ? "" : "proxy: {listen: \"127.0.0.1:\(proxy)\"}")
            tunnel:
              listen: 127.0.0.1:\(tunnel)
              certificate: service.pem
              private-key: service.key
              trusted-ca: ca.pem
            \(extra.contains("admin:") ? "" : "admin: {socket: cloud.sock}")
            \(extra.replacingOccurrences(of: "PORT", with: String(proxy)))
            """
        try text.write(to: folder.appending(path: "cloud.conf"), atomically: true, encoding: .utf8)
    }

    /// Starts a connector and waits until a tunnel is up.
    @discardableResult
    package func startConnector(
        systems: String,
        extra: String = "",
        tunnel: String = "",
        connections: Int = 1
    ) throws -> LoggedProcess {
        let name = "connector\(connectors.count).conf"
        let text = """
            subaccount: test
            tunnel:
              service: localhost:\(tunnelPort)
              connections: \(connections)
            \(tunnel.isEmpty ? "" : "  \(tunnel)")
              certificate: connector.pem
              private-key: connector.key
              trusted-ca: ca.pem
            \(extra.contains("check:") ? "" : "check: {interval: \"off\"}")
            \(extra.contains("admin:") ? "" : "admin: {socket: connector.sock, listen: \"off\"}")
            \(extra)
            systems:
            \(systems)
            """
        try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
        return try restartConnector(name, connections: connections)
    }

    @discardableResult
    package func restartConnector(
        _ name: String = "connector0.conf",
        connections: Int = 1,
        wrapper: [String] = [],
        environment: [String: String] = [:]
    ) throws -> LoggedProcess {
        let mark = cloud.mark
        let connector = try LoggedProcess(
            ["run", "--config", name],
            folder: folder,
            wrapper: wrapper,
            environment: environment
        )
        connectors.append(connector)
        try cloud.wait(for: "tunnel connected", after: mark, count: connections)
        return connector
    }

    /// Starts the service again on the ports it had.
    package func restartCloud(wrapper: [String] = []) throws {
        cloud.stop(SIGKILL)
        try Self.writeCloud(folder, proxy: proxyPort, tunnel: tunnelPort, cloudExtra)
        cloud = try LoggedProcess(["cloud", "--config", "cloud.conf"], folder: folder, wrapper: wrapper)
        try cloud.wait(for: "connectivity service started")
    }

    package func stop() {
        for connector in connectors { connector.stop(SIGKILL) }
        cloud.stop(SIGKILL)
        try? FileManager.default.removeItem(at: folder)
    }

    package static func system(
        _ name: String = "backend.test:80",
        port: Int,
        _ resources: String = "{path: /, access: path-and-sub-paths}",
        extra: String = ""
    ) -> String {
        "  - {virtual-host: \"\(name)\", internal-host: \"127.0.0.1:\(port)\", protocol: HTTP, resources: [\(resources)]\(extra)}\n"
    }

    /// Runs connectord to its end.
    @discardableResult
    package static func run(_ arguments: [String], _ folder: URL) throws -> (status: Int32, output: String) {
        try run(Repository.connectord, arguments, folder)
    }

    @discardableResult
    package static func run(_ program: URL, _ arguments: [String], _ folder: URL) throws -> (
        status: Int32, output: String
    ) {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.currentDirectoryURL = folder
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    /// curl through the proxy; the output has the response's head in front.
    package func curl(_ arguments: String...) throws -> String {
        try Self.run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "-S", "-i", "-m", "\(Socket.timeout)", "-x", "127.0.0.1:\(proxyPort)"] + arguments,
            folder
        ).output
    }

    /// The value of VCAP_SERVICES, without what is noted beside it.
    package func bindings() throws -> Data {
        let output = try Self.run(["env", "--format", "vcap", "--config", "cloud.conf"], folder).output
        guard let line = output.split(separator: "\n").first(where: { $0.hasPrefix("{") }) else {
            throw RigError(output)
        }
        return Data(line.utf8)
    }

    /// connectord against a daemon of this rig.
    @discardableResult
    package func control(_ arguments: String...) throws -> (status: Int32, output: String) {
        try Self.run(arguments, folder)
    }

    /// What `connectord explain` says of a request of the user whose token is in the file `token`.
    package func explainUser(_ url: String) throws -> (status: Int32, output: String) {
        try control("explain", "--config", "connector0.conf", "--user-token", "token", "GET", url)
    }

    /// Replaces the configuration of a connector.
    package func rewrite(_ name: String = "connector0.conf", _ change: (String) -> String) throws {
        let file = folder.appending(path: name)
        let text = try String(contentsOf: file, encoding: .utf8)
        try change(text).write(to: file, atomically: true, encoding: .utf8)
    }

    /// What the audit log in a folder holds by now.
    package func auditText(_ name: String = "audit") throws -> String {
        let audit = folder.appending(path: name)
        return try FileManager.default.contentsOfDirectory(atPath: audit.path).filter { $0.hasSuffix(".jsonl") }
            .map { try String(contentsOf: audit.appending(path: $0), encoding: .utf8) }.joined()
    }

    package func connect() throws -> Socket { try Socket(connectingTo: proxyPort) }
}
