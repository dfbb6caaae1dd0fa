/// The fields of one message on their way into or out of the tunnel: names and values in one piece of memory.
///
/// One block serves all messages of a connection in turn, so that a request allocates nothing for its fields. Names are
/// lower case (RFC 9113 section 8.2). Pseudo-fields come first, as their names begin with ":".
package final class FieldBlock {
    package struct Entry {
        var nameStart: Int
        var nameLength: Int
        var valueLength: Int
        package var known: KnownField
    }

    package private(set) var count = 0
    /// Octets of all names and values, with 32 more for each field as RFC 9113 section 6.5.2 counts them.
    package private(set) var size = 0

    private var storage: UnsafeMutableRawPointer
    private var capacity: Int
    private var used = 0
    private var entries: UnsafeMutablePointer<Entry>
    private var entryCapacity: Int

    package init(capacity: Int = 4096, fields: Int = 64) {
        self.capacity = capacity
        self.storage = .allocate(byteCount: capacity, alignment: 16)
        self.entryCapacity = fields
        self.entries = .allocate(capacity: fields)
    }

    deinit {
        storage.deallocate()
        entries.deallocate()
    }

    package func removeAll() {
        count = 0
        used = 0
        size = 0
    }

    /// Copies a field in. The name is made lower case.
    package func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, known: KnownField = .other) {
        let target = reserve(name.count + value.count)
        Octets.copyLowercased(name, to: target)
        add(name.count, value, known, target)
    }

    /// As `append`, for names that are lower case already, such as those from HTTP/2.
    package func append(
        lowercase name: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        known: KnownField
    ) {
        let target = reserve(name.count + value.count)
        if let source = name.baseAddress { target.copyMemory(from: source, byteCount: name.count) }
        add(name.count, value, known, target)
    }

    @inline(__always)
    private func reserve(_ octets: Int) -> UnsafeMutableRawPointer {
        if used + octets > capacity { grow(by: octets) }
        if count == entryCapacity { growEntries() }
        return storage + used
    }

    @inline(__always)
    private func add(
        _ nameLength: Int,
        _ value: UnsafeRawBufferPointer,
        _ known: KnownField,
        _ target: UnsafeMutableRawPointer
    ) {
        if let source = value.baseAddress { (target + nameLength).copyMemory(from: source, byteCount: value.count) }
        (entries + count).initialize(
            to: Entry(nameStart: used, nameLength: nameLength, valueLength: value.count, known: known)
        )
        count += 1
        used += nameLength + value.count
        size += nameLength + value.count + 32
    }

    package func append(_ name: StaticString, _ value: UnsafeRawBufferPointer, known: KnownField = .other) {
        append(lowercase: name.octets, value, known: known)
    }

    package func append(_ name: StaticString, _ value: StaticString) {
        append(lowercase: name.octets, value.octets, known: .other)
    }

    package func append(_ name: StaticString, _ value: String) {
        var value = value
        value.withUTF8 { append(lowercase: name.octets, UnsafeRawBufferPointer($0), known: .other) }
    }

    /// A status as the pseudo-field `:status` (RFC 9113 section 8.3.2).
    package func append(status: UInt16) {
        withUnsafeTemporaryAllocation(byteCount: 3, alignment: 1) { digits in
            digits[0] = UInt8(ascii: "0") + UInt8(status / 100)
            digits[1] = UInt8(ascii: "0") + UInt8(status / 10 % 10)
            digits[2] = UInt8(ascii: "0") + UInt8(status % 10)
            append(":status", UnsafeRawBufferPointer(digits))
        }
    }

    /// What a request spent on connecting to the internal host and on waiting for it, in microseconds.
    package func append(timing connect: Int64, _ backend: Int64) {
        withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { buffer in
            var writer = HeadWriter(buffer.baseAddress!)
            writer.decimal(Int(max(connect, 0)))
            writer.write(" ")
            writer.decimal(Int(max(backend, 0)))
            let value = UnsafeRawBufferPointer(start: buffer.baseAddress, count: writer.count)
            append("sap-connectivity-time", value, known: .timing)
        }
    }

    /// Valid until the block is changed.
    package func name(_ index: Int) -> UnsafeRawBufferPointer {
        precondition(index < count)
        return UnsafeRawBufferPointer(start: storage + entries[index].nameStart, count: entries[index].nameLength)
    }

    /// Valid until the block is changed.
    package func value(_ index: Int) -> UnsafeRawBufferPointer {
        precondition(index < count)
        let entry = entries[index]
        return UnsafeRawBufferPointer(start: storage + entry.nameStart + entry.nameLength, count: entry.valueLength)
    }

    package func known(_ index: Int) -> KnownField {
        precondition(index < count)
        return entries[index].known
    }

    /// The value of the first field of this name, as text. For what is off the request path.
    package func text(_ name: StaticString) -> String? {
        for index in 0..<count where Octets.equals(self.name(index), name) {
            return String(decoding: value(index), as: UTF8.self)
        }
        return nil
    }

    /// An independent copy, for another event loop.
    package func copy() -> FieldBlock {
        let other = FieldBlock(capacity: max(used, 64), fields: max(count, 1))
        for index in 0..<count { other.append(name(index), value(index), known: known(index)) }
        return other
    }

    private func grow(by octets: Int) {
        let newCapacity = max(capacity * 2, used + octets)
        let new = UnsafeMutableRawPointer.allocate(byteCount: newCapacity, alignment: 16)
        new.copyMemory(from: storage, byteCount: used)
        storage.deallocate()
        storage = new
        capacity = newCapacity
    }

    private func growEntries() {
        let new = UnsafeMutablePointer<Entry>.allocate(capacity: entryCapacity * 2)
        new.moveInitialize(from: entries, count: count)
        entries.deallocate()
        entries = new
        entryCapacity *= 2
    }
}
