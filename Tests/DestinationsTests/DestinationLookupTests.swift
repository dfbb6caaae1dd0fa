import ConnectorTestSupport
import JSON
import Testing

@testable import Destinations

struct DestinationLookupTests {
    private let directory = TemporaryDirectory()
    private var store: DestinationFiles { DestinationFiles(directory: directory.path) }

    private func add(_ properties: [String: String], _ scope: Scope, _ kind: ConfigurationKind = .destinations) throws {
        #expect(try store.create(NamedConfiguration(kind, properties), scope) != .exists)
    }

    private func find(_ name: String, fragments: [String] = [], optional: Bool = false) throws
        -> DestinationLookup.Found
    {
        let lookup = DestinationLookup(store, tenant: "tenant1", provider: "provider", instance: "i")
        var wanted = DestinationLookup.Query(try LevelledName(name))
        wanted.fragments = try fragments.map(LevelledName.init)
        wanted.areFragmentsOptional = optional
        return try lookup.find(wanted)
    }

    @Test("Without a level the instance comes before the subaccount; with one there is no other place")
    func levels() throws {
        let (subaccount, instance) = (Scope(tenant: "tenant1"), Scope(tenant: "tenant1", instance: "i"))
        try add(["Name": "A", "Type": "HTTP", "URL": "s"], subaccount)
        try add(["Name": "A", "Type": "HTTP", "URL": "i"], instance)
        try add(["Name": "B", "Type": "HTTP", "URL": "s"], subaccount)
        try add(["Name": "C", "Type": "HTTP", "URL": "p"], Scope(tenant: "provider"))
        #expect(try find("A").properties["URL"] == "i")
        #expect(try find("A@subaccount").properties["URL"] == "s")
        #expect(try find("B").destination.scope == subaccount)
        #expect(throws: DestinationLookup.LookupError.noDestination) { try find("B@instance") }
        #expect(throws: DestinationLookup.LookupError.noDestination) { try find("C") }
        #expect(try find("C@provider_subaccount").properties["URL"] == "p")
        #expect(throws: DestinationError.self) { try find("C@nowhere") }
    }

    @Test("Fragments are merged in their order and win; one that is missing is refused unless it is optional")
    func fragments() throws {
        let scope = Scope(tenant: "tenant1")
        try add(["Name": "A", "Type": "HTTP", "URL": "s", "User": "u"], scope)
        try add(["FragmentName": "f1", "URL": "f1", "x": "1"], scope, .fragments)
        try add(["FragmentName": "f2", "URL": "f2"], scope, .fragments)
        let found = try find("A@subaccount", fragments: ["f1", "f2"])
        #expect(
            found.properties == [
                "Name": "A", "Type": "HTTP", "URL": "f2", "User": "u", "x": "1", "FragmentName": "f1,f2",
            ]
        )
        #expect(throws: DestinationLookup.LookupError.noFragment("f3")) { try find("A", fragments: ["f3"]) }
        #expect(try find("A", fragments: ["f3"], optional: true).properties["FragmentName"] == nil)
    }

    @Test("Certificates that the destination names come with it")
    func certificates() throws {
        let scope = Scope(tenant: "tenant1")
        try add(["Name": "A", "Type": "HTTP", "KeyStoreLocation": "key.p12"], scope)
        try add(["Name": "key.p12", "Content": "QUJD"], scope, .certificates)
        #expect(try find("A").certificates.map(\.configuration.name) == ["key.p12"])
    }

    @Test("Basic authentication becomes a header, client credentials a request, the rest stays configuration")
    func authentication() throws {
        func of(_ properties: [String: String], tenant: String? = nil, user: String? = nil) throws -> Authentication {
            try Authentication.of(properties, tenant: tenant, userToken: user)
        }
        let basic = ["Authentication": "BasicAuthentication", "User": "test", "Password": "pass12345"]
        guard case .token(let token) = try of(basic, tenant: "t", user: "u") else {
            Issue.record("no token")
            return
        }
        #expect(token.http_header?.value == "Basic dGVzdDpwYXNzMTIzNDU=")
        #expect(token.value == "dGVzdDpwYXNzMTIzNDU=")
        #expect(try of(["Authentication": "PrincipalPropagation"]) == .none)
        #expect(try of([:]) == .none)
        var oauth = [
            "Authentication": "OAuth2ClientCredentials", "tokenServiceURL": "https://t.example.com/oauth/token",
            "clientId": "a&b", "clientSecret": "s",
        ]
        guard case .retrieval(let retrieval) = try of(oauth) else {
            Issue.record("no retrieval")
            return
        }
        #expect(retrieval.body == "client_id=a%26b&client_secret=s&grant_type=client_credentials")
        #expect(retrieval.headers["authorization"] == "Basic \(Base64.encode("a&b:s"))")
        #expect(throws: DestinationError.self) { try of(oauth, tenant: "t1") }
        oauth["tokenServiceURLType"] = "Common"
        #expect(throws: DestinationError.self) { try of(oauth) }
        #expect(throws: DestinationError.self) { try of(oauth, tenant: "evil.example.com/") }
        guard case .retrieval(let common) = try of(oauth, tenant: "t1") else { return }
        #expect(common.url == "https://t1.t.example.com/oauth/token")
        oauth["tokenServiceURL"] = "https://{tenant}.example.com/oauth/token"
        guard case .retrieval(let placed) = try of(oauth, tenant: "t1") else { return }
        #expect(placed.url == "https://t1.example.com/oauth/token")
    }
}

struct ListQueryTests {
    private func entries(_ directory: TemporaryDirectory) throws -> [StoredConfiguration] {
        let store = DestinationFiles(directory: directory.path)
        let scope = Scope(tenant: "t")
        for index in 1...5 {
            let properties = ["Name": "D\(index)", "Type": "HTTP"]
            _ = try store.create(NamedConfiguration(.destinations, properties), scope)
        }
        _ = try store.changeLabels(.destinations, scope, "D2") { _ in [Label(key: "env", values: ["prod", "eu"])] }
        return store.all(.destinations, scope)
    }

    private func names(_ items: [JSONValue]) -> [String] {
        items.compactMap {
            if case .object(let members) = $0 { members["Name"]?.string } else { nil }
        }
    }

    @Test(
        "Filters, pages and selections show what they should",
        arguments: [
            ("", ["D1", "D2", "D3", "D4", "D5"]), ("%24filter=Name+in+%28%27D1%27%2C+%27D%2533%27%29", ["D1", "D3"]),
            ("$filter=startswith(Name,%20'D')", ["D1", "D2", "D3", "D4", "D5"]), ("$filter=endswith(Name,'4')", ["D4"]),
            ("$filter=modifiedwithin('30','minutes')", ["D1", "D2", "D3", "D4", "D5"]),
            ("$filter=Label%5B'env'%5D+HAS+('prod')", ["D2"]), ("$filter=Label['env']+HAS+('test')", []),
            ("$filter=Label['env']+HAS+('prod')+AND+Label['env']+HAS+('eu')", ["D2"]),
            ("$page=2&$pageSize=2", ["D3", "D4"]), ("$page=4&$pageSize=2", []),
            ("$select=Name", ["D1", "D2", "D3", "D4", "D5"]),
        ]
    )
    func shown(_ query: String, _ expected: [String]) throws {
        let directory = TemporaryDirectory()
        let result = try ListQuery(query).apply(entries(directory), collection: "subaccountDestinations", now: 0)
        #expect(names(result.items) == expected)
    }

    @Test("A page links to its neighbours and counts when asked to")
    func page() throws {
        let directory = TemporaryDirectory()
        let query = try ListQuery("%24page=2&%24pageSize=2&%24pageCount=true&%24entityCount=true")
        let headers = query.apply(try entries(directory), collection: "subaccountDestinations", now: 0).headers
        #expect(
            headers.map { "\($0.name): \($0.value)" } == [
                "Page-Count: 3", "Entity-Count: 5",
                "Link: </subaccountDestinations?$page=1&$pageSize=2>; rel='previous', "
                    + "</subaccountDestinations?$page=3&$pageSize=2>; rel='next'",
            ]
        )
    }

    @Test(
        "Queries that make no sense are refused",
        arguments: [
            "$filter=Type%20in%20('a')", "$filter=Name%20in%20('a'", "$filter=modifiedwithin('0','minutes')",
            "$select=URL",
            "$page=0", "$page=x", "$pageSize=5", "$page=1&$pageSize=1001", "$page=1&$select=Name", "$pageCount=true",
            "$page=1&$pageCount=yes", "$includeMetadata=secret", "$page=1&$page=2", "$filter=%zz",
        ]
    )
    func refused(_ query: String) {
        #expect(throws: DestinationError.self) { try ListQuery(query) }
    }

    @Test("Labels are replaced, added value by value and deleted the same way")
    func labels() throws {
        let old = [Label(key: "env", values: ["prod"])]
        let more = [Label(key: "env", values: ["eu", "prod"]), Label(key: "team", values: ["x"])]
        let both = [Label(key: "env", values: ["prod", "eu"]), Label(key: "team", values: ["x"])]
        #expect(try LabelChange.add(more).apply(old) == both)
        #expect(try LabelChange.delete([Label(key: "env", values: ["prod"])]).apply(both)[0].values == ["eu"])
        #expect(try LabelChange.delete([Label(key: "env", values: [])]).apply(both).map(\.key) == ["team"])
        #expect(try LabelChange.replace([]).apply(both).isEmpty)
        #expect(throws: DestinationError.self) { try LabelChange.add([Label(key: "", values: ["x"])]).apply([]) }
    }
}
