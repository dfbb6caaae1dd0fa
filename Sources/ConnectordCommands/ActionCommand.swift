internal import AdminProtocol
internal import ArgumentParser
internal import ConnectorCommands
internal import DaemonSupport
internal import HostSystem
internal import JSON
internal import OpenAPI
internal import TextFormats

/// `connectord action`
struct ActionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "action",
        abstract:
            "Actions of SAP Build: operations of an OpenAPI description, through a destination of the running cloud side.",
        subcommands: [List.self, Test.self, Run.self],
        defaultSubcommand: List.self
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the destinations that are offered to actions: those with both enabling properties."
        )
        @Option(help: "Of this subaccount; the service's own unless given.") var subaccount: String?
        @OptionGroup var service: ServiceOptions

        func run() async throws {
            try await AdminCommand.run(service.admin) { client in
                let request = ActionMessage.Request(subaccount: subaccount)
                let destinations = try await client.post("/actions/list", request).decode(
                    [DestinationMessage.Summary].self
                )
                print(TextTable.lines(["NAME", "URL"], destinations.map { [$0.name, $0.url] }), terminator: "")
            }
        }
    }

    struct Options: ParsableArguments {
        @Option(help: "The destination, found by its name now.") var destination: String
        @Option(help: "The OpenAPI 3.0 or 3.1 or Swagger 2.0 description: JSON or YAML.") var spec: String
        @Option(help: "A value of a parameter or of a field of the body.") var set: [String] = []
        @Option(help: "A file with the whole body.") var body: String?
        @Option(help: "Print a value of the payload as NAME=VALUE: NAME=POINTER, or NAME for a field.") var output:
            [String] = []
        @Flag(help: "Fetch an X-CSRF-Token before a request that changes something, and send it with its cookies.")
        var csrf = false
        @Option(help: "Where it is fetched: path and query; the operation's own unless given.") var csrfPath: String?
        @Option(help: "Of this subaccount; the service's own unless given.") var subaccount: String?
        @OptionGroup var service: ServiceOptions

        func values() throws -> [String: String] {
            var values: [String: String] = [:]
            for text in set {
                guard let equals = text.firstIndex(of: "=") else {
                    throw AdminError("--set takes NAME=VALUE, not \(text)")
                }
                let name = String(text[..<equals])
                guard values.updateValue(String(text[text.index(after: equals)...]), forKey: name) == nil else {
                    throw AdminError("--set \(name) is given twice; a list is written as '[\"a\",\"b\"]'")
                }
            }
            return values
        }

        func runner(_ client: AdminClient) throws -> ActionRunner {
            let bytes: [UInt8]?
            do {
                bytes = try body.map { try PlainFile.read($0, maxBytes: 1 << 20) }
            } catch {
                throw AdminError("\(error)")
            }
            return ActionRunner(
                client: client,
                document: try ActionCommand.document(spec),
                destination: destination,
                subaccount: subaccount,
                values: try values(),
                body: bytes,
                csrfTarget: csrfPath ?? (csrf ? "" : nil)
            )
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "test",
            abstract: "Send an operation's request and hold its answer against the description.",
            discussion: """
                Without --operation all of them are tested: those that change something with --changes only, and those \
                whose parameters have no value are skipped. The URL is that of the destination and the path; "servers" \
                counts for nothing. Exit status: 0 if all is as described, 2 if not, 1 for anything else.
                """
        )
        @Option(help: "The operationId, or method and path such as \"GET /hello\".") var operation: String?
        @Flag(help: "Test operations that are not GET, HEAD or OPTIONS as well.") var changes = false
        @Option(help: "Write the results here, as JUnit has them.") var junit: String?
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let runner = try options.runner(client)
                if let operation {
                    let result = try await runner.run(try runner.find(operation))
                    for line in result.lines { print(line) }
                    try ActionCommand.printPicked(options.output, result)
                    if let junit { try JUnitReport.write([result], options.spec, to: junit) }
                    if !result.isGood { throw ExitCode(2) }
                    return
                }
                let results = try await runner.runAll(changes)
                for result in results { print(result.summary) }
                let failed = results.count { !$0.isGood && !$0.isSkipped }
                let skipped = results.count { $0.isSkipped }
                print("\(results.count - failed - skipped) good, \(failed) failed, \(skipped) skipped")
                if let junit { try JUnitReport.write(results, options.spec, to: junit) }
                if failed > 0 { throw ExitCode(2) }
            }
        }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run",
            abstract: "Run an operation and print what is picked from its payload, or the payload.",
            discussion: """
                  eval "$(connectord action run --destination "$DESTINATION" --spec hello.yaml --operation hello \
                --output subject=/message)"

                Exit status: 0 if all is as described, 2 if not (nothing is printed then), 1 for anything else.
                """
        )
        @Option(help: "The operationId, or method and path such as \"GET /hello\".") var operation: String
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let runner = try options.runner(client)
                let result = try await runner.run(try runner.find(operation))
                guard result.isGood else {
                    for line in result.lines { CommandSupport.printError(line) }
                    throw ExitCode(2)
                }
                guard options.output.isEmpty else { return try ActionCommand.printPicked(options.output, result) }
                print(String(decoding: result.body, as: UTF8.self), terminator: result.body.last == 0x0a ? "" : "\n")
            }
        }
    }

    /// Reads a description.
    static func document(_ spec: String) throws -> OpenAPIDocument {
        do {
            let bytes = try PlainFile.read(spec, maxBytes: OpenAPIDocument.maxBytes)
            let folder = Folder.of(spec)
            return try OpenAPIDocument(bytes, isYAML: !spec.lowercased().hasSuffix(".json")) {
                (path) throws(OpenAPIError) in
                do { return try PlainFile.read("\(folder)/\(path)", maxBytes: OpenAPIDocument.maxBytes) } catch {
                    throw OpenAPIError("\(error)")
                }
            }
        } catch {
            throw AdminError("\(spec): \(error)")
        }
    }

    /// As a shell takes them.
    private static func printPicked(_ outputs: [String], _ result: ActionRunner.Result) throws {
        // All or nothing: half of them would be taken by a script that does not look at the status.
        var lines: [String] = []
        for output in outputs {
            let parts = output.split(separator: "=", maxSplits: 1).map(String.init)
            let (name, place) = (parts.first ?? "", parts.count > 1 ? parts[1] : parts.first ?? "")
            let isName =
                !name.isEmpty
                && name.utf8.allSatisfy {
                    $0 == 0x5f || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7a) || ($0 >= 0x30 && $0 <= 0x39)
                }
            guard isName, name.first?.isNumber == false else {
                throw AdminError(
                    "--output: \(LogText.escaped(name.utf8)) is not a name: letters, digits and underscores"
                )
            }
            guard let value = result.verdict?.pick(place) else {
                throw AdminError("--output: the payload has nothing at \(LogText.escaped(place.utf8))")
            }
            let text =
                value == .null
                ? "" : value.plainText ?? String(decoding: JSONLines.encode(value).dropLast(), as: UTF8.self)
            lines.append("\(name)=\(EnvCommand.quoted(text))")
        }
        for line in lines { print(line) }
    }
}

/// Sends operations and judges the answers.
struct ActionRunner {
    let client: AdminClient
    let document: OpenAPIDocument
    let destination: String
    let subaccount: String?
    let values: [String: String]
    let body: [UInt8]?
    /// `ActionMessage.Request.csrfTarget`.
    var csrfTarget: String?

    struct Result {
        var operation: OpenAPIDocument.Operation
        /// Why it was not sent.
        var skipped: String?
        /// Why it could not be judged.
        var failure: String?
        var answer: ActionMessage.Answer?
        var verdict: ActionVerdict?
        var body: [UInt8] = []

        var isSkipped: Bool { skipped != nil }
        var isGood: Bool { !isSkipped && problems.isEmpty }

        var problems: [String] {
            let failures = failure.map { [$0] } ?? []
            guard let answer else { return failures }
            return failures + (answer.refusal.map { ["refused by \($0)"] } ?? []) + (verdict?.problems ?? [])
        }

        var summary: String {
            if let skipped { return "SKIPPED  \(operation.id): \(skipped)" }
            let status = answer.map { "\($0.status) \($0.reason)" } ?? "not sent"
            let unchecked = verdict?.unchecked ?? []
            let note = unchecked.isEmpty ? "" : " (not checked: \(unchecked.joined(separator: ", ")))"
            return isGood
                ? "ok       \(operation.id): \(status)\(note)"
                : "FAILED   \(operation.id): \(status): \(problems.joined(separator: "; "))"
        }

        /// Status, headers, payload and what is wrong.
        var lines: [String] {
            guard let answer else { return [summary] }
            var lines = ["\(operation.method) \(answer.url)", "\(answer.status) \(answer.reason)"]
            lines += answer.headers.map { "\($0.name): \(LogText.escaped($0.value.utf8))" }
            let text = String(decoding: body.prefix(65536), as: UTF8.self)
            lines += ["", String(text.unicodeScalars.filter { $0.value >= 0x20 || $0 == "\n" || $0 == "\t" }), ""]
            lines += problems.map { "FAILED   \($0)" }
            if let unchecked = verdict?.unchecked, !unchecked.isEmpty {
                lines.append("note     not checked: \(unchecked.joined(separator: ", "))")
            }
            if problems.isEmpty { lines.append("ok       as \(operation.id) is described") }
            return lines
        }
    }

    func find(_ id: String) throws -> OpenAPIDocument.Operation {
        if let operation = document.operation(id) { return operation }
        let known = document.operations.map(\.id)
        let nearest = NearestName.find(id, among: known).map { "; did you mean \($0)?" }
        throw AdminError(
            "the description has no operation \(LogText.escaped(id.utf8))"
                + (nearest ?? "; it has: \(known.prefix(20).joined(separator: ", "))")
        )
    }

    func run(_ operation: OpenAPIDocument.Operation) async throws -> Result {
        do {
            try document.check(operation)
        } catch {
            return Result(operation: operation, failure: "the description is broken: \(error)")
        }
        return try await send(operation, try ActionRequest(operation, document, values: values, body: body))
    }

    func runAll(_ hasChanges: Bool) async throws -> [Result] {
        var results: [Result] = []
        for operation in document.operations {
            guard operation.isSafe || hasChanges else {
                results.append(Result(operation: operation, skipped: "it changes something; --changes would test it"))
                continue
            }
            do {
                try document.check(operation)
            } catch {
                results.append(Result(operation: operation, failure: "the description is broken: \(error)"))
                continue
            }
            let request: ActionRequest
            do {
                let names = try ActionRequest.names(operation, document)
                let own = values.filter { names.contains($0.key) }
                request = try ActionRequest(operation, document, values: own, body: nil)
            } catch {
                results.append(Result(operation: operation, skipped: error.description))
                continue
            }
            do {
                results.append(try await send(operation, request))
            } catch {
                results.append(Result(operation: operation, failure: "\(error)"))
            }
        }
        return results
    }

    private func send(_ operation: OpenAPIDocument.Operation, _ request: ActionRequest) async throws -> Result {
        let wantsToken = operation.tokenParameter.map { values[$0] == nil } ?? false
        let request = ActionMessage.Request(
            subaccount: subaccount,
            destination: destination,
            method: request.method,
            target: request.target,
            headers: request.headers,
            body: Base64.encode(request.body),
            csrfTarget: csrfTarget ?? (wantsToken ? "" : nil)
        )
        let answer = try await client.post("/actions/request", request).decode(ActionMessage.Answer.self)
        let body = Base64.decode(answer.body) ?? []
        var result = Result(operation: operation, answer: answer, body: body)
        do {
            result.verdict = try ActionVerdict(
                status: answer.status,
                contentType: answer.headers.first { $0.name.lowercased() == "content-type" }?.value,
                body: body,
                operation,
                document
            )
        } catch {
            result.failure = "\(error)"
        }
        return result
    }
}

/// Results in the form that CI systems read.
enum JUnitReport {
    static func write(_ results: [ActionRunner.Result], _ name: String, to path: String) throws {
        let failed = results.count { !$0.isGood && !$0.isSkipped }
        let skipped = results.count { $0.isSkipped }
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        text +=
            "<testsuite name=\"\(escaped(name))\" tests=\"\(results.count)\" failures=\"\(failed)\" skipped=\"\(skipped)\">\n"
        for result in results {
            text += "  <testcase classname=\"\(escaped(name))\" name=\"\(escaped(result.operation.id))\""
            if let reason = result.skipped {
                text += "><skipped message=\"\(escaped(reason))\"/></testcase>\n"
            } else if result.isGood {
                text += "/>\n"
            } else {
                text += "><failure message=\"\(escaped(result.problems.joined(separator: "; ")))\"/></testcase>\n"
            }
        }
        do {
            try AtomicFile.write(text + "</testsuite>\n", to: path, mode: 0o644)
        } catch {
            throw AdminError("\(error)")
        }
    }

    /// XML 1.0 has no control characters at all.
    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "\"": "&quot;"
            case _ where scalar.value < 0x20 || scalar.value == 0xfffe || scalar.value == 0xffff: "?"
            default: String(scalar)
            }
        }.joined()
    }
}
