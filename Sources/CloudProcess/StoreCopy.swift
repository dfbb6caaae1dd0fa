internal import CloudServices
package import ConfigurationReading
internal import Destinations
internal import HostSystem
internal import PostgreSQL
internal import Tokens

/// What `connectord store copy` does: takes everything from files to the database, or back. No service may run on either meanwhile.
package struct StoreCopy: Sendable {
    package enum Direction: Sendable { case toDatabase, toFiles }

    /// What was copied.
    package struct Result: Sendable {
        package var address = ""
        package var certificates = 0
        package var tokens = 0
        package var destinations = 0
        package var hasKeys = false
    }

    private let direction: Direction
    /// The folder of the enrolment authority.
    private let authority: String
    /// Folders as `api.directory` and `api.destinations` name them; nil where there is no API.
    private let api: String?
    private let destinations: String?

    package init(_ direction: Direction, authority: String, api: String?, destinations: String?) {
        (self.direction, self.authority, self.api, self.destinations) = (direction, authority, api, destinations)
    }

    /// - Parameter file: names the database.
    package func run(_ file: String, warn: ([Finding]) -> Void) throws -> Result {
        let (configuration, warnings) = try CloudConfigurationReader.load(file)
        warn(warnings)
        guard let store = configuration.store else { throw StoreError(description: "\(file) names no store") }
        let vault = StoreVault(Database(store.address), password: store.key)
        let database = try EnrolmentDatabase(vault)
        if direction == .toDatabase, !Folder.names(authority).contains("ca.key") {
            throw StoreError(description: "\(authority) has no authority")
        }
        let folder = try EnrolmentFolder(authority)
        let contents = direction == .toDatabase ? try folder.contents() : try database.contents()
        if direction == .toDatabase { try database.take(contents) } else { try folder.take(contents) }
        var result = Result()
        result.address = store.address.shown
        (result.certificates, result.tokens) = (contents.certificates.count, contents.tokens.count)
        guard let api else { return result }
        if direction == .toFiles { try PrivateFile.makeFolder(api) }
        for name in [CloudAPI.keysTopic, CloudAPI.clientsName] {
            let (file, shared) = (SecretFile("\(api)/\(name).json"), vault.document(name))
            let isCopied =
                direction == .toDatabase ? try Self.copy(file, to: shared) : try Self.copy(shared, to: file)
            result.hasKeys = result.hasKeys || isCopied
        }
        let files = DestinationFiles(directory: destinations ?? api + "/destinations")
        let shared = try DestinationDatabase(vault)
        result.destinations =
            direction == .toDatabase
            ? try DestinationCopy.copy(files.scopes(), from: files, to: shared)
            : try DestinationCopy.copy(shared.scopes(), from: shared, to: files)
        return result
    }

    /// - Throws: where there is another one already.
    private static func copy(_ source: any SecretDocument, to target: any SecretDocument) throws -> Bool {
        guard let bytes = try source.read(), !bytes.isEmpty else { return false }
        try target.change { present in
            guard let present, !present.isEmpty, present != bytes else { return bytes }
            throw StoreError(description: "\(target.name) is there already, and is another one than \(source.name)")
        }
        return true
    }
}
