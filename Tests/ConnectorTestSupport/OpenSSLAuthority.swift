package import Foundation

/// A company's authority, as OpenSSL's command line has it, in the folder of a test.
package struct OpenSSLAuthority {
    private let folder: URL

    package init(_ folder: URL) throws {
        self.folder = folder
        try openssl(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=Root",
            "-keyout",
            "root.key",
            "-out",
            "root.pem"
        )
    }

    /// Writes answer.pem.
    ///
    /// - Parameter extensions: as in OpenSSL's configuration.
    package func sign(_ request: String, _ extensions: String) throws {
        try extensions.write(to: folder.appending(path: "extensions"), atomically: true, encoding: .utf8)
        try openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-days",
            "2",
            "-extfile",
            "extensions",
            "-out",
            "answer.pem"
        )
    }

    private func openssl(_ arguments: String...) throws {
        let made = try Rig.run(URL(filePath: "/usr/bin/openssl"), arguments, folder)
        guard made.status == 0 else { throw RigError(made.output) }
    }
}
