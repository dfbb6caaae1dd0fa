internal import Cryptography
internal import TextFormats

/// The fields of one message on their way into or out of the tunnel: names and values in one piece of memory.
///
/// One block serves all messages of a connection in turn, so that a request allocates nothing for its fields. Names are
/// lower case (RFC 9113 section 8.2). Pseudo-fields come first, as their names begin with ":".
@safe package final class FieldBlock {
    package struct Entry {
        var nameStart: Int
        var nameLength: Int
        var valueLength: Int
        package var known: KnownField
    }

    package private(set) var count = 0
    /// Bytes of all names and values, with 32 more for each field as RFC 9113 section 6.5.2 counts them.
    package private(set) var size = 0

    private var storage: UnsafeMutableRawPointer
    private var capacity: Int
    private var used = 0
    private var entries: UnsafeMutablePointer<Entry>
    private var entryCapacity: Int

    package init(capacity: Int = 4096, fields: Int = 64) {
        self.capacity = capacity
        unsafe self.storage = .allocate(byteCount: capacity, alignment: 16)
        self.entryCapacity = fields
        unsafe self.entries = .allocate(capacity: fields)
    }

    deinit {
        unsafe storage.deallocate()
        unsafe entries.deallocate()
    }

    /// Empties it; its memory stays for the next block.
    package func removeAll() {
        count = 0
        used = 0
        size = 0
    }

    /// Empties it, and gives back what only an unusual message needed.
    package func shrink() {
        removeAll()
        guard capacity > Self.usualCapacity || entryCapacity > Self.usualFields else { return }
        unsafe storage.deallocate()
        unsafe entries.deallocate()
        (capacity, entryCapacity) = (Self.usualCapacity, Self.usualFields)
        unsafe storage = .allocate(byteCount: capacity, alignment: 16)
        unsafe entries = .allocate(capacity: entryCapacity)
    }

    private static let usualCapacity = 2048
    private static let usualFields = 32

    /// Copies a field in. The name is made lower case.
    package func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, known: KnownField = .other) {
        let target = unsafe reserve(name.count + value.count)
        unsafe Bytes.copyLowercased(name, to: target)
        unsafe add(name.count, value, known, target)
    }

    /// As `append`, for names that are lower case already, such as those from HTTP/2.
    package func append(
        lowercase name: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        known: KnownField
    ) {
        let target = unsafe reserve(name.count + value.count)
        if let source = name.baseAddress { unsafe target.copyMemory(from: source, byteCount: name.count) }
        unsafe add(name.count, value, known, target)
    }

    @inline(__always)
    private func reserve(_ bytes: Int) -> UnsafeMutableRawPointer {
        if used + bytes > capacity { grow(by: bytes) }
        if count == entryCapacity { growEntries() }
        return unsafe storage + used
    }

    @inline(__always)
    private func add(
        _ nameLength: Int,
        _ value: UnsafeRawBufferPointer,
        _ known: KnownField,
        _ target: UnsafeMutableRawPointer
    ) {
        if let source = value.baseAddress {
            unsafe (target + nameLength).copyMemory(from: source, byteCount: value.count)
        }
        unsafe (entries + count).initialize(
            to: Entry(nameStart: used, nameLength: nameLength, valueLength: value.count, known: known)
        )
        count += 1
        used += nameLength + value.count
        size += nameLength + value.count + 32
    }

    /// Adds a field under a name of ours, in lower case as HTTP/2 demands (RFC 9113 section 8.2.1).
    package func append(_ name: StaticString, _ value: UnsafeRawBufferPointer, known: KnownField = .other) {
        unsafe append(lowercase: name.bytes, value, known: known)
    }

    /// Adds a field of ours.
    package func append(_ name: StaticString, _ value: StaticString) {
        unsafe append(lowercase: name.bytes, value.bytes, known: .other)
    }

    /// Adds a field of ours; the value must be fit for a field.
    package func append(_ name: StaticString, _ value: String) {
        var value = value
        value.withUTF8 { unsafe append(lowercase: name.bytes, UnsafeRawBufferPointer($0), known: .other) }
    }

    /// Adds a field of ours with a decimal number.
    package func append(_ name: StaticString, _ number: Int) {
        unsafe withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { buffer in
            var writer = unsafe HeadWriter(buffer.baseAddress!)
            unsafe writer.decimal(number)
            let value = unsafe UnsafeRawBufferPointer(start: buffer.baseAddress, count: writer.count)
            unsafe append(lowercase: name.bytes, value, known: KnownField.identify(name.bytes).field)
        }
    }

    /// A status as the pseudo-field `:status` (RFC 9113 section 8.3.2).
    package func append(status: UInt16) {
        unsafe withUnsafeTemporaryAllocation(byteCount: 3, alignment: 1) { digits in
            unsafe digits[0] = UInt8(ascii: "0") + UInt8(status / 100)
            unsafe digits[1] = UInt8(ascii: "0") + UInt8(status / 10 % 10)
            unsafe digits[2] = UInt8(ascii: "0") + UInt8(status % 10)
            unsafe append(":status", UnsafeRawBufferPointer(digits))
        }
    }

    /// For the connector, and for both logs.
    package func append(_ id: RequestID) {
        unsafe withUnsafeTemporaryAllocation(byteCount: RequestID.capacity, alignment: 8) { buffer in
            let count = unsafe id.write(to: buffer.baseAddress!)
            let value = unsafe UnsafeRawBufferPointer(start: buffer.baseAddress, count: count)
            unsafe append("sap-connectivity-request-id", value, known: .requestTag)
        }
    }

    /// What a request spent on connecting to the internal host and on waiting for it, in microseconds.
    package func append(timing connect: Int64, _ backend: Int64) {
        unsafe withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { buffer in
            var writer = unsafe HeadWriter(buffer.baseAddress!)
            unsafe writer.decimal(Int(max(connect, 0)))
            unsafe writer.write(" ")
            unsafe writer.decimal(Int(max(backend, 0)))
            let value = unsafe UnsafeRawBufferPointer(start: buffer.baseAddress, count: writer.count)
            unsafe append("sap-connectivity-time", value, known: .timing)
        }
    }

    /// As `append`, of a value that is folded over lines: a line break is a space (RFC 9112 section 5.2).
    package func append(folded name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, known: KnownField) {
        unsafe append(name, value, known: known)
        let copy = unsafe storage + used - value.count
        for index in 0..<value.count {
            let byte = unsafe copy.load(fromByteOffset: index, as: UInt8.self)
            if byte == Bytes.cr || byte == Bytes.lf {
                unsafe copy.storeBytes(of: Bytes.space, toByteOffset: index, as: UInt8.self)
            }
        }
    }

    /// Valid until the block is changed.
    package func name(_ index: Int) -> UnsafeRawBufferPointer {
        precondition(index < count)
        return unsafe UnsafeRawBufferPointer(
            start: storage + entries[index].nameStart,
            count: entries[index].nameLength
        )
    }

    /// Valid until the block is changed.
    package func value(_ index: Int) -> UnsafeRawBufferPointer {
        precondition(index < count)
        let entry = unsafe entries[index]
        return unsafe UnsafeRawBufferPointer(
            start: storage + entry.nameStart + entry.nameLength,
            count: entry.valueLength
        )
    }

    /// What a field is, looked up once when it was added.
    package func known(_ index: Int) -> KnownField {
        precondition(index < count)
        return unsafe entries[index].known
    }

    /// The value of the first field of this name, as text. For what is off the request path.
    package func text(_ name: StaticString) -> String? {
        for index in 0..<count where unsafe Bytes.equals(self.name(index), name) {
            return unsafe String(decoding: value(index), as: UTF8.self)
        }
        return nil
    }

    /// Whether there is a field of this kind.
    package func contains(_ known: KnownField) -> Bool {
        for index in 0..<count where self.known(index) == known { return true }
        return false
    }

    /// An independent copy, for another event loop.
    package func copy() -> FieldBlock {
        let other = FieldBlock(capacity: max(used, 64), fields: max(count, 1))
        for index in 0..<count { unsafe other.append(name(index), value(index), known: known(index)) }
        return other
    }

    private func grow(by bytes: Int) {
        let newCapacity = max(capacity * 2, used + bytes)
        let new = UnsafeMutableRawPointer.allocate(byteCount: newCapacity, alignment: 16)
        unsafe new.copyMemory(from: storage, byteCount: used)
        unsafe storage.deallocate()
        unsafe storage = unsafe new
        capacity = newCapacity
    }

    private func growEntries() {
        let new = UnsafeMutablePointer<Entry>.allocate(capacity: entryCapacity * 2)
        unsafe new.moveInitialize(from: entries, count: count)
        unsafe entries.deallocate()
        unsafe entries = unsafe new
        entryCapacity *= 2
    }
}
