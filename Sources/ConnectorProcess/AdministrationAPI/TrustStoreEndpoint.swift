internal import AdminAccess
internal import ConfigurationEditing
internal import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// `onPremises/truststore`: whose certificates of internal hosts are accepted (SAP Help, "Truststore (Back-End Certificates)").
struct TrustStoreEndpoint {
    let store: ConfigurationStore
    let call: APICall

    private static let limit = 500

    /// - Parameter rest: of the path, behind `truststore`.
    func answer(_ rest: [String]) async throws -> HTTPResponse {
        switch rest.count {
        case 0:
            try call.allow("GET", "PATCH")
            if call.method == "GET" { return .json(try document()) }
            try await setTrustAll()
            return .empty
        case 1 where rest[0] == "certificates":
            try call.allow("GET", "POST", "DELETE")
            switch call.method {
            case "GET": return try all()
            case "POST": return try await add()
            default:
                try await remove(try trusted(), "remove all trusted certificates")
                return .empty
            }
        case 2 where rest[0] == "certificates":
            try call.allow("GET", "DELETE")
            return try await one(rest[1])
        default: throw APIFailure.unsupported(["truststore"] + rest)
        }
    }

    // MARK: What is trusted

    /// A certificate that the file names, with where it lies.
    private struct Trusted {
        var alias: String
        var details: CertificateDetails
        var pem: String
        /// Index in the file's list, and the PEM file it names.
        var item: Int
        var path: String
        /// Stands in its PEM file with others.
        var isShared: Bool
    }

    /// Those that came through the API are called like their files, so that a name stays when others go. Those that somebody has
    /// listed by hand are counted.
    private func trusted() throws -> [Trusted] {
        var found: [Trusted] = []
        let names = (try store.value["backend-trust"]?["certificates"]?.items ?? []).map { $0.scalar ?? "" }
        for (item, name) in names.enumerated() {
            let path = Credential.path(name)
            // One that cannot be read now is named by check-config; it trusts nobody.
            guard let all = try? CertificateDetails.all(.file(path)),
                let texts = try? CertificateDetails.separate(.file(path))
            else { continue }
            let base = path.split(separator: "/").last.map { String($0).replacing(".pem", with: "") } ?? ""
            for (number, (details, pem)) in zip(all, texts).enumerated() {
                var alias = base
                if !Self.isOurs(base) || all.count > 1 {
                    alias = "trustedbackend.\(item + 1).\(number + 1)"
                    if names.contains(where: { $0.hasSuffix("/\(alias).pem") }) { alias = "\(base).\(number + 1)" }
                }
                found.append(
                    Trusted(alias: alias, details: details, pem: pem, item: item, path: path, isShared: all.count > 1)
                )
            }
        }
        return found
    }

    private static func isOurs(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 3 && parts[0] == "trustedbackend" && Int(parts[1]) != nil && Int(parts[2]) != nil
    }

    /// The list is called as it is on the wire.
    private struct Document: Encodable {
        struct Certificate: Encodable {
            var alias: String
            var subjectDN: String
            var issuer: String
            var notAfterTimeStamp: Int
        }

        var trustAllBackends: Bool
        var trustedBackends: [Certificate]
    }

    private var trustsAll: Bool {
        get throws { try store.value["backend-trust"]?.flag("trust-all", false) ?? false }
    }

    private func document() throws -> Document {
        Document(
            trustAllBackends: try trustsAll,
            trustedBackends: try trusted().map {
                Document.Certificate(
                    alias: $0.alias,
                    subjectDN: $0.details.subjectDN,
                    issuer: $0.details.issuerDN,
                    notAfterTimeStamp: $0.details.notAfter * 1000
                )
            }
        )
    }

    private func all() throws -> HTTPResponse {
        let trusted = try trusted()
        guard !trusted.isEmpty else { throw APIFailure.notFound("the trust store is empty") }
        if call.request.headers.first(name: "accept")?.contains("pkix-cert") ?? false {
            return .file(try trusted.flatMap { try CertificateDetails.der(.pem($0.pem)) }, "trusted_certificates.der")
        }
        return .file(Array(trusted.map(\.pem).joined().utf8), "trusted_certificates.pem")
    }

    private func one(_ alias: String) async throws -> HTTPResponse {
        guard let found = try trusted().first(where: { $0.alias == alias }) else {
            throw APIFailure.notFound("Certificate with alias '\(LogText.escaped(alias.utf8))' does not exist")
        }
        if call.method == "GET" { return .file(try CertificateDetails.der(.pem(found.pem)), "\(alias).der") }
        guard !found.isShared else {
            throw APIFailure.conflict(
                "\(alias) stands in \(found.path) with others: edit that file, or remove all of it"
            )
        }
        try await remove([found], "remove trusted certificate \(alias)")
        return .empty
    }

    // MARK: Changes

    private func setTrustAll() async throws {
        var body = try APIBody(call.request)
        guard let wanted = try body.flag("trustAllBackends") else {
            throw APIFailure.invalid("trustAllBackends is missing")
        }
        try body.finish()
        guard try trustsAll != wanted else { return }
        try await call.change(
            store,
            "trust all back ends: \(wanted)",
            .set([.key("backend-trust"), .key("trust-all")], .word("\(wanted)"))
        )
    }

    private func add() async throws -> HTTPResponse {
        // Called `certificate` before 2.18, as SAP's Terraform provider still calls it.
        guard let form = MultipartForm(call.request), case let files = form["certificates"] + form["certificate"],
            !files.isEmpty
        else { throw APIFailure.invalid("the body must be multipart/form-data with a file certificates") }
        guard let folder = call.host.administration.map({ "\($0.settings.folder)/trust" }) else {
            throw APIFailure.failed("administration is not served, so there is no folder for certificates")
        }
        let known = try trusted()
        var new: [String] = []
        for file in files { new += try CertificateDetails.separate(.bytes(file)) }
        guard !new.isEmpty else { throw APIFailure.invalid("what was sent holds no certificate") }
        guard known.count + new.count <= Self.limit else {
            throw APIFailure.invalid("a trust store has at most \(Self.limit) certificates")
        }
        var fingerprints = Set(known.map(\.details.fingerprint))
        for text in new {
            let details = try CertificateDetails(.pem(text))
            guard fingerprints.insert(details.fingerprint).inserted else {
                throw APIFailure.invalid("the certificate of \(details.subjectDN) is in the trust store already")
            }
        }
        try await write(new, folder, known)
        return .created
    }

    private func write(_ certificates: [String], _ folder: String, _ known: [Trusted]) async throws {
        let listed = try store.value["backend-trust"]?["certificates"]?.items.count ?? 0
        let numbers = known.compactMap { $0.alias.split(separator: ".").dropFirst().first.flatMap { Int($0) } }
        let number = max(numbers.max() ?? 0, listed) + 1
        let paths = certificates.indices.map { "\(folder)/trustedbackend.\(number).\($0 + 1).pem" }
        do {
            try Folder.make(folder, mode: 0o750)
            for (text, path) in zip(certificates, paths) { try AtomicFile.write(text, to: path, mode: 0o640) }
            try await call.change(store, "add trusted certificates") { text in
                for path in paths {
                    try text.apply(.append([.key("backend-trust"), .key("certificates")], .text(path)))
                }
            }
        } catch {
            for path in paths { try? PlainFile.remove(path) }
            throw error
        }
    }

    private func remove(_ gone: [Trusted], _ what: String) async throws {
        guard !gone.isEmpty else { return }
        try await call.change(store, what) { text in
            for item in Set(gone.map(\.item)).sorted(by: >) {
                try text.apply(.remove([.key("backend-trust"), .key("certificates"), .item(item)]))
            }
        }
        // Those that came through the API have no other use.
        for one in gone where Self.isOurs(one.alias) && one.path.hasSuffix("/trust/\(one.alias).pem") {
            try? PlainFile.remove(one.path)
        }
    }
}

extension HTTPResponse {
    /// To be kept in a file.
    static func file(_ bytes: [UInt8], _ name: String, type: String = "application/octet-stream") -> HTTPResponse {
        HTTPResponse(
            status: .ok,
            contentType: type,
            headers: ["content-disposition": "attachment;filename=\"\(name)\""],
            body: bytes
        )
    }
}
