import Cryptography
import Glibc
import NIOCore
import Testing

@testable import Networking

/// The words suit whoever connects to whom.
struct ConnectionErrorTests {
    @Test(
        "What the system says has words and a token of RFC 9209",
        arguments: [
            (ECONNREFUSED, "connection refused", "connection_refused"),
            (EHOSTUNREACH, "no route to the host", "destination_ip_unroutable"),
            (ENETUNREACH, "no route to the host", "destination_ip_unroutable"),
            (ETIMEDOUT, "connection timed out", "connection_timeout"),
            (EMFILE, "this process has no file descriptors left", "connection_limit_reached"),
            (EPIPE, "broken pipe", "destination_unavailable"),
        ]
    )
    func system(_ number: Int32, _ cause: String, _ token: String) {
        let error = ConnectionError(IOError(errnoCode: number, reason: "connect"))
        #expect(error.cause == cause && "\(error.proxyStatus)" == token && !error.isTLS)
    }

    @Test(
        "Nothing names an internal host: the caller may be dialling the service",
        arguments: [EHOSTUNREACH, ENETUNREACH, EMFILE]
    )
    func neutral(_ number: Int32) {
        let cause = ConnectionError(IOError(errnoCode: number, reason: "connect")).cause
        #expect(!cause.contains("internal") && !cause.contains("connector"))
    }

    @Test("A limit that passed says how long it was")
    func timeout() {
        let error = ConnectionError(ChannelError.connectTimeout(.seconds(7)))
        #expect(error.cause == "no connection within 7 seconds" && "\(error.proxyStatus)" == "connection_timeout")
    }

    @Test("TLS speaks for itself, and says so")
    func tls() {
        let error = ConnectionError(TLSError(.peerName, "the certificate is for another name"))
        #expect(error.isTLS && error.cause == "the certificate is for another name")
        #expect("\(error.proxyStatus)" == "tls_certificate_error")
    }

    @Test("What it is already stays what it is")
    func twice() {
        let first = ConnectionError(TLSError(.truncated, "cut"))
        let second = ConnectionError(first)
        #expect(second.cause == first.cause && second.isTLS)
    }

    private struct Other: Error, CustomStringConvertible { var description: String { "something else" } }

    @Test("Any other error is its own words")
    func other() {
        #expect(ConnectionError(Other()).cause == "something else")
    }

    @Test("Addresses are tried in turn, the preferred kind first, all of them once")
    func interleaved() throws {
        func address(_ text: String) throws -> SocketAddress { try SocketAddress(ipAddress: text, port: 1) }
        let six = try (1...3).map { try address("2001:db8::\($0)") }
        let four = try [address("10.0.0.1")]
        #expect(AddressResolver.interleaved(six + four) == [six[0], four[0], six[1], six[2]])
        #expect(AddressResolver.interleaved(four + six) == [four[0], six[0], six[1], six[2]])
        #expect(AddressResolver.interleaved([]).isEmpty)
    }

    @Test("A name that does not exist is named")
    func unresolved() {
        #expect {
            try AddressResolver.lookUp("does-not-exist.invalid", 1)
        } throws: { "\($0)".hasPrefix("the name does-not-exist.invalid cannot be resolved: ") }
    }

    @Test("Addresses in logs have brackets where they need them")
    func text() throws {
        #expect(try SocketAddress(ipAddress: "::1", port: 80).text == "[::1]:80")
        #expect(try SocketAddress(ipAddress: "10.0.0.1", port: 80).text == "10.0.0.1:80")
        #expect(try SocketAddress(unixDomainSocketPath: "/tmp/x").text == "/tmp/x")
    }
}
