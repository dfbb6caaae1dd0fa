#if canImport(CIPSecMB)
import COpenSSL
import NIOCore
import Testing

@testable import Cryptography

@Suite(.enabled(if: RecordCipherProvider.isLoaded, "libIPSec_MB or a processor with wide AES instructions is not here"))
struct RecordCipherTests {
    /// AES-128-GCM as OpenSSL's callers use it, of one provider.
    final class Cipher {
        let cipher: OpaquePointer?
        let context = EVP_CIPHER_CTX_new()

        init(_ query: String?) { cipher = EVP_CIPHER_fetch(nil, "AES-128-GCM", query) }

        deinit {
            EVP_CIPHER_CTX_free(context)
            EVP_CIPHER_free(cipher)
        }

        var provider: String { String(cString: OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher))) }

        func begin(_ isEncrypting: Bool, key: [UInt8]?, nonce: [UInt8]?) -> Bool {
            // With a cipher it would begin anew, without a key.
            EVP_CipherInit_ex2(context, key == nil ? nil : cipher, key, nonce, isEncrypting ? 1 : 0, nil) == 1
        }

        func authenticate(_ data: [UInt8]) -> Bool {
            var count: Int32 = 0
            return EVP_CipherUpdate(context, nil, &count, data, Int32(data.count)) == 1
        }

        /// In pieces of so many bytes, each over its input.
        func update(_ text: [UInt8], pieces: Int) -> [UInt8]? {
            var result: [UInt8] = []
            for start in stride(from: 0, to: text.count, by: pieces) {
                var piece = Array(text[start..<min(start + pieces, text.count)])
                var count: Int32 = 0
                let isDone = piece.withUnsafeMutableBufferPointer {
                    EVP_CipherUpdate(context, $0.baseAddress, &count, $0.baseAddress, Int32($0.count)) == 1
                }
                guard isDone, count == piece.count else { return nil }
                result += piece
            }
            return result
        }

        func finish() -> Bool {
            var count: Int32 = 0
            var nothing = [UInt8](repeating: 0, count: 16)
            return EVP_CipherFinal_ex(context, &nothing, &count) == 1 && count == 0
        }

        var tag: [UInt8]? {
            var tag = [UInt8](repeating: 0, count: 16)
            return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag) == 1 ? tag : nil
        }

        func expect(_ tag: [UInt8]) -> Bool {
            var tag = tag
            return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1
        }
    }

    static let key = (0..<16).map { UInt8($0 &* 11) }
    static let nonce = (0..<12).map { UInt8($0 &* 7) }

    static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

    @Test(
        "It encrypts to the byte as OpenSSL does, in whatever pieces, and each opens what the other has sealed",
        arguments: [0, 1, 15, 16, 17, 64, 1_000, 16_385, 70_001]
    )
    func sameAsOpenSSL(size: Int) throws {
        let text = Self.bytes(size)
        for (associated, pieces) in [([], max(1, size)), (Self.bytes(5), 4_096), (Self.bytes(200), 33)] {
            let (ours, theirs) = (Cipher(RecordCipherProvider.query), Cipher("provider=default"))
            #expect(ours.provider == "ipsec-mb" && theirs.provider == "default")
            var sealed: [[UInt8]] = []
            for cipher in [ours, theirs] {
                #expect(cipher.begin(true, key: Self.key, nonce: Self.nonce))
                if !associated.isEmpty { #expect(cipher.authenticate(associated)) }
                let ciphertext = try #require(cipher.update(text, pieces: pieces))
                #expect(cipher.finish())
                sealed.append(ciphertext + (try #require(cipher.tag)))
            }
            #expect(sealed[0] == sealed[1])
            for cipher in [ours, theirs] {
                #expect(cipher.begin(false, key: Self.key, nonce: Self.nonce))
                #expect(cipher.expect(Array(sealed[0].suffix(16))))
                if !associated.isEmpty { #expect(cipher.authenticate(associated)) }
                #expect(cipher.update(sealed[0].dropLast(16), pieces: pieces) == text)
                #expect(cipher.finish())
            }
        }
    }

    @Test("What was changed on its way is refused: text, associated data, tag, nonce, key, or no tag at all")
    func tampered() throws {
        let (text, associated) = (Self.bytes(100), Self.bytes(5))
        let cipher = Cipher(RecordCipherProvider.query)
        #expect(cipher.begin(true, key: Self.key, nonce: Self.nonce) && cipher.authenticate(associated))
        let sealed = try #require(cipher.update(text, pieces: 100))
        #expect(cipher.finish())
        let tag = try #require(cipher.tag)

        func opens(
            _ sealed: [UInt8],
            _ associated: [UInt8],
            _ tag: [UInt8]?,
            nonce: [UInt8] = Self.nonce,
            key: [UInt8] = Self.key
        ) -> Bool {
            guard cipher.begin(false, key: key, nonce: nonce) else { return false }
            if let tag { guard cipher.expect(tag) else { return false } }
            return cipher.authenticate(associated) && cipher.update(sealed, pieces: 100) != nil && cipher.finish()
        }
        func changed(_ bytes: [UInt8], _ index: Int) -> [UInt8] {
            var bytes = bytes
            bytes[index] ^= 1
            return bytes
        }
        #expect(opens(sealed, associated, tag))
        // That tag was for that message only.
        #expect(!opens(sealed, associated, nil))
        for index in 0..<16 { #expect(!opens(sealed, associated, changed(tag, index))) }
        for index in [0, 15, 16, 99] { #expect(!opens(changed(sealed, index), associated, tag)) }
        #expect(!opens(sealed, changed(associated, 4), tag))
        #expect(!opens(sealed, associated, tag, nonce: changed(Self.nonce, 11)))
        #expect(!opens(sealed, associated, tag, key: changed(Self.key, 0)))
        #expect(!opens(sealed, associated, Array(tag.dropLast())))
        #expect(opens(sealed, associated, tag))
    }

    @Test("A nonce serves one message, and nothing goes without one")
    func nonces() throws {
        let cipher = Cipher(RecordCipherProvider.query)
        #expect(cipher.begin(true, key: Self.key, nonce: nil))
        #expect(!cipher.authenticate([1]) && cipher.update([1], pieces: 1) == nil && !cipher.finish())
        #expect(cipher.begin(true, key: nil, nonce: Self.nonce))
        #expect(cipher.update([1], pieces: 1) != nil && cipher.finish() && cipher.tag != nil)
        #expect(cipher.update([1], pieces: 1) == nil && !cipher.finish() && !cipher.authenticate([1]))
        // Associated data comes before the text.
        #expect(cipher.begin(true, key: nil, nonce: Self.nonce) && cipher.update([1], pieces: 1) != nil)
        #expect(!cipher.authenticate([1]) && cipher.tag == nil)
    }

    @Test("Whoever does not ask for it gets OpenSSL's own cipher, with all that TLS 1.2 wants of one")
    func othersKeepTheirs() throws {
        #expect(Cipher(nil).provider == "default")
        #expect(try TLSSessionTests.client(version: .tls12).providers == nil)
    }

    @Test("A tunnel uses it, and each side understands one that does not")
    func sessions() throws {
        for (client, server) in [(true, true), (true, false), (false, true)] {
            let clientContext = try TLSSessionTests.client(version: client ? .tls13 : .tls12)
            let serverContext = try TLSSessionTests.server(version: server ? .tls13 : .tls12)
            #expect(clientContext.providers == (client ? RecordCipherProvider.query : nil))
            #expect(serverContext.providers == (server ? RecordCipherProvider.query : nil))
            let before = RecordCipher.count
            let outcome = try TLSSessionTests.handshake(clientContext, serverContext)
            #expect(outcome.client.version == "TLSv1.3")
            // A side has two, one for each direction. Other tests may have some, too.
            #expect(RecordCipher.count >= before + (client ? 2 : 0) + (server ? 2 : 0))
            for (sender, receiver) in [(outcome.client, outcome.server), (outcome.server, outcome.client)] {
                for size in [1, 16_384, 300_000] {
                    let sent = ByteBuffer(bytes: Self.bytes(size))
                    try sender.write(sent)
                    receiver.receive(try #require(sender.takeCiphertext()))
                    var received = ByteBuffer()
                    try receiver.read(into: &received)
                    #expect(received == sent)
                }
            }
            try outcome.client.write(ByteBuffer(string: "changed on its way"))
            var record = try #require(outcome.client.takeCiphertext())
            let last = record.writerIndex - 1
            record.setInteger(try #require(record.getInteger(at: last, as: UInt8.self)) ^ 1, at: last)
            outcome.server.receive(record)
            var received = ByteBuffer()
            #expect(throws: TLSError.self) { () throws in try outcome.server.read(into: &received) }
            #expect(received.readableBytes == 0)
        }
    }
}
#endif
