internal import CNghttp2

extension KnownField {
    fileprivate var isDifferentEachTime: Bool { self == .timing || self == .requestTag }
}

extension HTTP2Session {
    /// A field block as nghttp2 sees it.
    func withNames<Result>(
        _ block: FieldBlock,
        _ body: (UnsafePointer<nghttp2_nv>, Int) -> Result
    ) -> Result {
        let count = min(block.count, configuration.fields + 8)
        let noFlags = UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)
        // These differ from one message to the next: in the table they would push others out. Now and then one goes in for
        // its name, which the next ones need not spell out then.
        blocks &+= 1
        let noIndex = blocks % 64 == 1 ? noFlags : UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue)
        return unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(count, 1)) { names in
            for index in 0..<count {
                let name = unsafe block.name(index)
                let value = unsafe block.value(index)
                let empty = unsafe UnsafeMutablePointer(mutating: StaticString("").utf8Start)
                unsafe names.initializeElement(
                    at: index,
                    to: nghttp2_nv(
                        name: UnsafeMutablePointer(mutating: name.baseAddress!.assumingMemoryBound(to: UInt8.self)),
                        value: value.baseAddress.map {
                            unsafe UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self))
                        } ?? empty,
                        namelen: name.count,
                        valuelen: value.count,
                        flags: block.known(index).isDifferentEachTime ? noIndex : noFlags
                    )
                )
            }
            return unsafe body(names.baseAddress!, count)
        }
    }
}
