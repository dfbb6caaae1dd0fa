internal import Cryptography
package import HostSystem
internal import JSON
internal import Synchronization
internal import TextFormats

/// Those who may use the page and the API, with hashes of their passwords, in a file that only the connector reads.
///
/// Nobody has a password at first. A one-time code lets somebody set one; the code is told on the admin socket, lasts a
/// quarter of an hour, and is forgotten at the end of the process.
package final class AdminUsers: Sendable {
    package struct User: Codable, Sendable, Equatable {
        package var name: String
        package var role: AdminRole
        /// Nil until one was set.
        var password: String?
        /// RFC 3339.
        package var created: String

        package var hasPassword: Bool { password != nil }
    }

    package enum UserError: Error, CustomStringConvertible, Equatable {
        case invalid(String)
        case missing(String)
        case exists(String)
        case lastAdministrator

        package var description: String {
            switch self {
            case .invalid(let cause): cause
            case .missing(let name): "there is no user \(LogText.escaped(name.utf8))"
            case .exists(let name): "there is already a user \(LogText.escaped(name.utf8))"
            case .lastAdministrator: "this is the last administrator; somebody has to be one"
            }
        }
    }

    private struct File: Codable { var users: [User] }

    private struct Code {
        var digest: [UInt8]
        var ends: ContinuousClock.Instant
    }

    private struct State {
        var users: [User]
        var codes: [String: Code] = [:]
        /// Grows with every change, so that what was known before is asked for again.
        var generation = 0
    }

    package static let first = "Administrator"
    package static let limit = 100
    package static let codeLife = Duration.seconds(900)

    private let path: String
    private let state: Mutex<State>

    /// - Parameter folder: where the file lies; it is made with the first user.
    package init(folder: String) throws(FileError) {
        path = "\(folder)/users.json"
        state = Mutex(State(users: try Self.read(path)))
    }

    /// Whether this is such a file, in which somebody is administrator.
    package static func check(_ bytes: [UInt8]) throws {
        guard let file = try? JSONLines.decode(File.self, bytes),
            file.users.contains(where: { $0.role == .administrator })
        else { throw UserError.invalid("the file of users is damaged, or has no administrator") }
    }

    private static func read(_ path: String) throws(FileError) -> [User] {
        guard let bytes = try PrivateFile.read(path) else { return [] }
        guard let file = try? JSONLines.decode(File.self, bytes) else {
            throw FileError("\(path) is damaged: put back a copy, or remove it and set a password again")
        }
        return file.users
    }

    /// Takes what the file says now.
    package func read() throws(FileError) {
        let users = try Self.read(path)
        state.withLock { state in
            state.users = users
            state.codes = [:]
            state.generation += 1
        }
    }

    package var all: [User] { state.withLock { $0.users } }
    package var generation: Int { state.withLock { $0.generation } }
    /// Whether anybody can log in.
    package var isSetUp: Bool { all.contains(where: \.hasPassword) }

    package func user(_ name: String) -> User? { all.first { $0.name == name } }

    private static func find(_ name: String, _ users: [User]) -> Int? { users.firstIndex { $0.name == name } }

    // MARK: Changes

    /// Makes a change, and writes it before it counts.
    private func change<Result>(_ body: (inout State) throws -> Result) throws -> Result {
        try state.withLock { state in
            var new = state
            let result = try body(&new)
            new.generation += 1
            if new.users != state.users {
                try PrivateFile.makeFolder(Folder.of(path))
                try AtomicFile.write(JSONLines.encode(File(users: new.users)), to: path, mode: 0o600)
            }
            state = new
            return result
        }
    }

    package func add(_ name: String, _ role: AdminRole) throws {
        guard (1...64).contains(name.utf8.count), !name.contains(":"),
            name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else {
            throw UserError.invalid("a user's name has 1 to 64 bytes, without a colon and control characters")
        }
        try change { state in
            guard Self.find(name, state.users) == nil else { throw UserError.exists(name) }
            guard state.users.count < Self.limit else {
                throw UserError.invalid("there are \(Self.limit) users already")
            }
            state.users.append(User(name: name, role: role, created: WallClock.timestamp()))
        }
    }

    package func remove(_ name: String) throws {
        try change { state in
            guard let index = Self.find(name, state.users) else { throw UserError.missing(name) }
            guard
                state.users[index].role != .administrator
                    || state.users.count(where: { $0.role == .administrator }) > 1
            else { throw UserError.lastAdministrator }
            state.users.remove(at: index)
            state.codes[name] = nil
        }
    }

    package func rename(_ name: String, to new: String) throws {
        guard name != new else { return }
        guard let user = user(name) else { throw UserError.missing(name) }
        try add(new, user.role)
        try change { state in
            guard let old = Self.find(name, state.users), let index = Self.find(new, state.users) else { return }
            state.users[index].password = state.users[old].password
            state.users[index].created = state.users[old].created
            state.users.remove(at: old)
        }
    }

    /// A code with which the user can set a password once. What was the password stays one until then.
    package func makeCode(for name: String, now: ContinuousClock.Instant = .now) throws -> String {
        guard user(name) != nil else { throw UserError.missing(name) }
        // 25 of 32 characters: 125 bits. Letters and digits that nobody takes for others.
        let alphabet = Array("23456789ABCDEFGHJKLMNPQRSTUVWXYZ")
        let characters = try SecureRandom.bytes(25).map { alphabet[Int($0 & 31)] }
        let code = stride(from: 0, to: 25, by: 5).map { String(characters[$0..<($0 + 5)]) }.joined(separator: "-")
        state.withLock { $0.codes[name] = Code(digest: SHA256.digest(code.utf8), ends: now + Self.codeLife) }
        return code
    }

    /// Sets a password, which ends the user's code.
    package func setPassword(_ password: String, of name: String) throws {
        if let problem = Self.problem(password, name) { throw UserError.invalid(problem) }
        let hash = try PasswordHash(password: password).text
        try change { state in
            guard let index = Self.find(name, state.users) else { throw UserError.missing(name) }
            state.users[index].password = hash
            state.codes[name] = nil
        }
    }

    /// What is wrong with a password; nil for nothing.
    static func problem(_ password: String, _ name: String) -> String? {
        if password.utf8.count > 1024 { return "the password is longer than 1024 bytes" }
        if password.count < 12 { return "the password is shorter than 12 characters" }
        let plain = password.lowercased()
        if plain.contains(name.lowercased()) { return "the password contains the user's name" }
        if Set(plain).count < 5 { return "the password has fewer than 5 different characters" }
        let common = [
            "password", "12345678", "qwertz", "qwerty", "administrator", "cloudconnector", "letmein", "welcome",
        ]
        if let word = common.first(where: { plain.contains($0) }), plain.count - word.count < 8 {
            return "the password is little more than \"\(word)\""
        }
        return nil
    }

    // MARK: Knowing

    /// What a name and password stand for.
    package enum Known: Sendable, Equatable {
        case user(User)
        /// The password is the user's one-time code: good for setting one, and nothing else.
        case code(User)
    }

    /// Takes as long for a name that is not there.
    package func known(_ name: String, _ password: String, now: ContinuousClock.Instant = .now) -> Known? {
        let (user, code) = state.withLock { state in
            (Self.find(name, state.users).map { state.users[$0] }, state.codes[name])
        }
        if let user, let code, code.ends > now,
            ConstantTime.isEqual(code.digest, SHA256.digest(password.utf8))
        {
            return .code(user)
        }
        let hash = user?.password ?? Self.nobody
        guard password.utf8.count <= 1024, PasswordHash(text: hash).matches(password), let user, user.hasPassword else {
            return nil
        }
        return .user(user)
    }

    /// A hash of no password.
    private static let nobody =
        "scrypt$15$8$1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
}
