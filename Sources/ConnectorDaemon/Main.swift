internal import ConnectordCommands

/// The program with everything: connector and cloud side.
@main
enum Main {
    static func main() async { await Connectord.run() }
}
