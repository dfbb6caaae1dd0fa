internal import JSON
internal import TextFormats
internal import XMLDocument

/// Reads a backup that SAP's Cloud Connector 2.18 or 2.19 has made. SAP does not document what is in it; this is what backups were
/// found to hold: a ZIP archive, whose secrets alone are encrypted.
///
///     manifest.json                             the version
///     scc_config/scc_config.ini                 XML: subject patterns
///     scc_config/REGION/SUBACCOUNT/backends.xml          mappings
///     scc_config/REGION/SUBACCOUNT/HOST_PORT.xml         their resources
struct SCCBackup {
    private let archive: ZipArchive

    private static let folder = "scc_config/"
    private static let maxEntries = 50_000

    init(_ bytes: [UInt8]) throws {
        do throws(ZipArchive.ZipError) {
            archive = try ZipArchive(reading: bytes, maxEntries: Self.maxEntries) { name in
                name == "manifest.json"
                    || name.hasPrefix(Self.folder) && (name.hasSuffix(".xml") || name.hasSuffix("scc_config.ini"))
            }
        } catch {
            throw SCCReadError(description: "\(error)")
        }
    }

    /// - Parameter wanted: nil for all.
    func read(subaccount wanted: String?) throws -> SCCDocuments {
        var documents = SCCDocuments()
        let manifest = archive["manifest.json"].flatMap { try? JSONLines.decode(SCCVersion.self, $0) }
        documents.version = manifest?.version ?? "of unknown version"
        let all = subaccounts
        guard !all.isEmpty else {
            throw SCCReadError(description: "the archive has no subaccount, so it is no backup of a Cloud Connector")
        }
        let meant = all.filter { wanted == nil || $0.name == wanted }
        if let wanted, meant.isEmpty {
            throw SCCReadError(
                description: "there is no subaccount \(wanted); there are \(all.map(\.name).joined(separator: ", "))"
            )
        }
        if let text = archive["\(Self.folder)scc_config.ini"] {
            documents.subjectPatterns = try patterns(try Self.element(text, "scc_config.ini"))
        }
        documents.remarks = [
            "certificates of internal hosts, the proxy, cookie domains and location IDs, which a backup hides or keeps elsewhere; compare "
                + "them with the page of the Cloud Connector, or use `connectord import scc`"
        ]
        documents.subaccounts = try meant.map { try read($0.region, $0.name) }
        return documents
    }

    /// In the order of the archive.
    private var subaccounts: [(region: String, name: String)] {
        archive.entries.compactMap { entry in
            let parts = entry.name.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[3] == "backends.xml" else { return nil }
            return (String(parts[1]), String(parts[2]))
        }
    }

    private static func element(_ bytes: [UInt8], _ name: String) throws -> XMLElement {
        do throws(XMLFault) { return try XMLElement(reading: bytes) } catch {
            throw SCCReadError(description: "\(name): \(error)")
        }
    }

    private func read(_ region: String, _ name: String) throws -> SCCSubaccount {
        let folder = "\(Self.folder)\(region)/\(name)/"
        var result = SCCSubaccount(entity: SCCSubaccountEntity(regionHost: region, subaccount: name))
        let file = "\(folder)backends.xml"
        for element in try Self.element(archive[file] ?? [], file).all("systemMapping") {
            let mapping = try mapping(element, file)
            let place = "\(folder)\(mapping.virtualHost)_\(mapping.virtualPort.text).xml"
            // Where none was ever allowed there is no file.
            let resources = try archive[place].map { try Self.element($0, place).all("resource") } ?? []
            result.mappings.append((mapping, try resources.map { try resource($0, place) }))
        }
        return result
    }

    private func mapping(_ element: XMLElement, _ file: String) throws -> SCCMapping {
        func required(_ name: String) throws -> String {
            guard let text = element[name]?.text, !text.isEmpty else {
                throw SCCReadError(description: "\(file): a mapping has no \(name)")
            }
            return text
        }
        return SCCMapping(
            virtualHost: try required("virtualHost"),
            virtualPort: SCCText(try required("virtualPort")),
            localHost: try required("internalHost"),
            localPort: SCCText(try required("internalPort")),
            protocol: try required("communicationProtocol"),
            backendType: element["backendType"]?.text,
            // As a flag, or as the API has it.
            hostInHeader: element["internalHostInHeader"].map { $0.text == "true" ? "INTERNAL" : $0.text },
            authenticationMode: element["authenticationMode"].map { Self.modes[$0.text] ?? $0.text },
            description: element["description"]?.text,
            sid: element["sid"]?.text
        )
    }

    /// As the API calls what backups call otherwise.
    private static let modes = [
        "": "NONE", "NONE_CERTIFICATE_LOCAL": "NONE_RESTRICTED", "X509_CERTIFICATE": "X509_GENERAL",
        "X509_CERTIFICATE_LOCAL": "X509_RESTRICTED",
    ]

    private func resource(_ element: XMLElement, _ file: String) throws -> SCCResource {
        guard let path = element["resourceName"]?.text, !path.isEmpty else {
            throw SCCReadError(description: "\(file): a resource has no resourceName")
        }
        func flag(_ name: String) -> SCCFlag { SCCFlag(element[name]?.text == "true") }
        return SCCResource(
            id: path,
            enabled: flag("enabled"),
            exactMatchOnly: SCCFlag(element["wildcard"]?.text != "true"),
            websocketUpgradeAllowed: flag("websocketUpgradeAllowed"),
            description: element["description"]?.text
        )
    }

    /// The one without a condition is what this connector begins with, unless it is another one.
    private func patterns(_ root: XMLElement) throws -> [SCCSubjectPattern] {
        root.all("subjectPattern").compactMap { element in
            var subject: [String: String] = [:]
            for entry in element["dnEntries"]?.children ?? [] {
                guard let key = entry["key"]?.text, let value = entry["value"]?.text else { continue }
                subject[key == "E" ? "EMAIL" : key] = value
            }
            let condition = element["condition"]?.text ?? ""
            let isUsual = condition.isEmpty && subject == ["CN": "${name}"]
            return isUsual
                ? nil : SCCSubjectPattern(condition: condition.isEmpty ? "always" : condition, subjectPattern: subject)
        }
    }
}
