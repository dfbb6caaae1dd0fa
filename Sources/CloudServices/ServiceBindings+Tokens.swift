package import AdminProtocol
internal import JSON
package import Tokens

/// Bindings out of what the token service knows.
extension ServiceBindings {
    /// - Throws: where there is no key to sign tokens.
    /// - Parameters:
    ///   - proxyHost: where programs reach the proxy entry.
    ///   - proxyPort: its port.
    ///   - socksPort: of the SOCKS5 entry; 0 without one.
    package init(_ tokens: TokenService, proxyHost: String, proxyPort: Int, socksPort: Int) throws {
        let connectivity = try [BoundService.connectivity].compactMap { tokens.clients.first($0) }.map { client in
            var credentials = try Self.credentials(client, tokens)
            credentials["token_service_url"] = tokens.url
            credentials["token_service_domain"] = credentials["uaadomain"]
            credentials["onpremise_proxy_host"] = proxyHost
            credentials["onpremise_proxy_http_port"] = String(proxyPort)
            credentials["onpremise_proxy_port"] = String(proxyPort)
            if socksPort > 0 { credentials["onpremise_socks5_proxy_port"] = String(socksPort) }
            let tags = ["connectivity", "conn", "connsvc"]
            var binding = Self.binding(client, plan: "lite", tags: tags, credentials)
            // As bindings of plan api_access have it: where the status of connectors is asked for.
            binding.credentials["connectivity_service"] = .object([
                "url": .string(tokens.url), "scc_info_path": .string(ConnectorsAPI.path),
            ])
            return binding
        }
        let destination = try [BoundService.destination].compactMap { tokens.clients.first($0) }.map { client in
            var credentials = try Self.credentials(client, tokens)
            credentials["uri"] = tokens.url
            let tags = ["destination", "conn", "connsvc"]
            return Self.binding(client, plan: "lite", tags: tags, credentials)
        }
        let xsuaa = try [BoundService.xsuaa].compactMap { tokens.clients.first($0) }.map { client in
            Self.binding(client, plan: "application", tags: ["xsuaa"], try Self.credentials(client, tokens))
        }
        self.init(connectivity: connectivity, destination: destination, xsuaa: xsuaa)
    }

    private static func binding(
        _ client: ServiceClient,
        plan: String,
        tags: [String],
        _ credentials: [String: String]
    ) -> Binding {
        Binding(
            label: client.service.rawValue,
            name: client.service.rawValue,
            plan: plan,
            tags: tags,
            instance_guid: client.instance,
            credentials: credentials.mapValues { .string($0) }
        )
    }

    private static func credentials(_ client: ServiceClient, _ tokens: TokenService) throws -> [String: String] {
        let tenant = tokens.tenants[0]
        let domain = tokens.url.split(separator: "://", maxSplits: 1).last.map { String($0.prefix { $0 != "/" }) } ?? ""
        return [
            "clientid": client.id, "clientsecret": client.secret, "credential-type": "binding-secret",
            "url": tokens.url, "uaadomain": domain, "identityzone": tenant.subdomain,
            "identityzoneid": tenant.subaccount,
            "tenantid": tenant.subaccount, "tenantmode": tokens.tenants.count > 1 ? "shared" : "dedicated",
            "verificationkey": try tokens.keys.verificationKey, "xsappname": client.application,
            "instanceid": client.instance,
        ]
    }
}
