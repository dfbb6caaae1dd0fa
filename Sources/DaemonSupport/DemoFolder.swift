package import AdminProtocol
internal import Glibc

/// Where the demonstration of this user is found: a link to the folder that it runs in.
package enum DemoFolder {
    package static var path: String { "/tmp/connectord-demo-\(getuid())" }

    /// Where the link leads; nil where there is none, or another user has made it.
    package static var target: String? { target(of: path) }

    static func target(of path: String) -> String? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_uid == getuid(), status.st_mode & S_IFMT == S_IFLNK else {
            return nil
        }
        guard let real = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    /// The admin socket of one of its sides.
    package static func socket(in folder: String, isCloud: Bool) -> String {
        "\(folder)/run/\(isCloud ? "cloud" : "connector").sock"
    }

    /// Asks a side of the demonstration that runs.
    package static func client(isCloud: Bool) throws(AdminError) -> AdminClient {
        AdminClient(path: socket(in: try running(), isCloud: isCloud))
    }

    /// The connector's configuration file in the demonstration that runs.
    package static func connectorFile() throws(AdminError) -> String { "\(try running())/connector.conf" }

    private static func running() throws(AdminError) -> String {
        guard let target else {
            throw AdminError(
                "no demonstration of yours runs; start one with `connectord demo`, and name its folder's "
                    + "socket with --socket if another one came first"
            )
        }
        return target
    }
}
