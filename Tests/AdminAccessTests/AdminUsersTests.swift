import ConnectorTestSupport
import Foundation
import Testing

@testable import AdminAccess

struct AdminUsersTests {
    private func users(_ folder: TemporaryDirectory) throws -> AdminUsers {
        try AdminUsers(folder: folder.path + "/admin")
    }

    @Test("A code sets one password within its time, and the file is read again")
    func codes() throws {
        let folder = TemporaryDirectory()
        let users = try users(folder)
        #expect(users.all.isEmpty && !users.isSetUp)
        #expect(throws: AdminUsers.UserError.missing("alice")) { try users.makeCode(for: "alice") }
        try users.add("alice", .administrator)
        let start = ContinuousClock.now
        let code = try users.makeCode(for: "alice", now: start)
        #expect(code.split(separator: "-").count == 5 && code.count == 29)
        func isCode(_ seconds: Int) -> Bool {
            if case .code = users.known("alice", code, now: start + .seconds(seconds)) { true } else { false }
        }
        #expect(isCode(0) && isCode(899) && !isCode(900))
        let second = try users.makeCode(for: "alice", now: start)
        #expect(!isCode(0), "a new code ends the one before")
        try users.setPassword("correct horse battery", of: "alice")
        #expect(users.known("alice", second, now: start) == nil)
        let again = try self.users(folder)
        guard case .user(let user) = again.known("alice", "correct horse battery") else {
            Issue.record("the password is not known any more")
            return
        }
        #expect(user.role == .administrator && again.isSetUp)
        #expect(again.known("alice", "correct horse") == nil && again.known("bob", "correct horse battery") == nil)
    }

    @Test("Somebody stays administrator, names are unique, and a new name keeps the password")
    func changes() throws {
        let folder = TemporaryDirectory()
        let users = try users(folder)
        try users.add("alice", .administrator)
        #expect(throws: AdminUsers.UserError.exists("alice")) { try users.add("alice", .display) }
        #expect(throws: AdminUsers.UserError.lastAdministrator) { try users.remove("alice") }
        try users.setPassword("correct horse battery", of: "alice")
        let generation = users.generation
        try users.rename("alice", to: "carol")
        #expect(users.user("alice") == nil && users.generation > generation)
        guard case .user = users.known("carol", "correct horse battery") else {
            Issue.record("the new name has lost the password")
            return
        }
        for name in ["", "a:b", "a\nb", String(repeating: "x", count: 65)] {
            #expect(throws: AdminUsers.UserError.self) { try users.add(name, .display) }
        }
        try users.add("bob", .administrator)
        try users.remove("carol")
        #expect(users.all.map(\.name) == ["bob"])
    }

    @Test(
        "A password that is easily guessed is refused with the reason",
        arguments: [
            ("short", "12 characters"), ("Administrator1", "user's name"), ("abababababab", "different characters"),
            ("password1234", "little more than"), (String(repeating: "x", count: 1025), "1024 bytes"),
        ]
    )
    func weak(_ password: String, _ cause: String) {
        #expect(AdminUsers.problem(password, "administrator")?.contains(cause) == true)
        #expect(AdminUsers.problem("correct horse battery", "administrator") == nil)
    }

    @Test("A damaged file of users, or one that others may read, lets nobody in and says so")
    func damaged() throws {
        let folder = TemporaryDirectory()
        let path = folder.path + "/admin/users.json"
        try FileManager.default.createDirectory(atPath: folder.path + "/admin", withIntermediateDirectories: true)
        try Data("{".utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        #expect(throws: (any Error).self) { try users(folder) }
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        #expect(throws: (any Error).self) { try users(folder) }
    }
}
