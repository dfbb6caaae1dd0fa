import AccessPolicy
import Cryptography
import JSON
import PrincipalPropagation
import Testing

/// Users' tokens, from what an identity provider signs to a certificate, without sockets.
struct UserPropagationTests {
    static let now = 1_800_000_000
    static let issuer = "https://idp.test"
    private static let key = Result { try SigningKey.rsa() }
    private static let other = Result { try SigningKey.rsa() }
    private static let authority = Result { try CertificateIssuer(commonName: "Plant CA", days: 30) }

    static func keySet(_ key: SigningKey, id: String = "k1") -> [UInt8] {
        let (n, e) = key.rsaParameters ?? ([], [])
        return Array(
            "{\"keys\":[{\"kty\":\"RSA\",\"use\":\"sig\",\"kid\":\"\(id)\",\"n\":\"\(Base64.encodeURL(n))\",\"e\":\"\(Base64.encodeURL(e))\"}]}"
                .utf8
        )
    }

    static func token(_ claims: String, header: String = #"{"alg":"RS256","kid":"k1"}"#, key: SigningKey? = nil) throws
        -> [UInt8]
    {
        let signed = Base64.encodeURL(Array(header.utf8)) + "." + Base64.encodeURL(Array(claims.utf8))
        let key = try key ?? Self.key.get()
        return Array((signed + "." + Base64.encodeURL(try key.sign(Array(signed.utf8)))).utf8)
    }

    static func claims(
        _ more: String = "",
        name: String = "jdoe",
        exp: Int = now + 600,
        iss: String = issuer,
        zid: String = "plant"
    ) -> String {
        "{\"iss\":\"\(iss)\",\"exp\":\(exp),\"iat\":\(now - 10),\"zid\":\"\(zid)\",\"user_name\":\"\(name)\",\"email\":\"\(name)@x.test\"\(more)}"
    }

    private static func propagation(_ patterns: [SubjectPattern]? = nil, tolerance: Int = 0) throws -> UserPropagation {
        var settings = UserPropagation.Settings()
        settings.subaccount = "plant"
        settings.tolerance = tolerance
        settings.authority = try authority.get()
        settings.issuers = [
            TrustedIssuer(issuer: issuer, tenant: nil, keys: IssuerKeys(try WebKey.set(keySet(try key.get()))))
        ]
        settings.patterns = try patterns ?? [SubjectPattern(condition: nil, subject: "CN=${name}")]
        return try UserPropagation(settings)
    }

    private static func cause(_ token: [UInt8], _ propagation: UserPropagation) -> String {
        do throws(PropagationError) {
            return "issued for "
                + (try propagation.certificate(for: token, isTechnical: false, now: now)).certificate.subject
        } catch { return error.cause }
    }

    @Test("A good token becomes a certificate of the CA, which is kept, and made anew when half of its time is over")
    func certificate() throws {
        let propagation = try Self.propagation(
            [SubjectPattern(condition: nil, subject: "CN=${name},EMAIL=${email},OU=Cloud,O=Company,C=DE")]
        )
        let token = try Self.token(Self.claims(exp: Self.now + 100_000))
        let first = try propagation.certificate(for: token, isTechnical: false, now: Self.now)
        #expect(first.isNew && first.rule == 1 && first.issuer == Self.issuer)
        let details = try #require(
            try CertificateDetails.all(
                .pem(first.certificate.value(.pem).replacing("- ", with: "-\n").replacing(" -", with: "\n-"))
            ).first
        )
        #expect(details.issuerDN == "CN=Plant CA")
        #expect(first.certificate.subject == "CN=jdoe,EMAIL=jdoe@x.test,OU=Cloud,O=Company,C=DE")
        #expect(details.serial == first.certificate.serialNumber)
        // Another token of the same user finds it.
        let second = try propagation.certificate(
            for: try Self.token(Self.claims(#","x":1"#)),
            isTechnical: false,
            now: Self.now
        )
        #expect(!second.isNew && second.certificate.serialNumber == first.certificate.serialNumber)
        #expect(second.certificate.usableUntil == Self.now + 600)
        let late = try propagation.certificate(for: token, isTechnical: false, now: Self.now + 1801)
        #expect(late.isNew && late.certificate.serialNumber != first.certificate.serialNumber)
        #expect(propagation.figures.made == 2)
    }

    @Test("Each form is what its reader expects")
    func forms() throws {
        let certificate = try Self.propagation().certificate(
            for: try Self.token(Self.claims()),
            isTechnical: false,
            now: Self.now
        ).certificate
        let der = certificate.value(.base64DER)
        #expect(Base64.decode(der)?.starts(with: [0x30, 0x82]) == true && !der.contains("\n"))
        #expect(certificate.value(.rfc9440) == ":\(der):")
        // Tomcat's valve cuts off 27 characters unseen.
        let pem = certificate.value(.pem)
        #expect(pem.hasPrefix("-----BEGIN CERTIFICATE----- MII") && pem.hasSuffix(" -----END CERTIFICATE-----"))
        #expect(pem.dropFirst(27).replacing(" -----END CERTIFICATE-----", with: "").replacing(" ", with: "") == der)
        #expect(certificate.value(.escapedPEM).hasPrefix("-----BEGIN%20CERTIFICATE-----%0AMII"))
    }

    @Test("Two users whose names only look the same are two; a name longer than a certificate takes is told")
    func lookalikes() throws {
        let propagation = try Self.propagation([
            SubjectPattern(condition: "${name} is Kim", subject: "CN=the real one"),
            SubjectPattern(condition: nil, subject: "CN=${name}"),
        ])
        func subject(_ name: String) throws -> String {
            try propagation.certificate(for: try Self.token(Self.claims(name: name)), isTechnical: false, now: Self.now)
                .certificate.subject
        }
        #expect(try subject("Kim") == "CN=the real one")
        #expect(try Array(subject("\u{212A}im").utf8) == Array("CN=\u{212A}im".utf8))
        let composed = try propagation.certificate(
            for: try Self.token(Self.claims(name: "\u{E9}")),
            isTechnical: false,
            now: Self.now
        )
        let other = try propagation.certificate(
            for: try Self.token(Self.claims(name: "e\u{301}")),
            isTechnical: false,
            now: Self.now
        )
        #expect(other.isNew && composed.certificate.serialNumber != other.certificate.serialNumber)
        #expect(throws: PropagationError.self) { try subject(String(repeating: "x", count: 65)) }
    }

    @Test("Keys of other kinds beside good ones are left out; a set without a good one is none")
    func keySets() throws {
        let good = String(decoding: Self.keySet(try Self.key.get()), as: UTF8.self).dropFirst(9).dropLast(2)
        let others =
            #"{"kty":"OKP","crv":"Ed25519","x":"AA"},{"kty":"oct","k":"AA"},{"kty":"RSA","n":"\#(Base64.encodeURL([UInt8](repeating: 255, count: 128)))","e":"AQAB"}"#
        #expect(try WebKey.set(Array("{\"keys\":[\(others),\(good)]}".utf8)).count == 1)
        #expect(throws: TLSError.self) { try WebKey.set(Array("{\"keys\":[\(others)]}".utf8)) }
    }

    @Test("What is wrong with a token is said, and nobody gets through")
    func wrong() throws {
        let propagation = try Self.propagation()
        let other = try Self.other.get()
        func expect(_ cause: String, _ token: [UInt8]) {
            #expect(Self.cause(token, propagation).contains(cause), "\(cause)")
        }
        expect("issued for CN=jdoe", try Self.token(Self.claims()))
        expect("no JSON Web Token", Array("hello".utf8))
        expect("longer than", [UInt8](repeating: 65, count: 20_000))
        expect("algorithm that does not count", try Self.token(Self.claims(), header: #"{"alg":"none","kid":"k1"}"#))
        expect("algorithm that does not count", try Self.token(Self.claims(), header: #"{"alg":"HS256","kid":"k1"}"#))
        expect("signature is wrong", try Self.token(Self.claims(), header: #"{"alg":"ES256","kid":"k1"}"#))
        expect("extension", try Self.token(Self.claims(), header: #"{"alg":"RS256","kid":"k1","crit":["b64"]}"#))
        expect("issuer is not trusted", try Self.token(Self.claims(iss: "https://evil.test")))
        expect(
            "key that its issuer is not known",
            try Self.token(Self.claims(), header: #"{"alg":"RS256","kid":"k2"}"#)
        )
        expect("signature is wrong", try Self.token(Self.claims(), key: other))
        expect("expired", try Self.token(Self.claims(exp: Self.now)))
        expect("not valid yet", try Self.token(Self.claims(#","nbf":\#(Self.now + 61)"#)))
        expect("another tenant", try Self.token(Self.claims(zid: "other")))
        expect(
            "no time at which it expires",
            try Self.token(#"{"iss":"https://idp.test","zid":"plant","user_name":"a"}"#)
        )
        expect("no JSON object", try Self.token("[1]"))
        expect("no value for ${name}", try Self.token(#"{"iss":"https://idp.test","zid":"plant","exp":1800000600}"#))
        expect("control characters", try Self.token(Self.claims(name: #"a\u0000b"#)))
        #expect(propagation.figures.refused == 16)
        // Nobody is trusted by default.
        #expect(Self.cause(try Self.token(Self.claims()), try UserPropagation(.init())).contains("no CA certificate"))
        #expect(
            try Self.cause(Self.token(Self.claims(exp: Self.now - 59)), Self.propagation(tolerance: 60))
                == "issued for CN=jdoe"
        )
    }

    @Test(
        "Fetched keys are fetched anew each hour, and when a token names an unknown one, but not more often than each half minute"
    )
    func fetchedKeys() throws {
        let keys = IssuerKeys(url: "https://idp.test/keys")
        var settings = UserPropagation.Settings()
        settings.subaccount = "plant"
        settings.authority = try Self.authority.get()
        settings.issuers = [TrustedIssuer(issuer: Self.issuer, tenant: nil, keys: keys)]
        settings.patterns = [try SubjectPattern(condition: nil, subject: "CN=${name}")]
        let propagation = try UserPropagation(settings)
        let token = try Self.token(Self.claims())
        let now = Self.now
        #expect(keys.isDue(now: now))
        #expect(Self.cause(token, propagation).contains("not been fetched yet"))
        keys.failed("no route", now: now)
        #expect(Self.cause(token, propagation).hasSuffix("are not known: no route"))
        #expect(!keys.isDue(now: now + 29) && keys.isDue(now: now + 30))
        #expect(keys.took(Self.keySet(try Self.other.get(), id: "k0"), now: now + 30) == nil)
        #expect(!keys.isDue(now: now + 90) && keys.isDue(now: now + 3630))
        // The provider has rotated.
        #expect(Self.cause(token, propagation).contains("key that its issuer is not known to have"))
        #expect(!keys.isDue(now: now + 59) && keys.isDue(now: now + 60))
        #expect(keys.took(Array("{}".utf8), now: now + 60) != nil)
        #expect(keys.took(Self.keySet(try Self.key.get()), now: now + 90) == nil)
        #expect(Self.cause(token, propagation) == "issued for CN=jdoe")
        // A failure later leaves the keys as they are, and so does a new configuration.
        keys.failed("no route", now: now + 4000)
        #expect(Self.cause(token, propagation) == "issued for CN=jdoe")
        let other = IssuerKeys(url: "https://idp.test/keys")
        settings.issuers = [TrustedIssuer(issuer: Self.issuer, tenant: nil, keys: other)]
        let new = try UserPropagation(settings)
        new.adopt(propagation)
        #expect(Self.cause(token, new) == "issued for CN=jdoe")
    }

    @Test("The first pattern whose condition holds counts")
    func patterns() throws {
        let propagation = try Self.propagation([
            SubjectPattern(condition: "${user_type} is Technical", subject: "CN=${name},OU=Applications"),
            SubjectPattern(condition: "${department} is not Sales", subject: "CN=${name},OU=${department}"),
            SubjectPattern(condition: "${department} exists", subject: "CN=${mail}"),
            SubjectPattern(condition: "${cp.origin} does not exist", subject: "CN=${email},O=No origin"),
            SubjectPattern(condition: nil, subject: "CN=${cp.origin}-${origin}"),
        ])
        func subject(_ claims: String, isTechnical: Bool = false) throws -> String {
            try propagation.certificate(for: try Self.token(claims), isTechnical: isTechnical, now: Self.now)
                .certificate.subject
        }
        #expect(
            try subject(Self.claims(#","client_id":"app","grant_type":"client_credentials""#), isTechnical: true)
                == "CN=app,OU=Applications"
        )
        #expect(try subject(Self.claims(#","department":["Plant 4"]"#)) == "CN=jdoe,OU=Plant 4")
        #expect(try subject(Self.claims(#","department":"Sales","mail":"m@x.test""#)) == "CN=m@x.test")
        #expect(try subject(Self.claims()) == "CN=jdoe@x.test,O=No origin")
        // Two values are none; attributes come first, and "cp." is what stands beside them.
        let both = #","department":["a","b"],"origin":"root","xs.user.attributes":{"origin":["attribute"]}"#
        #expect(try subject(Self.claims(both)) == "CN=root-attribute")
        // A name is a name, whatever is in it.
        #expect(try subject(Self.claims(name: "x,CN=admin")) == #"CN=x\,CN\=admin@x.test,O=No origin"#)
    }

    @Test(
        "What is no condition and no subject is told",
        arguments: [
            ("name is x", "CN=a"), ("${name}", "CN=a"), ("${name} is ", "CN=a"), ("${} exists", "CN=a"),
            (nil, "OU=${name}"), (nil, "CN=${name"), (nil, "CN=${}"), (nil, "XX=a,CN=b"), (nil, "CN="), (nil, ""),
        ] as [(String?, String)]
    )
    func faults(_ condition: String?, _ subject: String) {
        #expect(throws: SubjectPattern.Fault.self) { try SubjectPattern(condition: condition, subject: subject) }
    }
}
