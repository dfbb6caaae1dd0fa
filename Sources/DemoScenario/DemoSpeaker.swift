internal import DaemonSupport

/// Commands for the demonstration, as its user can type them.
struct DemoSpeaker: Sendable {
    /// As the user has called it.
    var program: String
    var folder: String
    /// Whether `--demo` finds this demonstration.
    var isLinked: Bool
    /// Whether its files are still there at the end.
    var keepsFiles: Bool

    var folderForPeople: String { isLinked && !keepsFiles ? DemoFolder.path : folder }

    /// - Parameters:
    ///   - text: subcommand and options.
    ///   - isCloud: whom it asks.
    func command(_ text: String, isCloud: Bool) -> String {
        let whom = isLinked ? "--demo" : "--socket \(DemoFolder.socket(in: folder, isCloud: isCloud))"
        return "\(program) \(text) \(whom)"
    }

    var actionLine: String {
        command(
            "action run --destination \(DemoFiles.destination) --spec \(folderForPeople)/hello.yaml --operation hello "
                + "--output subject=/message",
            isCloud: true
        )
    }

    var lines: [String] {
        [
            command("destination check \(DemoFiles.destination)", isCloud: true),
            actionLine,
            "eval \"$(\(command("env", isCloud: true)))\"      # for programs that use SAP's SDKs",
            command("forward 4444 hellotcp:4444", isCloud: true) + "      # then: curl localhost:4444/hello",
            command("status", isCloud: false),
            command("status --requests", isCloud: false),
            command("status --cloud", isCloud: true),
        ]
    }
}
