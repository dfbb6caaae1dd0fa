internal import DaemonSupport
internal import Glibc
internal import HostSystem

/// The folder of a demonstration, and the link by which `--demo` finds it.
enum DemoLink {
    /// Has `DemoFolder.path` lead to a demonstration, unless another one runs there.
    ///
    /// - Returns: whether it does.
    static func make(to folder: String) async -> Bool {
        let link = DemoFolder.path
        if let other = DemoFolder.target {
            let client = AdminClient(path: DemoFolder.socket(in: other, isCloud: true))
            if (try? await client.get("/healthz")) != nil { return false }
            // Of one that was killed: keys that nobody needs any more.
            if isAbandoned(other) { remove(other) }
        }
        let temporary = "\(folder)/run/link"
        unsafe unlink(temporary)
        guard unsafe symlink(folder, temporary) == 0 else { return false }
        // In a folder where anybody may write, nobody but the owner can exchange what is there.
        guard unsafe rename(temporary, link) == 0 else {
            unsafe unlink(temporary)
            return false
        }
        return true
    }

    static func unmake(_ folder: String) {
        if DemoFolder.target == folder { _ = unsafe unlink(DemoFolder.path) }
    }

    /// A folder that nobody else can read. In /tmp whatever TMPDIR says: the path of a socket has 107 bytes at most.
    static func temporaryFolder() throws -> String {
        var template = Array("\(prefix)XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw FileError("make", "a folder in /tmp") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let descriptor = unsafe open("\(folder)/\(mark)", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        // Held until the process ends, however it does.
        guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else { throw FileError("lock", "\(folder)/\(mark)") }
        return folder
    }

    private static let prefix = "/tmp/connectord-"
    /// In a folder that goes with its demonstration.
    private static let mark = "temporary"

    /// Whether the process has ended that the folder should have gone with: it holds a lock as long as it lives, so one that
    /// is only just starting is left alone.
    private static func isAbandoned(_ folder: String) -> Bool {
        guard folder.hasPrefix(prefix) else { return false }
        let descriptor = unsafe open("\(folder)/\(mark)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) == 0
    }

    /// Makes it, unless it is there.
    static func absolute(_ path: String) throws(FileError) -> String {
        try PrivateFile.makeFolder(path)
        guard let real = unsafe realpath(path, nil) else { throw FileError("find", path) }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    /// Removes a folder with all that is in it; links are not followed.
    static func remove(_ folder: String) {
        for name in Folder.names(folder) where unsafe unlink("\(folder)/\(name)") != 0 { remove("\(folder)/\(name)") }
        for name in [".metadata.json"] { _ = unsafe unlink("\(folder)/\(name)") }
        unsafe rmdir(folder)
    }

    /// A port that nobody listens on now.
    static func freePort() -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = unsafe bind(descriptor, generic, length)
                _ = unsafe getsockname(descriptor, generic, &length)
            }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
