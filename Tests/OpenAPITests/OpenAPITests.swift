import JSON
import Testing

@testable import OpenAPI

struct OpenAPITests {
    static let hello = """
        openapi: 3.0.0
        info: {title: Hello, version: "1"}
        servers: [{url: empty}]
        paths:
          /hello:
            get:
              operationId: hello
              responses:
                "200":
                  description: ok
                  content:
                    application/json:
                      schema: {$ref: "#/components/schemas/Hello"}
          /items/{id}:
            parameters:
              - {name: id, in: path, required: true, schema: {type: integer, example: 7}}
            get:
              parameters:
                - {name: q, in: query, schema: {type: string}}
                - {name: X-Kind, in: header, required: true, schema: {type: string, enum: [plain]}}
              responses:
                2XX: {description: ok}
            post:
              operationId: change
              requestBody:
                required: true
                content:
                  application/json:
                    schema:
                      allOf:
                        - {$ref: "#/components/schemas/Hello"}
                        - {type: object, properties: {count: {type: integer}, flag: {type: boolean}}}
              responses:
                default: {description: any}
        components:
          schemas:
            Hello:
              type: object
              required: [message]
              properties:
                message: {type: string, minLength: 1}
                when: {type: string, format: date-time}
        """

    private func document(_ text: String = hello) throws -> OpenAPIDocument {
        try OpenAPIDocument(Array(text.utf8), isYAML: true)
    }

    @Test("Limits of any size are compared and told, and parts that lead back to themselves have an end")
    func hostileNumbers() throws {
        let text = """
            openapi: 3.0.0
            paths:
              /a:
                post:
                  operationId: a
                  requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/A"}}}}
                  responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/B"}}}}}
            components:
              schemas:
                A: {allOf: [{$ref: "#/components/schemas/A"}, {$ref: "#/components/schemas/A"}, {$ref: "#/components/schemas/A"}]}
                B: {type: string, minLength: 1e300}
            """
        let document = try document(text)
        let operation = try #require(document.operation("a"))
        #expect(throws: OpenAPIError.self) { try ActionRequest.names(operation, document) }
        let verdict = try ActionVerdict(
            status: 200,
            contentType: "application/json",
            body: Array("\"x\"".utf8),
            operation,
            document
        )
        #expect(verdict.problems.first?.contains("minLength 1e+300") == true, "\(verdict.problems)")
    }

    @Test("Operations are found by ID, and by method and path where there is none")
    func operations() throws {
        let document = try document()
        #expect(document.operations.map(\.id) == ["hello", "GET /items/{id}", "change"])
        #expect(document.operation("GET /hello")?.id == "hello")
        #expect(document.operation("nothing") == nil)
    }

    @Test("Parameters go where they belong, escaped; what is required and has an example needs no value")
    func request() throws {
        let document = try document()
        let get = try #require(document.operation("GET /items/{id}"))
        let plain = try ActionRequest(get, document, values: [:], body: nil)
        #expect(plain.target == "/items/7" && plain.headers["x-kind"] == "plain")
        let full = try ActionRequest(get, document, values: ["id": "a/b?c", "q": "x&y=1", "X-Kind": "k"], body: nil)
        #expect(full.target == "/items/a%2Fb%3Fc?q=x%26y%3D1" && full.headers["x-kind"] == "k")
        #expect(throws: OpenAPIError.self) { try ActionRequest(get, document, values: ["nope": "1"], body: nil) }
        #expect(throws: OpenAPIError.self) { try ActionRequest(get, document, values: ["X-Kind": "a\r\nb"], body: nil) }
        let change = try #require(document.operation("change"))
        let values = ["id": "1", "message": "hi", "count": "3", "flag": "true"]
        let request = try ActionRequest(change, document, values: values, body: nil)
        #expect(String(decoding: request.body, as: UTF8.self) == #"{"count":3,"flag":true,"message":"hi"}"#)
        #expect(request.headers["content-type"] == "application/json")
    }

    private func verdict(_ status: Int, _ body: String, type: String? = "application/json") throws -> ActionVerdict {
        let document = try document()
        let hello = try #require(document.operation("hello"))
        return try ActionVerdict(status: status, contentType: type, body: Array(body.utf8), hello, document)
    }

    @Test(
        "An answer that differs from its schema says where, what was expected and what was found",
        arguments: [
            (200, #"{"message":"Hello"}"#, ""),
            (200, "{}", "hello: /message: expected a value, found nothing: the field is missing"),
            (200, #"{"message":1}"#, "hello: /message: expected string, found integer 1"),
            (200, #"{"message":""}"#, "hello: /message: expected minLength 1, found 0 characters"),
            (200, "[]", "hello: the payload: expected object, found array []"),
            (200, "{", "the payload says that it is JSON, and cannot be read as such"),
            (201, "{}", "the status 201 is not documented for hello; documented: 200"),
            (404, "{}", "the status is 404"),
            (200, "", "the payload is empty, where JSON is described"),
        ]
    )
    func mismatch(_ status: Int, _ body: String, _ problem: String) throws {
        let verdict = try verdict(status, body)
        #expect(verdict.isGood == problem.isEmpty)
        #expect(problem.isEmpty || verdict.problems.contains(problem), "\(verdict.problems)")
    }

    @Test("What is not checked is said; values are picked by field or pointer")
    func picked() throws {
        let verdict = try verdict(200, #"{"message":"Hello","when":"never","a":{"b/c":[1,2]}}"#)
        #expect(verdict.isGood && verdict.unchecked == ["format"])
        #expect(verdict.pick("message") == .string("Hello") && verdict.pick("/a/b~1c/1") == .integer(2))
        #expect(verdict.pick("/a/x") == nil)
        #expect(
            try self.verdict(200, "Hello", type: "text/plain").problems == [
                "the answer is text/plain; documented: application/json"
            ]
        )
    }

    /// One schema, one value, whether it fits.
    @Test(
        "Each keyword does what JSON Schema says",
        arguments: [
            (#"{"type":"integer"}"#, "1.0", true), (#"{"type":"integer"}"#, "1.5", false),
            (#"{"type":["string","null"]}"#, "null", true),
            (#"{"type":"string","nullable":true}"#, "null", true), (#"{"type":"string"}"#, "null", false),
            (#"{"enum":[1,"a"]}"#, "1.0", true), (#"{"enum":[1,"a"]}"#, "\"b\"", false),
            (#"{"const":{"a":1}}"#, #"{"a":1}"#, true),
            (#"{"required":["a"]}"#, "{}", false), (#"{"required":["a"]}"#, "[]", true),
            (#"{"properties":{"a":{"writeOnly":true}},"required":["a"]}"#, "{}", true),
            (#"{"properties":{"a":{}},"additionalProperties":false}"#, #"{"a":1,"b":2}"#, false),
            (#"{"additionalProperties":{"type":"string"}}"#, #"{"a":1}"#, false),
            (#"{"maxProperties":1}"#, #"{"a":1,"b":2}"#, false),
            (#"{"items":{"type":"string"}}"#, #"["a",1]"#, false),
            (#"{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}"#, #"["a",1]"#, true),
            (#"{"minItems":2}"#, "[1]", false), (#"{"uniqueItems":true}"#, "[1,1]", false),
            (#"{"maxLength":1}"#, "\"é\"", true),
            (#"{"minimum":1}"#, "1", true), (#"{"minimum":1,"exclusiveMinimum":true}"#, "1", false),
            (#"{"exclusiveMaximum":2}"#, "2", false),
            (#"{"multipleOf":0.5}"#, "1.5", true), (#"{"multipleOf":2}"#, "3", false),
            (#"{"allOf":[{"type":"integer"},{"minimum":3}]}"#, "2", false),
            (#"{"anyOf":[{"type":"integer"},{"type":"string"}]}"#, "true", false),
            (#"{"anyOf":[{"type":"integer"},{"minimum":3}]}"#, "4", true),
            (#"{"oneOf":[{"type":"integer"},{"minimum":3}]}"#, "4", false),
            (#"{"not":{"type":"string"}}"#, "1", true), (#"{"not":{"type":"string"}}"#, "\"a\"", false),
            ("true", "1", true), ("false", "1", false),
        ]
    )
    func keywords(_ schema: String, _ value: String, _ isGood: Bool) throws {
        var validator = SchemaValidator(try document())
        let schema = try JSONLines.decode(JSONValue.self, Array(schema.utf8))
        try validator.validate(try JSONLines.decode(JSONValue.self, Array(value.utf8)), schema)
        #expect(validator.faults.isEmpty == isGood, "\(validator.faults)")
    }

    @Test("References that lead nowhere, to other files or to themselves end with a message, not in a loop")
    func references() throws {
        let text = Self.hello.replacing(
            "required: [message]",
            with: "allOf: [{$ref: \"#/components/schemas/Hello\"}]\n      required: [message]"
        )
        let document = try document(text)
        let hello = try #require(document.operation("hello"))
        #expect(throws: OpenAPIError.self) {
            try ActionVerdict(status: 200, contentType: "application/json", body: Array("{}".utf8), hello, document)
        }
        for reference in ["#/components/schemas/Nothing", "other.yaml#/X"] {
            let document = try self.document(Self.hello.replacing("#/components/schemas/Hello", with: reference))
            let hello = try #require(document.operation("hello"))
            #expect(throws: OpenAPIError.self) {
                try ActionVerdict(status: 200, contentType: "application/json", body: Array("{}".utf8), hello, document)
            }
        }
    }

    @Test(
        "What is no specification is refused",
        arguments: [
            "", "a: [", "swagger: \"1.2\"", "swagger: \"2.0\"", "openapi: 3.0", "openapi: 3.2.0", "openapi: 3.0.0",
            "openapi: 3.1.0\npaths: {}",
        ]
    )
    func refused(_ text: String) {
        #expect(throws: OpenAPIError.self) { try document(text) }
    }

    @Test("Several hundred operations are read within a moment")
    func large() throws {
        var text = "openapi: 3.1.0\npaths:\n"
        for index in 0..<800 {
            text +=
                "  /p\(index)/{id}:\n    get:\n      operationId: o\(index)\n      parameters: [{name: id, in: path}]\n"
            text +=
                "      responses: {\"200\": {description: ok, content: {application/json: {schema: {$ref: \"#/components/schemas/S\"}}}}}\n"
        }
        text += "components: {schemas: {S: {type: object}}}\n"
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try document(text).operations.count == 800)
        #expect(clock.now - start < .seconds(20))
    }

    @Test("Combinations of combinations end with a message, soon")
    func combinations() throws {
        var text = "openapi: 3.1.0\npaths: {/x: {get: {operationId: x, responses: {\"200\": {description: ok}}}}}\n"
        text += "components:\n  schemas:\n"
        for level in 0..<30 {
            let next = "{$ref: \"#/components/schemas/s\(level + 1)\"}"
            text += "    s\(level): {oneOf: [\(next), \(next)]}\n"
        }
        text += "    s30: {type: string}\n"
        var validator = SchemaValidator(try document(text))
        let schema = JSONValue.object(["$ref": .string("#/components/schemas/s0")])
        let fault = #expect(throws: OpenAPIError.self) { try validator.validate(.integer(1), schema) }
        #expect(fault?.description.contains("too many combinations") == true)
    }

    @Test(
        "Lists are written as their parameter wants it; a body that is needed is asked for; what is broken is known before"
    )
    func lists() throws {
        let text = """
            openapi: 3.1.0
            paths:
              /a:
                post:
                  operationId: a
                  parameters:
                    - {name: q, in: query, schema: {type: array}}
                    - {name: c, in: query, explode: false, schema: {type: array}}
                    - {name: d, in: query, style: deepObject}
                  requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {n: {type: [integer, "null"]}}}}}}
                  responses: {"200": {$ref: "#/components/responses/gone"}}
              /b:
                post:
                  operationId: b
                  requestBody: {content: {application/json: {example: {k: 1}}}}
                  responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/gone"}}}}}
            """
        let document = try document(text)
        let (a, b) = (try #require(document.operation("a")), try #require(document.operation("b")))
        #expect(throws: OpenAPIError.self) { try document.check(a) }
        #expect(throws: OpenAPIError.self) { try document.check(b) }
        #expect(
            String(decoding: try ActionRequest(b, document, values: [:], body: nil).body, as: UTF8.self) == #"{"k":1}"#
        )
        let good = try self.document(
            text.replacing("{$ref: \"#/components/responses/gone\"}", with: "{description: ok}")
        )
        let post = try #require(good.operation("a"))
        #expect(throws: OpenAPIError.self) { try ActionRequest(post, good, values: [:], body: nil) }
        #expect(throws: OpenAPIError.self) { try ActionRequest(post, good, values: ["d": "1", "n": "1"], body: nil) }
        let request = try ActionRequest(
            post,
            good,
            values: ["q": #"["a","b c"]"#, "c": "[1,2]", "n": "null"],
            body: nil
        )
        #expect(request.target == "/a?q=a&q=b%20c&c=1,2")
        #expect(String(decoding: request.body, as: UTF8.self) == #"{"n":null}"#)
    }
}
