package import AdminProtocol
package import JSON
package import TextFormats

/// What a service binding says of the way to TCP systems.
package struct ConnectivityBinding: Sendable, Equatable {
    /// Where its SOCKS5 entry is.
    var proxy: HostPort
    var clientID: String
    var clientSecret: String
    /// Of the token service, with the path that tokens are asked for at.
    var tokenURL: WebURL

    package init(proxy: HostPort, clientID: String, clientSecret: String, tokenURL: WebURL) {
        (self.proxy, self.clientID, self.clientSecret, self.tokenURL) = (proxy, clientID, clientSecret, tokenURL)
    }

    /// - Parameter credentials: of a binding of the Connectivity service, in SAP's keys.
    /// - Throws: which key is missing, or cannot be used.
    package init(_ credentials: [String: JSONValue]) throws(AdminError) {
        func value(_ key: String) throws(AdminError) -> String {
            guard let text = credentials[key]?.plainText, !text.isEmpty else {
                throw AdminError("the binding of the Connectivity service has no \(key)")
            }
            return text
        }
        clientID = try value("clientid")
        clientSecret = try value("clientsecret")
        let base = try value(credentials["token_service_url"] == nil ? "url" : "token_service_url")
        guard let url = WebURL(base.hasSuffix("/oauth/token") ? base : base + "/oauth/token") else {
            throw AdminError("the binding's token_service_url is not an http or https URL")
        }
        tokenURL = url
        guard let text = credentials["onpremise_socks5_proxy_port"]?.plainText else {
            throw AdminError("the service has no SOCKS5 entry: set socks.listen in its file and start it again")
        }
        guard let port = Int(text), (1...65535).contains(port) else {
            throw AdminError("the binding's onpremise_socks5_proxy_port is not a port")
        }
        proxy = HostPort(host: try value("onpremise_proxy_host"), port: port)
    }

    /// - Parameter services: the value of `VCAP_SERVICES`.
    package static func find(inVCAP services: String) throws(AdminError) -> ConnectivityBinding {
        guard let bindings = try? JSONLines.decode(VCAPServices.self, Array(services.utf8)),
            let binding = bindings.connectivity?.first
        else {
            throw AdminError("VCAP_SERVICES has no binding of the Connectivity service (\"connectivity\")")
        }
        return try ConnectivityBinding(binding.credentials)
    }

    private struct VCAPServices: Decodable {
        struct Binding: Decodable { var credentials: [String: JSONValue] }
        var connectivity: [Binding]?
    }
}
