internal import CZlib

/// Unpacks what zlib's method DEFLATE has packed (RFC 1951).
enum Inflate {
    /// - Parameter size: of the result; more or less is damage.
    static func unpack(_ packed: ArraySlice<UInt8>, size: Int) -> [UInt8]? {
        var stream = unsafe z_stream()
        guard unsafe inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return nil
        }
        defer { unsafe inflateEnd(&stream) }
        var isWhole = false
        // One octet more, so that more shows.
        let result = unsafe [UInt8](unsafeUninitializedCapacity: size + 1) { output, count in
            unsafe packed.withUnsafeBufferPointer { input in
                unsafe stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                unsafe stream.avail_in = UInt32(input.count)
                unsafe stream.next_out = output.baseAddress
                unsafe stream.avail_out = UInt32(output.count)
                let status = unsafe inflate(&stream, Z_FINISH)
                count = unsafe Int(stream.total_out)
                isWhole = unsafe status == Z_STREAM_END && count == size && stream.avail_in == 0
            }
        }
        return isWhole ? result : nil
    }
}
