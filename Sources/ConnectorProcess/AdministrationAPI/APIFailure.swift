internal import AdminAccess
internal import ConfigurationEditing
internal import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// Why the configuration API says no, in the form of SAP's Cloud Connector: `{"type": …, "message": …}` (SAP Help, "Configuration
/// REST APIs").
enum APIFailure: Error {
    case invalid(String)
    case notFound(String)
    case conflict(String)
    case notAllowed([String])
    case mediaType
    case failed(String)
    case forbidden(String)
    /// Was there once (SAP Help: recovery subaccounts, since 2.16).
    case gone(String)

    /// What SAP's product has, and this one has not.
    static func unsupported(_ path: [String]) -> APIFailure {
        .invalid("this connector has no \(LogText.escaped(path.joined(separator: "/").utf8)) yet")
    }

    var response: HTTPResponse {
        switch self {
        case .invalid(let text): Self.response(.badRequest, "INVALID_REQUEST", text)
        case .notFound(let text): Self.response(.notFound, "NOT_FOUND", text)
        case .conflict(let text): Self.response(.conflict, "ILLEGAL_STATE", text)
        case .mediaType:
            Self.response(.unsupportedMediaType, "INVALID_REQUEST", "Content-Type must be application/json")
        case .forbidden(let text): Self.response(.forbidden, "FORBIDDEN_REQUEST", text)
        case .gone(let text): Self.response(.gone, "INVALID_REQUEST", text)
        case .failed(let text): Self.response(.internalServerError, "RUNTIME_FAILURE", text)
        case .notAllowed(let methods):
            Self.response(
                .methodNotAllowed,
                "INVALID_REQUEST",
                "only \(methods.joined(separator: ", ")) is allowed here",
                ["allow": methods.joined(separator: ", ")]
            )
        }
    }

    private static func response(
        _ status: HTTPResponseStatus,
        _ type: String,
        _ message: String,
        _ headers: HTTPHeaders = [:]
    ) -> HTTPResponse {
        var response = HTTPResponse.refusal(status, type, message)
        response.headers = headers
        return response
    }

    /// What a change has thrown.
    init(_ error: any Error) {
        switch error {
        case let failure as APIFailure: self = failure
        case let error as ConfigurationError:
            let finding = error.findings.first { $0.severity == .error } ?? error.findings.first
            self = .invalid(
                finding.map { $0.key.isEmpty ? $0.description : "\($0.key): \($0.message)" }
                    ?? "the configuration could not be used"
            )
        case let error as AdministrationError:
            switch error {
            case .missing, .otherAccess: self = .notFound("\(error)")
            case .exists, .ambiguous: self = .conflict("\(error)")
            }
        case let error as AdminUsers.UserError:
            switch error {
            case .invalid, .missing: self = .invalid("\(error)")
            case .exists, .lastAdministrator: self = .conflict("\(error)")
            }
        case let error as TLSError: self = .invalid("\(error)")
        case let error as BackupArchive.BackupError: self = .invalid(error.description)
        case let error as YAMLEditError: self = .conflict("\(error)")
        default: self = .failed("\(error)")
        }
    }
}

extension HTTPResponse {
    /// Done, and nothing more to say.
    static var empty: HTTPResponse { HTTPResponse(status: .noContent, contentType: "", body: []) }
}

/// The members of a request's body. Each is asked for by name; what nobody has asked for is refused.
struct APIBody {
    private let members: [String: JSONValue]
    private var known: Set<String> = []

    init(_ request: HTTPRequest) throws(APIFailure) {
        let type = request.headers.first(name: "content-type")?.prefix { $0 != ";" }.lowercased()
        guard type?.trimmingBlanks == "application/json" else { throw .mediaType }
        do {
            guard case .object(let members) = try JSONLines.decode(JSONValue.self, request.body) else {
                throw APIFailure.invalid("the body must be an object")
            }
            self.members = members
        } catch let failure as APIFailure {
            throw failure
        } catch {
            throw .invalid("the body is \(JSONLines.fault(error))")
        }
    }

    /// A text; a number where it stands for one. Null counts as not there.
    mutating func text(_ name: String) throws(APIFailure) -> String? {
        known.insert(name)
        switch members[name] {
        case nil, .null: return nil
        case .string(let text): return text
        case .integer(let number): return String(number)
        case let other?: throw .invalid("\(name) must be a text, not \(other.kind)")
        }
    }

    mutating func required(_ name: String) throws(APIFailure) -> String {
        guard let text = try text(name), !text.isEmpty else { throw .invalid("\(name) is missing") }
        return text
    }

    /// A flag, or the text `true` or `false`, as SAP's Terraform provider sends it.
    mutating func flag(_ name: String) throws(APIFailure) -> Bool? {
        known.insert(name)
        switch members[name] {
        case nil, .null: return nil
        case .bool(let flag): return flag
        case .string("true"): return true
        case .string("false"): return false
        case let other?: throw .invalid("\(name) must be true or false, not \(other.kind)")
        }
    }

    /// An array of objects with two texts each; none where it is not there.
    mutating func pairs(_ name: String, _ first: String, _ second: String) throws(APIFailure) -> [(String, String)] {
        known.insert(name)
        switch members[name] {
        case nil, .null: return []
        case .array(let items):
            var pairs: [(String, String)] = []
            for item in items {
                guard let one = item[first]?.string, let other = item[second]?.string else {
                    throw .invalid("each of \(name) must be {\"\(first)\": …, \"\(second)\": …}")
                }
                pairs.append((one, other))
            }
            return pairs
        case let other?: throw .invalid("\(name) must be an array, not \(other.kind)")
        }
    }

    /// A member as it is; nil where it is not there.
    mutating func object(_ name: String) throws(APIFailure) -> JSONValue? {
        known.insert(name)
        switch members[name] {
        case nil, .null: return nil
        case .object(let object): return .object(object)
        case let other?: throw .invalid("\(name) must be an object, not \(other.kind)")
        }
    }

    /// Whether a member is there, whatever it is.
    func has(_ name: String) -> Bool { members[name] != nil }

    var isEmpty: Bool { members.isEmpty }

    /// A member that has no meaning here, unless it says nothing anyway.
    mutating func refuse(_ name: String, _ reason: String? = nil) throws(APIFailure) {
        known.insert(name)
        switch members[name] {
        case nil, .null, .string(""), .array([]): return
        default: throw .invalid("\(name): \(reason ?? "is not supported by this connector yet")")
        }
    }

    func finish() throws(APIFailure) {
        let unknown = members.keys.filter { !known.contains($0) }.sorted()
        guard let name = unknown.first else { return }
        let nearest = NearestName.find(name, among: known.sorted()).map { "; did you mean \($0)?" } ?? ""
        throw .invalid("\(LogText.escaped(name.utf8)) is not known here\(nearest)")
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while text.last == " " || text.last == "\t" { text.removeLast() }
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        return String(text)
    }
}
