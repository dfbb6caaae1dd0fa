import Cryptography
import Testing

struct PasswordHashTests {
    @Test("A password is known by its hash, which never comes out twice the same")
    func hashes() throws {
        let hash = try PasswordHash(password: "correct horse")
        #expect(hash.matches("correct horse") && !hash.matches("correct horsf") && !hash.matches(""))
        #expect(try hash != PasswordHash(password: "correct horse"))
        #expect(PasswordHash(text: hash.text).matches("correct horse"))
    }

    @Test("RFC 7914's example is reproduced, as far as its 64 bytes are kept")
    func example() {
        // Section 12: N = 16384, r = 8, p = 1, "pleaseletmein" and "SodiumChloride", the first 32 bytes.
        let kept = PasswordHash(text: "scrypt$14$8$1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046_2o-7qQT44-qbVD9lRdofI")
        #expect(kept.matches("pleaseletmein") && !kept.matches("pleaseletmeout"))
    }

    @Test(
        "What nobody has made here matches nothing",
        arguments: [
            "", "scrypt", "scrypt$15$8$1$$", "scrypt$60$8$1$AAAA$AAAA", "scrypt$15$8$99$AAAA$AAAA", "plain$x", "$$$$$",
            "scrypt$-1$8$1$AAAA$AAAA",
        ]
    )
    func damaged(_ text: String) { #expect(!PasswordHash(text: text).matches("")) }
}

struct SecretBoxTests {
    @Test("What is sealed opens with its password, and with no other nor after a change")
    func boxes() throws {
        let key = try SecretBox.Key(password: "pass")
        let text = Array("a private key".utf8)
        let sealed = try SecretBox.seal(text, key)
        #expect(try sealed != SecretBox.seal(text, key), "never twice the same")
        var known: [[UInt8]: SecretBox.Key] = [:]
        #expect(try SecretBox.open(sealed, password: "pass", known: &known) == text && known.count == 1)
        #expect(try SecretBox.open(SecretBox.seal([], key), password: "pass", known: &known) == [])
        for index in stride(from: 0, to: sealed.count, by: 3) where !(4..<20).contains(index) {
            var changed = sealed
            changed[index] ^= 1
            #expect(try SecretBox.open(changed, password: "pass", known: &known) == nil)
        }
        for count in [0, 3, 20, 47] {
            #expect(try SecretBox.open(Array(sealed.prefix(count)), password: "pass", known: &known) == nil)
        }
        var others: [[UInt8]: SecretBox.Key] = [:]
        #expect(try SecretBox.open(sealed, password: "word", known: &others) == nil)
    }
}
