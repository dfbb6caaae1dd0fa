import JSON
import Testing

@testable import OpenAPI

/// Descriptions in other forms than one plain file of OpenAPI 3.
struct DescriptionTests {
    private static func document(_ text: String, _ files: [String: String] = [:]) throws -> OpenAPIDocument {
        try OpenAPIDocument(Array(text.utf8), isYAML: true) { (path) throws(OpenAPIError) in
            guard let text = files[path] else { throw OpenAPIError("is not there") }
            return Array(text.utf8)
        }
    }

    private static func problems(_ document: OpenAPIDocument, _ id: String, _ body: String) throws -> [String] {
        let operation = try #require(document.operation(id))
        return try ActionVerdict(
            status: 200,
            contentType: "application/json",
            body: Array(body.utf8),
            operation,
            document
        ).problems
    }

    // MARK: Swagger 2.0

    private static let swagger = """
        swagger: "2.0"
        basePath: /ignored
        consumes: [application/json]
        produces: [application/json]
        parameters:
          id: {name: id, in: path, required: true, type: integer, x-example: 1}
        paths:
          /items/{id}:
            parameters: [{$ref: "#/parameters/id"}]
            get:
              operationId: get
              parameters:
                - {name: kind, in: query, type: array, items: {type: string}, collectionFormat: csv}
                - {name: tag, in: query, type: array, items: {type: string}, collectionFormat: multi}
                - {name: lang, in: header, required: true, type: string, default: de}
              responses: {200: {description: ok, schema: {$ref: "#/definitions/Item"}}}
            put:
              operationId: put
              parameters: [{name: item, in: body, required: true, schema: {$ref: "#/definitions/Item"}}]
              responses: {200: {$ref: "#/responses/done"}}
            post:
              operationId: post
              consumes: [application/x-www-form-urlencoded]
              parameters:
                - {name: name, in: formData, required: true, type: string}
                - {name: note, in: formData, type: string}
              responses: {200: {description: ok}}
            delete:
              operationId: pipes
              parameters: [{name: ids, in: query, required: true, type: array, collectionFormat: pipes}]
              responses: {200: {description: ok}}
        responses:
          done: {description: done, schema: {type: object, required: [done]}}
        definitions:
          Item: {type: object, required: [name], properties: {name: {type: string}, count: {type: integer}}}
        """

    @Test("Requests of Swagger 2.0 are made as it describes them")
    func swaggerRequests() throws {
        let document = try Self.document(Self.swagger)
        func request(_ id: String, _ values: [String: String]) throws -> ActionRequest {
            try ActionRequest(try #require(document.operation(id)), document, values: values, body: nil)
        }
        let get = try request("get", ["id": "7", "kind": #"["a","b"]"#, "tag": #"["c","d"]"#])
        #expect(get.target == "/items/7?kind=a,b&tag=c&tag=d" && get.headers["lang"] == "de")
        let put = try request("put", ["id": "7", "name": "x", "count": "3"])
        #expect(put.headers["content-type"] == "application/json")
        #expect(try JSONLines.decode(JSONValue.self, put.body)["count"] == .integer(3))
        let post = try request("post", ["id": "7", "name": "a b"])
        #expect(String(decoding: post.body, as: UTF8.self) == "name=a%20b")
        #expect(post.headers["content-type"] == "application/x-www-form-urlencoded")
        #expect(throws: OpenAPIError.self) { try request("get", ["id": "7", "other": "1"]) }
        #expect(throws: OpenAPIError.self) { try request("pipes", ["id": "7", "ids": "1"]) }
    }

    @Test("Answers are held against its schemas")
    func swaggerAnswers() throws {
        let document = try Self.document(Self.swagger)
        for id in ["get", "put"] { try document.check(try #require(document.operation(id))) }
        #expect(try Self.problems(document, "get", #"{"name":"x"}"#).isEmpty)
        #expect(try Self.problems(document, "get", #"{"name":1}"#).first?.contains("expected string") == true)
        #expect(try Self.problems(document, "put", "{}").first?.contains("/done") == true)
    }

    // MARK: Aliases

    @Test("Aliases and merge keys stand for what they name; own members count more, and earlier mappings")
    func aliases() throws {
        let document = try Self.document(
            """
            openapi: 3.0.0
            x-one: &one {type: object, required: [a]}
            x-two: &two {type: array, properties: {a: &text {type: string}, b: *text}}
            paths:
              /x:
                get:
                  operationId: x
                  responses:
                    200: {description: ok, content: {application/json: {schema: {<<: [*one, *two], required: [b]}}}}
            """
        )
        #expect(try Self.problems(document, "x", #"{"a":"1","b":"2"}"#).isEmpty)
        let wrong = try Self.problems(document, "x", #"{"a":1}"#)
        #expect(
            wrong.contains { $0.contains("/a: expected string") } && wrong.contains { $0.contains("/b:") },
            "\(wrong)"
        )
    }

    @Test(
        "Aliases that lead nowhere, to themselves or to too much are refused",
        arguments: ["a: *b", "a: &a [*a]", "a: &a {<<: *a}", "a: &a 1\nb: {<<: *a}"]
    )
    func brokenAliases(_ text: String) {
        #expect(throws: OpenAPIError.self) { try Self.document("openapi: 3.0.0\npaths: {/x: {get: {}}}\n" + text) }
    }

    @Test("A small file does not become a huge one, nor a deep one")
    func bombs() {
        var wide = "openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<12 {
            wide += "a\(level): &a\(level) [\((0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", "))]\n"
        }
        var deep = "openapi: 3.0.0\na0: &a0 [x]\n"
        for level in 1..<5000 { deep += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        for (text, reason) in [(wide, "more than"), (deep, "nested too deeply")] {
            do {
                _ = try Self.document(text)
                Issue.record("taken")
            } catch {
                #expect("\(error)".contains(reason), "\(error)")
            }
        }
    }

    // MARK: Other files

    private static let spread = """
        openapi: 3.0.0
        paths:
          /a: {$ref: "paths/a.yaml"}
          /b:
            get:
              operationId: b
              responses: {200: {description: ok, content: {application/json: {schema: {$ref: "REFERENCE"}}}}}
        components: {schemas: {Own: {type: integer}}}
        """

    @Test("A description may be spread over files beside it, which lead to each other and back")
    func files() throws {
        let files = [
            "paths/a.yaml": """
            get:
              operationId: a
              responses:
                200: {description: ok, content: {application/json: {schema: {$ref: "../schemas/all.json#/Pair"}}}}
            """,
            "schemas/all.json":
                ##"{"Pair":{"type":"object","properties":{"example":{"$ref":"#/Word"},"n":{"$ref":"../main.yaml#/components/schemas/Own"},"next":{"$ref":"all.json#/Pair"}}},"Word":{"type":"string"}}"##,
            "main.yaml": Self.spread,
        ]
        let document = try Self.document(Self.spread.replacing("REFERENCE", with: "./schemas/all.json#/Word"), files)
        for id in ["a", "b"] { try document.check(try #require(document.operation(id))) }
        #expect(try Self.problems(document, "b", #""x""#).isEmpty)
        #expect(try Self.problems(document, "a", #"{"example":"x","n":1,"next":{"n":2}}"#).isEmpty)
        let wrong = try Self.problems(document, "a", #"{"example":1,"next":{"n":"x"}}"#)
        #expect(wrong.count == 2, "\(wrong)")
    }

    @Test(
        "A file that cannot be had is the fault of those who need it, by name",
        arguments: [
            ("nowhere.yaml#/X", "nowhere.yaml: is not there"), ("broken.yaml", "broken.yaml: 2:"),
            ("../../etc/passwd", "leads out of the folder"), ("/etc/passwd", "a file beside this one"),
            ("http://example.com/x.yaml", "a file beside this one"), ("%2e%2e/x.yaml", "leads out of the folder"),
            ("fine.yaml#X", "is no pointer"), ("fine.yaml#/Y", "leads nowhere"),
        ]
    )
    func missing(_ reference: String, _ reason: String) throws {
        let files = ["broken.yaml": "a: [", "fine.yaml": "X: {type: string}", "paths/a.yaml": "get: {operationId: a}"]
        do {
            let document = try Self.document(Self.spread.replacing("REFERENCE", with: reference), files)
            try document.check(try #require(document.operation("a")))
            try document.check(try #require(document.operation("b")))
            Issue.record("taken")
        } catch {
            #expect("\(error)".contains(reason), "\(error)")
        }
    }

    // MARK: Tokens

    @Test("A change whose description has the header X-CSRF-Token asks for a token; its value is not asked of the user")
    func token() throws {
        let text = """
            openapi: 3.0.0
            paths:
              /x:
                parameters: [{name: X-Csrf-Token, in: header, required: true, schema: {type: string}}]
                get: {operationId: get, responses: {}}
                post: {operationId: post, responses: {}}
            """
        let document = try Self.document(text)
        let post = try #require(document.operation("post"))
        #expect(post.tokenParameter == "X-Csrf-Token")
        #expect(try ActionRequest(post, document, values: [:], body: nil).headers["x-csrf-token"] == nil)
        let own = try ActionRequest(post, document, values: ["X-Csrf-Token": "mine"], body: nil)
        #expect(own.headers["x-csrf-token"] == "mine")
        let get = try #require(document.operation("get"))
        #expect(get.tokenParameter == nil)
    }
}
