internal import ConnectorCommands

@main
enum Main {
    static func main() async { await ConnectorRoot.run() }
}
