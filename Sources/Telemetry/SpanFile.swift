internal import Dispatch
internal import Glibc
internal import JSON
internal import Synchronization
internal import TextFormats
package import Tracing

/// A tracer that appends each span to a file, one line of OTLP/JSON each, as the file receivers of OpenTelemetry
/// collectors read it. Spans are only recorded for requests whose `traceparent` says that they are sampled.
package final class SpanFile: Tracer {
    package typealias Span = RecordedSpan

    private struct State {
        var lines: [[UInt8]] = []
        var isScheduled = false
        var dropped = 0
    }

    private let path: String
    let serviceName: String
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "spans")

    /// Lines that wait for the disk.
    private static let queueLimit = 10_000
    /// Bytes after which the file becomes `PATH.1`.
    private static let sizeLimit = 64 << 20

    package init(path: String, serviceName: String) {
        self.path = path
        self.serviceName = serviceName
    }

    package func startSpan<Instant: TracerInstant>(
        _ operationName: String,
        context: @autoclosure () -> ServiceContext,
        ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant,
        function: String,
        file fileID: String,
        line: UInt
    ) -> RecordedSpan {
        RecordedSpan(operationName, context(), kind, instant().nanosecondsSinceEpoch, self)
    }

    package func forceFlush() { flush() }

    /// Returns when everything recorded so far is written.
    package func flush() { queue.sync { write() } }

    package func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier,
        into context: inout ServiceContext,
        using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard var text = extractor.extract(key: "traceparent", from: carrier) else { return }
        context[TraceParentKey.self] = text.withUTF8 { unsafe TraceParent(UnsafeRawBufferPointer($0)) }
    }

    package func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext,
        into carrier: inout Carrier,
        using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let parent = context[TraceParentKey.self] else { return }
        let flags = parent.isSampled ? "01" : "00"
        injector.inject("00-\(parent.traceID)-\(parent.spanID)-\(flags)", forKey: "traceparent", into: &carrier)
    }

    // MARK: Writing

    func record(_ export: SpanExport) {
        let line = JSONLines.encode(export)
        let mustSchedule = state.withLock { state in
            guard state.lines.count < Self.queueLimit else {
                state.dropped += 1
                return false
            }
            state.lines.append(line)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { queue.asyncAfter(deadline: .now() + .milliseconds(200)) { [self] in write() } }
    }

    private func write() {
        let lines = state.withLock { state in
            defer { (state.lines, state.isScheduled) = ([], false) }
            return state.lines
        }
        guard !lines.isEmpty else { return }
        var information = stat()
        if unsafe stat(path, &information) == 0, information.st_size > Self.sizeLimit {
            unsafe rename(path, path + ".1")
        }
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(lines.joined())
        // What does not fit on the disk is lost: spans are samples.
        _ = unsafe Glibc.write(descriptor, bytes, bytes.count)
    }
}

/// One span of a `SpanFile`.
package final class RecordedSpan: Span {
    private struct State {
        var name: String
        var attributes: SpanAttributes = [:]
        var isError = false
        var isEnded = false
    }

    package let context: ServiceContext
    private let kind: SpanKind
    private let start: UInt64
    private let tracer: SpanFile
    private let spanID: String
    private let parent: TraceParent?
    private let state: Mutex<State>

    init(_ name: String, _ context: ServiceContext, _ kind: SpanKind, _ start: UInt64, _ tracer: SpanFile) {
        let spanID = Hexadecimal.text((0..<8).map { _ in UInt8.random(in: 0 ... .max) })
        let parent = context[TraceParentKey.self]
        var context = context
        context[TraceParentKey.self]?.spanID = spanID
        self.context = context
        self.kind = kind
        self.start = start
        self.tracer = tracer
        self.spanID = spanID
        self.parent = parent
        state = Mutex(State(name: name))
    }

    package var operationName: String {
        get { state.withLock { $0.name } }
        set { state.withLock { $0.name = newValue } }
    }
    package var attributes: SpanAttributes {
        get { state.withLock { $0.attributes } }
        set { state.withLock { $0.attributes = newValue } }
    }
    package var isRecording: Bool { parent?.isSampled ?? false }
    package func setStatus(_ status: SpanStatus) { state.withLock { $0.isError = status.code == .error } }
    package func addEvent(_ event: SpanEvent) {}
    package func addLink(_ link: SpanLink) {}
    package func recordError<Instant: TracerInstant>(
        _ error: any Error,
        attributes: SpanAttributes,
        at instant: @autoclosure () -> Instant
    ) { state.withLock { $0.isError = true } }

    package func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let end = instant().nanosecondsSinceEpoch
        let copy = state.withLock { state -> State? in
            guard !state.isEnded else { return nil }
            state.isEnded = true
            return state
        }
        guard let copy, let parent, parent.isSampled else { return }
        var attributes: [SpanExport.Attribute] = []
        copy.attributes.forEach { key, value in attributes.append(SpanExport.Attribute(key, value)) }
        let span = SpanExport.Span(
            traceId: parent.traceID,
            spanId: spanID,
            parentSpanId: parent.spanID,
            name: copy.name,
            kind: kind == .server ? 2 : kind == .client ? 3 : 1,
            startTimeUnixNano: String(start),
            endTimeUnixNano: String(end),
            attributes: attributes.sorted { $0.key < $1.key },
            status: .init(code: copy.isError ? 2 : 0)
        )
        tracer.record(SpanExport(span, service: tracer.serviceName))
    }
}

/// The JSON form of OTLP's ExportTraceServiceRequest, as far as it is used.
struct SpanExport: Codable, Sendable {
    struct Attribute: Codable, Sendable {
        struct Value: Codable, Sendable {
            var stringValue: String?
            var intValue: String?
        }
        var key: String
        var value: Value

        init(_ key: String, _ attribute: SpanAttribute) {
            self.key = key
            switch attribute {
            case .int64(let number): value = Value(intValue: String(number))
            case .int32(let number): value = Value(intValue: String(number))
            case .string(let text): value = Value(stringValue: text)
            default: value = Value(stringValue: "\(attribute)")
            }
        }

        init(_ key: String, _ text: String) {
            self.key = key
            value = Value(stringValue: text)
        }
    }

    struct Status: Codable, Sendable { var code: Int }

    struct Span: Codable, Sendable {
        var traceId: String
        var spanId: String
        var parentSpanId: String
        var name: String
        var kind: Int
        var startTimeUnixNano: String
        var endTimeUnixNano: String
        var attributes: [Attribute]
        var status: Status
    }

    struct Scope: Codable, Sendable { var name: String }
    struct ScopeSpans: Codable, Sendable {
        var scope: Scope
        var spans: [Span]
    }
    struct Resource: Codable, Sendable { var attributes: [Attribute] }
    struct ResourceSpans: Codable, Sendable {
        var resource: Resource
        var scopeSpans: [ScopeSpans]
    }
    var resourceSpans: [ResourceSpans]

    init(_ span: Span, service: String) {
        resourceSpans = [
            ResourceSpans(
                resource: Resource(attributes: [Attribute("service.name", service)]),
                scopeSpans: [ScopeSpans(scope: Scope(name: "connectord"), spans: [span])]
            )
        ]
    }
}
