import ConfigurationEditing
import Testing

@testable import ConnectorProcess

/// What each command makes of a file.
struct AdministrationCommandTests {
    private static let file = """
        subaccount: test
        systems:
          # The payroll.
          - virtual-host: pay:80   # as the cloud calls it
            internal-host: 10.0.0.1:8000
            protocol: HTTP
            resources:
              - path: /a
                access: path-only
              - path: /a
                access: path-and-sub-paths
              - {path: /b, access: path-only}

        """

    private func apply(_ command: AdministrationCommand, to file: String = file) throws -> String {
        var text = try YAMLText(Array(file.utf8))
        try command.apply(to: &text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    @Test("A system is added behind the others, with its keys in the order given")
    func add() throws {
        let entries: [YAMLValue.Entry] = [.init("virtual-host", .text("x:1")), .init("internal-host", .text("h:2"))]
        #expect(
            try apply(.addSystem(entries)) == Self.file.dropLast() + "\n  - virtual-host: x:1\n    internal-host: h:2\n"
        )
        #expect(throws: AdministrationError.exists("a system PAY:80")) {
            try apply(.addSystem([.init("virtual-host", .text("PAY:80"))]))
        }
    }

    @Test("The first system of a file begins the list")
    func first() throws {
        let command = AdministrationCommand.addSystem([.init("virtual-host", .text("x:1"))])
        #expect(
            try apply(command, to: "subaccount: a\n# end\n")
                == "subaccount: a\nsystems:\n  - virtual-host: x:1\n# end\n"
        )
    }

    @Test("Keys of a system are changed, added and taken away; its comments stay")
    func change() throws {
        let changed = try apply(
            .changeSystem(
                "Pay:80",
                [
                    .init("virtual-host", .text("pay:81")), .init("internal-host", .text("h:1")),
                    .init("description", .text("x")),
                ]
            )
        )
        #expect(
            changed.contains(
                "# The payroll.\n  - virtual-host: pay:81   # as the cloud calls it\n    internal-host: h:1\n"
            )
        )
        #expect(changed.hasSuffix("      - {path: /b, access: path-only}\n    description: x\n"))
        let without = try apply(
            .changeSystem("pay:81", [.init("description", nil), .init("response-timeout", nil)]),
            to: changed
        )
        #expect(!without.contains("description"))
        #expect(try apply(.changeSystem("pay:80", [.init("resources", nil)])).hasSuffix("    protocol: HTTP\n"))
    }

    @Test("A system goes with its resources")
    func remove() throws {
        #expect(try apply(.removeSystem("pay:80")) == "subaccount: test\nsystems:\n  # The payroll.\n")
    }

    @Test("Resources are added, changed and removed; of two with one path the access says which")
    func resources() throws {
        let entries: [YAMLValue.Entry] = [.init("path", .text("/c")), .init("access", .text("path-only"))]
        let added = try apply(.addResource(system: "pay:80", entries))
        #expect(added == Self.file + "      - path: /c\n        access: path-only\n")
        let changed = try apply(.changeResource(system: "pay:80", .init("/b"), [.init("active", .word("false"))]))
        #expect(changed.hasSuffix("      - {path: /b, access: path-only, active: false}\n"))
        let ambiguous = AdministrationError.ambiguous("/a of pay:80")
        #expect(throws: ambiguous) { try apply(.removeResource(system: "pay:80", .init("/a"))) }
        let removed = try apply(.removeResource(system: "pay:80", .init("/a", access: "path-and-sub-paths")))
        #expect(removed == Self.file.replacing("      - path: /a\n        access: path-and-sub-paths\n", with: ""))
    }

    @Test("What is not there is named, with the nearest that is")
    func missing() throws {
        let system = AdministrationError.missing("a system pya:80", known: ["pay:80"], nearest: "pay:80")
        #expect(throws: system) { try apply(.removeSystem("pya:80")) }
        #expect("\(system)" == "there is not a system pya:80; did you mean pay:80?")
        #expect(throws: AdministrationError.otherAccess("/b", is: "path-only", not: "path-and-sub-paths")) {
            try apply(.removeResource(system: "pay:80", .init("/b", access: "path-and-sub-paths")))
        }
        #expect(throws: AdministrationError.missing("a system x", known: [], nearest: nil)) {
            try apply(.removeSystem("x"), to: "a: 1\n")
        }
    }
}
