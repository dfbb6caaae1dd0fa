import Testing

@testable import TunnelCore

struct KnownFieldTests {
    static func identify(_ name: String) -> (field: KnownField, hasUnderscore: Bool) {
        var name = name
        return name.withUTF8 { KnownField.identify(UnsafeRawBufferPointer($0)) }
    }

    @Test(
        "A field is recognised in any case and with underscores for hyphens",
        arguments: [
            ("host", KnownField.host), ("HOST", .host), ("Content-Length", .contentLength),
            ("content_length", .contentLength),
            ("Transfer_Encoding", .transferEncoding), ("TE", .te), ("Proxy-Authorization", .proxyAuthorization),
            ("Proxy", .proxy),
            ("proxy-anything", .proxy), ("SSL_CLIENT_CERT", .clientCertificate),
            ("Ssl-Client-Cert", .clientCertificate),
            ("SSL_CLIENT_CERT_CHAIN", .clientCertificate), ("SAP-Connectivity-SCC-Location_ID", .locationID),
            ("SAP-Connectivity-Authentication", .userToken),
            ("SAP_Connectivity_Technical_Authentication", .technicalUserToken),
            ("SAP-Connectivity-Anything", .sapConnectivity),
            ("sap-cp-connectivity-service-token", .sapConnectivity),
            ("sap-connectivity-pin", .pin), ("sap-connectivity-upgrade", .upgradeRequest),
            ("X-Forwarded-Host", .forwardedHost), ("X-Forwarded-For", .forwarded),
            ("Forwarded", .forwarded), ("X-Original-URL", .originalURL), ("X_Rewrite_URL", .originalURL),
            ("HTTP2-Settings", .http2Settings),
            ("Location", .location), ("Set-Cookie", .setCookie), ("WWW-Authenticate", .wwwAuthenticate),
            ("x-request-id", .requestID),
            ("sap-connectivity-technicaX-authentication", .sapConnectivity),
            ("sap-connectivity_authenticatioN", .userToken), ("proxy-authorizatioo", .proxy),
            ("sap+connectivity-pin", .other), ("www-authenticatf", .other), ("traceparenT", .traceParent),
            ("Hosts", .other), ("Ho", .other), ("X-A", .other), ("sap-client", .other), ("", .other), ("proxi", .other),
        ]
    )
    func names(_ name: String, _ expected: KnownField) {
        #expect(Self.identify(name).field == expected)
    }

    @Test("A twin with underscores is told from the real name")
    func twins() {
        #expect(Self.identify("Content_Length").hasUnderscore)
        #expect(Self.identify("SAP-Connectivity-SCC-Location_ID").hasUnderscore)
        #expect(Self.identify("proxy_authorization").hasUnderscore)
        #expect(!Self.identify("Content-Length").hasUnderscore)
        #expect(!Self.identify("SAP-CONNECTIVITY-SCC-LOCATION-ID").hasUnderscore)
    }

    @Test("Nothing that frames, routes or authenticates travels in a trailer")
    func trailers() {
        for name in [
            "host", "content-length", "transfer-encoding", "authorization", "set-cookie", "cookie", "content-type",
            "ssl_client_cert", "connection", "te",
        ] {
            #expect(!Self.identify(name).field.isForwardedInTrailers, "\(name)")
        }
        #expect(Self.identify("x-checksum").field.isForwardedInTrailers)
        #expect(Self.identify("grpc-status").field.isForwardedInTrailers)
    }
}
