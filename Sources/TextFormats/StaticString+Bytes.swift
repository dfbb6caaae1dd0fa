extension StaticString {
    /// The bytes, which live as long as the process.
    @inline(__always)
    @inlinable
    package var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}
