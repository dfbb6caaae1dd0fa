internal import AdminAccess
internal import ConfigurationReading
internal import DaemonSupport
internal import NIOCore
internal import Networking
internal import TextFormats
internal import YAMLDocument

/// Reads from `admin` what concerns the page and the API.
enum AdministrationReader {
    /// Beside the file.
    static func usualFolder(_ file: String) -> String { ConfigurationFolder.path("admin", beside: file) }

    static func read(_ section: inout Section, _ findings: Findings, _ settings: inout AdministrationSettings) {
        if section.string("listen") == "off" {
            settings.listen = nil
        } else if let address = section.address("listen", fallbackPort: 8443, allowsZero: true) {
            settings.listen = address
        }
        settings.replication = section.address("replication", allowsZero: true)
        if let folder = section.string("directory"), !folder.isEmpty { settings.folder = folder }
        settings.hostNames = texts("host-names", &section, findings)
        for name in settings.hostNames where !HostPort.isHostName(name) {
            findings.error(
                section.place("host-names"),
                section.path("host-names"),
                "\"\(LogText.escaped(name.utf8))\" is not a host name; write it without a port"
            )
        }
        settings.trusted.ranges = section.addressRanges("trusted-proxies")
        settings.idle = seconds("session-idle", settings.idle, &section)
        settings.life = seconds("session-life", settings.life, &section)
    }

    private static func seconds(_ name: String, _ usual: Int, _ section: inout Section) -> Int {
        let amount = section.duration(name, .seconds(Int64(usual)), atLeast: .minutes(1))
        return Int(amount.nanoseconds / 1_000_000_000)
    }

    private static func texts(_ name: String, _ section: inout Section, _ findings: Findings) -> [String] {
        var texts: [String] = []
        for item in section.list(name) {
            if case .scalar(let text, _) = item.content {
                texts.append(text)
            } else {
                findings.error(item, section.path(name), "each item must be a text, not \(item.kind)")
            }
        }
        return texts
    }
}
