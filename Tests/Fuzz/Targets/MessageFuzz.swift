@testable import AccessPolicy
@testable import CloudProcess
@testable import ConnectivityService
@testable import ConnectorProcess
@testable import ControlProtocol
@testable import Destinations
@testable import JSON
@testable import OpenAPI
@testable import TextFormats
@testable import Tokens

enum ControlFuzz {
    /// Lines of the control stream, and what the service keeps of them.
    static func messages(_ input: UnsafeRawBufferPointer) {
        var input = FuzzInput(input)
        var lines = LineBuffer(limit: 4096)
        var systems = ExposedSystems()
        var pace = ControlPace()
        var now: Int64 = 0
        while let piece = input.piece() {
            guard let messages = try? lines.append(piece) else { return }
            now += 1_000_000
            _ = pace.received(piece.count, messages: messages.count, now: now)
            for line in messages {
                guard let message = try? JSONLines.decode(ControlMessage.self, line) else { continue }
                if let hello = message.hello?.bounded {
                    precondition((hello.startedAt * 1000) / 1000 == hello.startedAt)
                }
                if let exposed = message.exposed { _ = systems.append(exposed.systems, room: 10 - systems.list.count) }
                if let changes = message.availability { systems.apply(changes) }
                precondition(systems.list.count <= 10)
            }
        }
        _ = EnrolmentToken(text: String(decoding: input.rest, as: UTF8.self))
    }
}

enum TokenFuzz {
    /// No key is known, so none is believed.
    static func verify(_ input: UnsafeRawBufferPointer) {
        let verifier = TokenVerifier(keys: [:], clients: [])
        precondition((try? verifier.verify(input, now: 1_800_000_000)) == nil)
        _ = TokenVerifier.principal(of: input)
        _ = FormData(input)
        guard let claims = try? JSONLines.decode(TokenClaims.self, input) else { return }
        _ = claims.user ?? claims.client
    }
}

enum ConfigurationFuzz {
    /// Both kinds of file; findings are what is wanted, traps are not.
    static func read(_ input: UnsafeRawBufferPointer) {
        _ = ConnectorConfigurationReader.read(Array(input), file: "fuzz.conf")
        _ = CloudConfigurationReader.read(Array(input), file: "fuzz.conf")
    }
}

enum DestinationFuzz {
    static func read(_ input: UnsafeRawBufferPointer) {
        var rest = FuzzInput(input)
        let formats: [FileFormat] = [.json, .yaml, .properties]
        let kinds = ConfigurationKind.allCases
        let steering = Int(rest.byte())
        let bytes = Array(rest.rest)
        let (format, kind) = (formats[steering % formats.count], kinds[steering / 4 % kinds.count])
        if let configuration = try? DestinationFile.read(bytes, format, kind) {
            // What is written reads back as the same.
            let written = DestinationFile.write(configuration.properties, format)
            precondition((try? DestinationFile.read(written, format, kind)) == configuration)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? ListFilter(text)
        _ = try? ListQuery(text)
    }
}

enum OpenAPIFuzz {
    static func run(_ input: UnsafeRawBufferPointer) {
        var rest = FuzzInput(input)
        let steering = rest.byte()
        guard let document = try? OpenAPIDocument(Array(rest.rest), isYAML: steering & 1 == 1) else { return }
        for operation in document.operations.prefix(8) {
            _ = try? document.check(operation)
            _ = try? ActionRequest.names(operation, document)
            _ = try? ActionRequest(operation, document, values: ["a": "1"], body: nil)
            for body in ["{}", "[1.5,\"a\",null]", "{\"a\":{\"b\":[true,-1e300]}}"] {
                _ = try? ActionVerdict(
                    status: 200,
                    contentType: "application/json",
                    body: Array(body.utf8),
                    operation,
                    document
                )
            }
        }
    }
}

enum SocksFuzz {
    static func handshake(_ input: UnsafeRawBufferPointer) {
        var input = FuzzInput(input)
        var handshake = SocksHandshake()
        let isGood = input.byte() & 1 == 0
        while let piece = input.piece() {
            handshake.receive(piece)
            while let event = handshake.next() {
                switch event {
                case .authenticate: _ = handshake.admit(isGood)
                case .connect(let request): precondition(!request.host.isEmpty)
                case .send, .refuse: break
                }
            }
        }
    }
}

enum TargetFuzz {
    private static let policy = AccessPolicy(systems: [])

    static func decide(_ input: UnsafeRawBufferPointer) {
        let span = input.assumingMemoryBound(to: UInt8.self).span
        if let parts = try? RequestTarget.Parts(span) { precondition(parts.originForm.upperBound <= input.count) }
        if let authority = try? RequestAuthority(span, in: 0..<input.count) {
            precondition(authority.host.upperBound <= input.count)
        }
        guard let target = try? RequestTarget(span) else { return }
        // Sent are the bytes that came, from the path on; an absolute target without a path gets the "/" it stands for.
        let isTail = input.suffix(target.bytes.count).elementsEqual(target.bytes)
        let isTailWithSlash =
            target.bytes.first == UInt8(ascii: "/")
            && input.suffix(target.bytes.count - 1).elementsEqual(target.bytes.dropFirst())
        precondition(isTail || isTailWithSlash, "decided on and sent byte for byte")
    }
}
