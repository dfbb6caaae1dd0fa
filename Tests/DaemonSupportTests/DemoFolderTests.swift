import ConnectorTestSupport
import Foundation
import Testing

@testable import DaemonSupport

/// The link by which `--demo` finds the demonstration counts only if it is the user's own, and a link.
struct DemoFolderTests {
    private let folder = TemporaryDirectory()

    @Test("A link leads to its folder, followed to the end")
    func link() throws {
        let (link, second) = ("\(folder.path)/link", "\(folder.path)/second")
        try FileManager.default.createSymbolicLink(atPath: second, withDestinationPath: folder.path)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: second)
        let target = try #require(DemoFolder.target(of: link))
        #expect(URL(filePath: target).resolvingSymlinksInPath() == URL(filePath: folder.path).resolvingSymlinksInPath())
    }

    @Test("What is no link, leads nowhere, or is not there is none")
    func none() throws {
        let path = "\(folder.path)/x"
        #expect(DemoFolder.target(of: path) == nil)
        #expect(DemoFolder.target(of: folder.path) == nil)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/nowhere/at/all")
        #expect(DemoFolder.target(of: path) == nil)
    }

    @Test("Each side has its socket", arguments: [(true, "/d/run/cloud.sock"), (false, "/d/run/connector.sock")])
    func sockets(_ isCloud: Bool, _ expected: String) {
        #expect(DemoFolder.socket(in: "/d", isCloud: isCloud) == expected)
    }
}
