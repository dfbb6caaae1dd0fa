import Testing

@testable import Kerberos

@Suite struct KerberosNameTests {
    @Test(
        arguments: [
            ("jdoe", "jdoe@CORP.TEST", false),
            ("jdoe@CORP.TEST", "jdoe@CORP.TEST", false),
            // An address of the directory, which only the KDC can tell.
            ("jdoe@corp.test", "jdoe\\@corp.test@CORP.TEST", true),
            ("HTTP/erp.corp", "HTTP\\/erp.corp@CORP.TEST", false),
            ("a\\b", "a\\\\b@CORP.TEST", false),
            ("a@b@CORP.TEST", "a\\@b@CORP.TEST", false),
        ]
    )
    func `A user's name is one component, whatever it contains`(name: String, text: String, isEnterprise: Bool) {
        let user = KerberosName.user(name, realm: "CORP.TEST")
        #expect(user.text == text && user.isEnterprise == isEnterprise)
    }

    @Test func `A service has its host as a component of its own`() {
        #expect(KerberosName.service("HTTP/erp.corp", realm: "CORP.TEST") == "HTTP/erp.corp@CORP.TEST")
        #expect(KerberosName.service("HTTP/a@b", realm: "CORP.TEST") == "HTTP/a\\@b@CORP.TEST")
    }

    @Test(arguments: [("CORP.TEST", true), ("", false), ("A B", false), ("A}", false), ("A/B", false), ("É", false)])
    func `A realm can stand in a configuration`(text: String, isGood: Bool) {
        #expect(KerberosConfiguration.isRealm(text) == isGood)
    }

    @Test func `What the library reads names the hosts of each realm, and leaves to DNS those without`() {
        let text = KerberosProfile.text([("A.TEST", ["kdc1", "kdc2:750"]), ("B.TEST", [])])
        #expect(text.contains("default_realm = A.TEST"))
        #expect(text.contains("  A.TEST = {\n    kdc = kdc1\n    kdc = kdc2:750\n  }*\n"))
        #expect(!text.contains("B.TEST"))
    }

    @Test func `A token is framed as the first message of SPNEGO, whatever its length`() {
        let short = NegotiateToken.wrap([1, 2, 3])
        #expect(short[0] == 0x60 && Int(short[1]) == short.count - 2)
        #expect(short.suffix(5) == [0x04, 3, 1, 2, 3])
        let long = NegotiateToken.wrap([UInt8](repeating: 7, count: 70_000))
        #expect(long[0] == 0x60 && long[1] == 0x83)
        #expect(Int(long[2]) << 16 | Int(long[3]) << 8 | Int(long[4]) == long.count - 5)
        #expect(long[long.count - 70_005..<long.count - 70_000] == [0x04, 0x83, 0x01, 0x11, 0x70])
    }
}
