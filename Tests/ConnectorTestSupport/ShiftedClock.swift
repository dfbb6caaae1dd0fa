package import Foundation

/// The wall clock of one process, ahead or behind by any number of seconds; it can be moved while the process runs.
package struct ShiftedClock {
    private let library: URL
    private let offset: URL

    /// - Parameter folder: takes the compiled library and the file with the offset.
    package init(_ folder: URL) throws {
        library = folder.appending(path: "wall-clock.so")
        offset = folder.appending(path: "offset")
        let source = Repository.root.appending(path: "Tests/Fixtures/wall-clock.c").path
        let arguments = ["cc", "-shared", "-fPIC", "-o", library.path, source]
        let compiled = try Rig.run(URL(filePath: "/usr/bin/env"), arguments, folder)
        guard compiled.status == 0 else { throw RigError(compiled.output) }
        try move(0)
    }

    /// - Parameter seconds: ahead of this machine's clock.
    package func move(_ seconds: Int) throws { try Data("\(seconds)\n".utf8).write(to: offset) }

    /// In front of a program.
    package var wrapper: [String] {
        ["/usr/bin/env", "LD_PRELOAD=\(library.path)", "WALL_CLOCK_OFFSET=\(offset.path)"]
    }
}
