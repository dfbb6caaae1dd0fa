internal import ConfigurationEditing
internal import ConfigurationReading
internal import HostSystem
internal import Synchronization
internal import YAMLDocument

/// What the connectors' files say, read again only when they have changed: the page asks every few seconds.
final class PageFiles: Sendable {
    struct Contents: Sendable {
        var value: YAMLValue
        var findings: [Finding]
    }

    private struct Read {
        var bytes: [UInt8]
        var contents: Contents
    }

    private let read = Mutex<[String: Read]>([:])

    func contents(_ file: String) throws -> Contents {
        let bytes = try PlainFile.read(file, maxBytes: YAMLReader.sizeLimit)
        if let known = read.withLock({ $0[file] }), known.bytes == bytes { return known.contents }
        let contents = Contents(
            value: try YAMLText(bytes).value,
            findings: ConnectorConfigurationReader.read(bytes, file: file).1
        )
        read.withLock { $0[file] = Read(bytes: bytes, contents: contents) }
        return contents
    }
}
