internal import AccessPolicy
internal import NIOCore
internal import TunnelCore

/// Writes a request as the internal host gets it.
enum RequestHead {
    /// The target comes from the permit: what was decided on is what is sent, octet for octet.
    static func write(
        _ fields: FieldBlock,
        _ request: RequestSummary,
        _ permit: Permit,
        isEnd: Bool,
        to output: inout OutputBuffer
    ) {
        let internalAuthority = permit.system.internalAuthority
        let capacity =
            fields.size + permit.target.octets.count + request.authority.count * 2 + internalAuthority.count + 128
        output.write(upTo: capacity) { start in
            var writer = HeadWriter(start)
            writer.write(request.method)
            writer.write(" ")
            permit.target.octets.withUnsafeBytes { writer.write($0) }
            writer.write(" HTTP/1.1\r\nhost: ")
            switch permit.system.hostInHeader {
            case .virtual:
                writer.write(request.authority)
            case .internal:
                internalAuthority.withUnsafeBytes { writer.write($0) }
                writer.write("\r\nx-forwarded-host: ")
                writer.write(request.authority)
            }
            writer.write("\r\n")
            for index in 0..<fields.count {
                let known = fields.known(index)
                guard known.isForwardedInRequest else { continue }
                let name = fields.name(index)
                if name.first == UInt8(ascii: ":") { continue }
                writer.field(name, fields.value(index))
            }
            if !isEnd, !request.hasContentLength { writer.write("transfer-encoding: chunked\r\n") }
            writer.write("\r\n")
            return writer.count
        }
    }
}

/// Frames a request body of unknown length (RFC 9112 section 7.1).
enum BodyWriter {
    static func write(_ body: UnsafeRawBufferPointer, isChunked: Bool, to buffer: inout ByteBuffer) {
        if isChunked { writeChunkSize(body.count, to: &buffer) }
        buffer.writeBytes(body)
        if isChunked { buffer.writeStaticString("\r\n") }
    }

    private static func writeChunkSize(_ size: Int, to buffer: inout ByteBuffer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 20) { target in
            var writer = HeadWriter(target.baseAddress!)
            writer.hexadecimal(size)
            writer.write("\r\n")
            return writer.count
        }
    }

    static func finish(_ trailers: FieldBlock?, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("0\r\n")
        if let trailers {
            for index in 0..<trailers.count where trailers.known(index).isForwardedInTrailers {
                let name = trailers.name(index)
                guard name.first != UInt8(ascii: ":") else { continue }
                buffer.writeBytes(name)
                buffer.writeStaticString(": ")
                buffer.writeBytes(trailers.value(index))
                buffer.writeStaticString("\r\n")
            }
        }
        buffer.writeStaticString("\r\n")
    }
}
