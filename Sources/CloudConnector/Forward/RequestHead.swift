internal import AccessPolicy
internal import Cryptography
internal import NIOCore
internal import TunnelCore

/// Writes a request as the internal host gets it.
enum RequestHead {
    /// The target comes from the permit: what was decided on is what is sent, byte for byte.
    static func write(
        _ fields: FieldBlock,
        _ request: RequestSummary,
        _ permit: Permit,
        isEnd: Bool,
        webSocketKey: String? = nil,
        user: UserField = .absent,
        reserved: [UserAuthentication] = [],
        to output: inout OutputBuffer
    ) {
        let internalAuthority = permit.system.internalAuthority
        let capacity =
            unsafe fields.size + permit.target.bytes.count + request.authority.count * 2 + internalAuthority.count
            + 256 + user.size(permit.system.authentication)
        unsafe output.write(upTo: capacity) { start in
            var writer = unsafe HeadWriter(start)
            if webSocketKey == nil { unsafe writer.write(request.method) } else { unsafe writer.write("GET") }
            unsafe writer.write(" ")
            unsafe permit.target.bytes.withUnsafeBytes { unsafe writer.write($0) }
            unsafe writer.write(" HTTP/1.1\r\nHost: ")
            switch permit.system.hostInHeader {
            case .virtual:
                unsafe writer.write(request.authority)
            case .internal:
                unsafe internalAuthority.withUnsafeBytes { unsafe writer.write($0) }
                unsafe writer.write("\r\nX-Forwarded-Host: ")
                unsafe writer.write(request.authority)
            }
            unsafe writer.write("\r\n")
            unsafe write(fields, permit.system, reserved, isAuthorized: user.isAuthorization, &writer)
            unsafe user.write(permit.system.authentication, &writer)
            if var key = webSocketKey {
                unsafe writer.write("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ")
                key.withUTF8 { unsafe writer.write(UnsafeRawBufferPointer($0)) }
                unsafe writer.write("\r\n")
            } else if !isEnd, !request.hasContentLength {
                unsafe writer.write("Transfer-Encoding: chunked\r\n")
            }
            unsafe writer.write("\r\n")
            return unsafe writer.count
        }
    }
}

extension RequestHead {
    private static func write(
        _ fields: FieldBlock,
        _ system: SystemMapping,
        _ reserved: [UserAuthentication],
        isAuthorized: Bool,
        _ writer: inout HeadWriter
    ) {
        var hasCookies = false
        for index in 0..<fields.count {
            let known = fields.known(index)
            guard known.isForwardedInRequest || known.tellsOfProxies && mayTell(known, system) else { continue }
            let name = unsafe fields.name(index)
            if unsafe name.first == UInt8(ascii: ":") { continue }
            if known == .authorization, isAuthorized { continue }
            // A field by which users arrive is ours to say.
            if case .other = known, !reserved.isEmpty, reserved.contains(where: { unsafe $0.names(name) }) {
                continue
            }
            if known == .cookie {
                if !hasCookies { unsafe writeCookies(fields, from: index, &writer) }
                hasCookies = true
                continue
            }
            unsafe writer.capitalized(name)
            unsafe writer.write(": ")
            unsafe writer.write(fields.value(index))
            unsafe writer.write("\r\n")
        }
    }

    /// Where the internal host gets its own name as host, `X-Forwarded-Host` is ours to say.
    private static func mayTell(_ field: KnownField, _ system: SystemMapping) -> Bool {
        system.forwardedHeaders == .pass && !(field == .forwardedHost && system.hostInHeader == .internal)
    }

    /// HTTP/2 may split `Cookie`, HTTP/1.1 may not (RFC 9113 section 8.2.3).
    private static func writeCookies(_ fields: FieldBlock, from first: Int, _ writer: inout HeadWriter) {
        unsafe writer.write("Cookie: ")
        unsafe writer.write(fields.value(first))
        for index in (first + 1)..<max(fields.count, first + 1) where fields.known(index) == .cookie {
            unsafe writer.write("; ")
            unsafe writer.write(fields.value(index))
        }
        unsafe writer.write("\r\n")
    }
}

extension HeadWriter {
    /// A field name from HTTP/2 in the capitals that HTTP/1.1 is used to. Names have no case (RFC 9110 section 5.1), but
    /// there are servers in factories and old libraries that compare them as they stand.
    fileprivate mutating func capitalized(_ name: UnsafeRawBufferPointer) {
        switch name.count {
        case 3 where unsafe Bytes.equals(name, "dnt"): return unsafe write("DNT")
        case 10 where unsafe Bytes.equals(name, "soapaction"): return unsafe write("SOAPAction")
        case 11 where unsafe Bytes.equals(name, "content-md5"): return unsafe write("Content-MD5")
        case 14... where unsafe name[4] == UInt8(ascii: "w") && Bytes.hasPrefix(name, "sec-websocket-"):
            unsafe write("Sec-WebSocket-")
            return unsafe capitalized(UnsafeRawBufferPointer(rebasing: name[14...]))
        case 12 where unsafe Bytes.equals(name, "x-csrf-token"): return unsafe write("X-CSRF-Token")
        case 12 where unsafe Bytes.equals(name, "mime-version"): return unsafe write("MIME-Version")
        default: break
        }
        let target = unsafe start + count
        unsafe write(name)
        var isFirst = true
        for index in 0..<name.count {
            let byte = unsafe name[index]
            if isFirst, byte &- UInt8(ascii: "a") < 26 {
                unsafe target.storeBytes(of: byte & 0xDF, toByteOffset: index, as: UInt8.self)
            }
            isFirst = byte == UInt8(ascii: "-")
        }
    }
}

/// Frames a request body of unknown length (RFC 9112 section 7.1).
enum BodyWriter {
    static func write(_ body: UnsafeRawBufferPointer, isChunked: Bool, to buffer: inout ByteBuffer) {
        if isChunked { writeChunkSize(body.count, to: &buffer) }
        unsafe buffer.writeBytes(body)
        if isChunked { buffer.writeStaticString("\r\n") }
    }

    private static func writeChunkSize(_ size: Int, to buffer: inout ByteBuffer) {
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 20) { target in
            var writer = unsafe HeadWriter(target.baseAddress!)
            unsafe writer.hexadecimal(size)
            unsafe writer.write("\r\n")
            return unsafe writer.count
        }
    }

    static func finish(_ trailers: FieldBlock?, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("0\r\n")
        if let trailers {
            for index in 0..<trailers.count where trailers.known(index).isForwardedInTrailers {
                let name = unsafe trailers.name(index)
                guard unsafe name.first != UInt8(ascii: ":") else { continue }
                unsafe buffer.writeBytes(name)
                buffer.writeStaticString(": ")
                unsafe buffer.writeBytes(trailers.value(index))
                buffer.writeStaticString("\r\n")
            }
        }
        buffer.writeStaticString("\r\n")
    }
}
