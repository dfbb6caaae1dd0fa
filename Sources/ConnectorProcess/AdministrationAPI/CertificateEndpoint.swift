internal import Cryptography
internal import NIOHTTP1
internal import Networking

/// A certificate on the wire (SAP Help, "Authentication and UI Settings").
struct CertificateDocument: Encodable {
    struct Alternative: Encodable {
        var type: String
        var value: String
    }

    var subjectDN: String
    var issuer: String
    /// Milliseconds since 1970.
    var notBeforeTimeStamp: Int
    var notAfterTimeStamp: Int
    var serialNumber: String
    var subjectAltNames: [Alternative]?

    init(_ details: CertificateDetails) {
        (subjectDN, issuer) = (details.subjectDN, details.issuerDN)
        (notBeforeTimeStamp, notAfterTimeStamp) = (details.notBefore * 1000, details.notAfter * 1000)
        serialNumber = Self.serial(details.serial)
        let names = details.names.map { name in
            let isAddress = name.contains(":") || name.allSatisfy { $0 == "." || $0.isNumber }
            return Alternative(type: isAddress ? "IP" : "DNS", value: name)
        }
        let all =
            names + details.mailAddresses.map { Alternative(type: "RFC822", value: $0) }
            + details.uris.map { Alternative(type: "URI", value: $0) }
        if !all.isEmpty { subjectAltNames = all }
    }

    /// Pairs of hexadecimal digits from the left, as the product cuts them; the last may have one.
    static func serial(_ text: String) -> String {
        let digits = Array(text.lowercased().drop { $0 == "0" })
        return stride(from: 0, to: digits.count, by: 2).map { String(digits[$0..<min($0 + 2, digits.count)]) }
            .joined(separator: ":")
    }
}

/// `ui/uiCertificate`, `onPremises/systemCertificate` and `onPremises/ppCaCertificate` (SAP Help, "Authentication and UI Settings",
/// "System Certificate", "CA Certificate for Principal Propagation").
struct CertificateEndpoint {
    let call: APICall
    let place: any CertificatePlace

    func answer() async throws -> HTTPResponse {
        try call.allow("GET", "POST", "PATCH", "PUT", "DELETE")
        switch call.method {
        case "GET": return try show()
        case "POST": return try await make()
        case "PATCH":
            guard let form = MultipartForm(call.request), let chain = form["signedCertificate"].first else {
                throw APIFailure.invalid("the body must be multipart/form-data with a file signedCertificate")
            }
            try await place.take(chain: String(decoding: chain, as: UTF8.self))
            call.record("\(place.title) replaced by one that an authority has signed")
            return .created
        case "DELETE":
            try await place.remove()
            call.record("\(place.title) removed")
            return .empty
        default:
            guard let form = MultipartForm(call.request), let file = form["pkcs12"].first,
                let password = form["password"].first
            else {
                throw APIFailure.invalid("the body must be multipart/form-data with a file pkcs12, and its password")
            }
            let identity = try OwnCertificate.pkcs12(file, password: String(decoding: password, as: UTF8.self))
            try await place.put(identity, isOwn: false)
            call.record("\(place.title) replaced by one of a PKCS #12 file")
            return .empty
        }
    }

    private func show() throws -> HTTPResponse {
        guard let source = try place.source, let details = try? CertificateDetails(source) else {
            throw APIFailure.notFound("there is no \(place.title)")
        }
        let wantsFile = call.request.headers.first(name: "accept")?.contains("pkix-cert") ?? false
        if wantsFile, let name = place.fileName { return .file(try CertificateDetails.der(source), name) }
        return .json(CertificateDocument(details))
    }

    /// A key of 4096 bits takes seconds.
    private func work<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        guard let administration = call.host.administration else {
            throw APIFailure.failed("administration is not served")
        }
        return try await administration.work(body)
    }

    private func make() async throws -> HTTPResponse {
        var body = try APIBody(call.request)
        let type = try body.required("type")
        var wanted = OwnCertificate.Wanted(subject: try body.required("subjectDN"))
        wanted.keySize = 4096
        if let size = try body.text("keySize") {
            guard ["2048", "4096"].contains(size) else { throw APIFailure.invalid("keySize must be 2048 or 4096") }
            wanted.keySize = Int(size)
        }
        wanted.alternatives = try body.pairs("subjectAltNames", "type", "value")
        try body.finish()
        let (isAuthority, days) = (place.isAuthority, place.days)
        switch type {
        case "selfsigned":
            let made = try await work { [wanted] in
                try OwnCertificate.selfSigned(wanted, days: days, isAuthority: isAuthority)
            }
            try await place.put(made, isOwn: true)
            call.record("\(place.title) replaced by a self-signed one")
            return .created
        case "csr":
            let made = try await work { [wanted] in try OwnCertificate.request(wanted, isAuthority: isAuthority) }
            try place.keep(requestKey: made.privateKey)
            call.record("request for the \(place.title) made")
            return HTTPResponse(status: .ok, contentType: "application/x-pem-file", body: Array(made.request.utf8))
        default: throw APIFailure.invalid("type must be selfsigned or csr")
        }
    }
}

extension HTTPResponse {
    /// Made, with nothing more to say.
    static var created: HTTPResponse { HTTPResponse(status: .created, contentType: "", body: []) }

    static func created(at location: String) -> HTTPResponse {
        HTTPResponse(status: .created, contentType: "", headers: ["location": location], body: [])
    }
}
