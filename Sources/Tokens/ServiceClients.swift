package import AdminProtocol
internal import Cryptography
internal import HostSystem
internal import JSON
internal import TextFormats

/// An application's way into one of the services: what a service binding holds.
package struct ServiceClient: Codable, Sendable, Equatable {
    package var service: BoundService
    package var id: String
    package var secret: String
    /// The service's name in scopes and audiences.
    package var application: String
    /// Of the service instance.
    package var instance: String

    /// Scopes of its tokens.
    var scopes: [String] {
        switch service {
        case .connectivity: ["uaa.resource", application + ".proxy"]
        case .destination: ["uaa.resource", application + ".destination"]
        case .xsuaa: ["uaa.resource"]
        }
    }
}

/// The clients of this service, one for each kind of binding; made at the first start, with secrets of their own.
package struct ServiceClients: Sendable {
    package let all: [ServiceClient]

    /// Reads the document, and makes it if there is none.
    package init(_ document: any SecretDocument) throws {
        var clients: [ServiceClient] = []
        try document.change { bytes in
            if let bytes {
                clients = (try? JSONLines.decode([ServiceClient].self, bytes)) ?? []
                guard !clients.isEmpty else {
                    throw FileError(
                        "\(document.name) holds no clients; move it away, and the next start makes new ones"
                    )
                }
                return nil
            }
            clients = try BoundService.allCases.map(Self.make)
            return JSONLines.encode(clients)
        }
        all = clients
    }

    package init(_ all: [ServiceClient]) { self.all = all }

    private static func make(_ service: BoundService) throws -> ServiceClient {
        let instance = try UUIDText.random()
        let application = "\(service.rawValue)-\(instance.prefix(8))!b1"
        return ServiceClient(
            service: service,
            id: "sb-\(application)",
            secret: Base64.encodeURL(try SecureRandom.bytes(32)),
            application: application,
            instance: instance
        )
    }

    /// The client of a service's binding.
    package func first(_ service: BoundService) -> ServiceClient? { all.first { $0.service == service } }

    /// - Returns: nil for an unknown client or a wrong secret; both take the same time.
    func authenticate(_ id: String, _ secret: String) -> ServiceClient? {
        let client = all.first { $0.id == id }
        let isRight = ConstantTime.isEqual(Array((client?.secret ?? "").utf8), Array(secret.utf8))
        return isRight ? client : nil
    }
}

/// Random identifiers in the form of RFC 9562, version 4.
package enum UUIDText {
    /// A random UUID (RFC 9562 section 5.4), of which 122 bits are random.
    package static func random() throws -> String {
        var bytes = try SecureRandom.bytes(16)
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        let digits = Hexadecimal.text(bytes)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        return text
    }
}
