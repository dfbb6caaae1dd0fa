internal import ConfigurationReading
internal import Cryptography
internal import Networking

/// A daemon could not start.
package struct StartError: Error, CustomStringConvertible {
    package var description: String
    /// Whether a certificate or key is what it could not start with: then the configuration is at fault.
    package var isConfiguration: Bool

    /// - Parameter file: the configuration, in which the setting at fault stands.
    package init(_ error: any Error, file: String? = nil) {
        isConfiguration = (error as? TLSError)?.code == .configuration
        description = "cannot start: \(error)"
        if let listen = error as? ListenError, let file,
            let line = ConfigurationFile.line(of: listen.setting, in: file)
        {
            description = "cannot start: \(file):\(line): \(error)"
        }
        if isConfiguration { description += "; is this connector enrolled? See `connectord enrol --help`" }
    }

    /// Runs `body`; whatever it throws becomes a `StartError`.
    package static func wrap<Result>(
        file: String? = nil,
        _ body: () async throws -> Result
    ) async throws(StartError) -> Result {
        do {
            return try await body()
        } catch {
            throw StartError(error, file: file)
        }
    }
}
