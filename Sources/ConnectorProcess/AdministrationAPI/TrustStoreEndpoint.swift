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
        /// Nil for a file that cannot be read now: check-config names it, it trusts nobody, and it can be removed.
        var details: CertificateDetails?
        var pem = ""
        /// As the file's list has it.
        var item: String
        /// Stands in its PEM file with others.
        var isShared = false
    }

    private static let list: [YAMLStep] = [.key("backend-trust"), .key("certificates")]

    private static func items(_ value: YAMLValue) -> [String] { value[list]?.items.map { $0.scalar ?? "" } ?? [] }

    /// Those that came through the API are called like their files, so that a name stays when others go. Those that somebody has
    /// listed by hand are counted.
    private func trusted() throws -> [Trusted] {
        var found: [Trusted] = []
        let names = Self.items(try store.value)
        for (number, name) in names.enumerated() {
            let path = Credential.path(name)
            let base = path.split(separator: "/").last.map { String($0).replacing(".pem", with: "") } ?? ""
            let all = (try? CertificateDetails.all(.file(path))) ?? []
            let texts = (try? CertificateDetails.separate(.file(path))) ?? []
            func alias(_ index: Int) -> String {
                if Self.number(base) != nil, all.count < 2 { return base }
                let counted = "trustedbackend.\(number + 1).\(index + 1)"
                return names.contains { $0.hasSuffix("/\(counted).pem") } ? "\(base).\(index + 1)" : counted
            }
            if all.isEmpty { found.append(Trusted(alias: alias(0), item: name)) }
            for (index, (details, pem)) in zip(all, texts).enumerated() {
                found.append(
                    Trusted(alias: alias(index), details: details, pem: pem, item: name, isShared: all.count > 1)
                )
            }
        }
        return found
    }

    /// The first number in the name of a file that came through the API.
    private static func number(_ name: String) -> Int? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "trustedbackend", Int(parts[2]) != nil, let number = Int(parts[1]) else {
            return nil
        }
        return (1..<1_000_000).contains(number) ? number : nil
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
                    subjectDN: $0.details?.subjectDN ?? "",
                    issuer: $0.details?.issuerDN ?? "",
                    notAfterTimeStamp: ($0.details?.notAfter ?? 0) * 1000
                )
            }
        )
    }

    private func all() throws -> HTTPResponse {
        let trusted = try trusted().filter { $0.details != nil }
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
        if call.method == "GET" {
            guard found.details != nil else { throw APIFailure.conflict("\(found.item) cannot be read") }
            return .file(try CertificateDetails.der(.pem(found.pem)), "\(alias).der")
        }
        guard !found.isShared else {
            throw APIFailure.conflict(
                "\(alias) stands in \(found.item) with others: edit that file, or remove all of it"
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
        var fingerprints = Set(known.compactMap(\.details?.fingerprint))
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
        // A name that nothing has, listed or left behind.
        var number = max(known.compactMap { Self.number($0.alias) }.max() ?? 0, Self.items(try store.value).count) + 1
        while Folder.names(folder).contains(where: { $0.hasPrefix("trustedbackend.\(number).") }) { number += 1 }
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
            let kept = (try? Self.items(store.value)) ?? paths
            for path in paths where !kept.contains(path) { try? PlainFile.remove(path) }
            throw error
        }
    }

    private func remove(_ gone: [Trusted], _ what: String) async throws {
        guard !gone.isEmpty else { return }
        let names = Set(gone.map(\.item))
        try await call.change(store, what) { text in
            let items = Self.items(text.value)
            for index in items.indices.reversed() where names.contains(items[index]) {
                try text.apply(.remove(Self.list + [.item(index)]))
            }
        }
        // Those that came through the API have no other use.
        guard let folder = call.host.administration.map({ "\($0.settings.folder)/trust" }) else { return }
        for one in gone where Self.number(one.alias) != nil && one.item == "\(folder)/\(one.alias).pem" {
            try? PlainFile.remove(one.item)
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
