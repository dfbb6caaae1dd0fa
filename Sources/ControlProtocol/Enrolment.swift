internal import JSON

/// What `connectord enrol create` prints and `connectord enrol` takes: everything a new connector needs to know to find
/// its service, to recognise it, and to be let in once.
package struct EnrolmentToken: Codable, Sendable, Equatable {
    /// "host:port" of the service's tunnel listener.
    package var service: String
    package var subaccount: String
    package var locationID: String
    /// SHA-256 of the certificate that anchors the service's chain, lower-case hexadecimal.
    package var anchor: String
    /// 32 random bytes, hexadecimal; the service keeps only their hash.
    package var secret: String
    /// Seconds since 1970.
    package var expires: Int

    package init(
        service: String,
        subaccount: String,
        locationID: String,
        anchor: String,
        secret: String,
        expires: Int
    ) {
        self.service = service
        self.subaccount = subaccount
        self.locationID = locationID
        self.anchor = anchor
        self.secret = secret
        self.expires = expires
    }

    private static let prefix = "cce1_"

    /// One word, fit for a shell.
    package var text: String {
        let base64 = Base64.encode(JSONLines.encode(self).dropLast())
        return Self.prefix + String(base64.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }.filter { $0 != "=" })
    }

    package init?(text: String) {
        let text = String(text.filter { !$0.isWhitespace })
        guard text.hasPrefix(Self.prefix), text.utf8.count < 4096 else { return nil }
        var base64 = text.dropFirst(Self.prefix.count).map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
        while base64.count % 4 != 0 { base64.append("=") }
        guard let data = Base64.decode(String(base64)),
            let token = try? JSONLines.decode(EnrolmentToken.self, data)
        else { return nil }
        self = token
    }
}

/// From the connector, as one line, inside TLS with the ALPN name `EnrolmentProtocol.name`.
package struct EnrolmentRequest: Codable, Sendable {
    package var secret: String
    /// PKCS #10, PEM.
    package var certificateRequest: String
    /// For a connector that serves beside others of its identity: what tells it apart.
    package var instance: String?

    package init(secret: String, certificateRequest: String, instance: String? = nil) {
        self.secret = secret
        self.instance = instance
        self.certificateRequest = certificateRequest
    }
}

/// The service's answer, as one line.
package struct EnrolmentResponse: Codable, Sendable {
    /// PEM, with whatever is between it and the anchor.
    package var certificate: String?
    /// What the connector should trust when it dials, PEM.
    package var anchor: String?
    /// Why there is no certificate.
    package var refused: String?

    package init(certificate: String? = nil, anchor: String? = nil, refused: String? = nil) {
        self.certificate = certificate
        self.anchor = anchor
        self.refused = refused
    }
}

/// The names and limits of the exchange that turns a one-time token into a certificate.
package enum EnrolmentProtocol {
    /// The ALPN name.
    package static let name = "connector-enrol"
    /// Bytes of a request or an answer.
    package static let messageLimit = 64 << 10
}
