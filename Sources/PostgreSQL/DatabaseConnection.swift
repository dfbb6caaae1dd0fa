internal import CPostgres
internal import Glibc

/// One connection to PostgreSQL through libpq. It blocks, so it is never used on an event loop that carries traffic; and it is one thread's
/// at a time.
@safe package final class DatabaseConnection {
    private let handle: OpaquePointer

    /// Logs on.
    package init(_ address: DatabaseAddress) throws(DatabaseError) {
        let parameters = address.parameters
        let connection = unsafe Self.withTexts(parameters.map { Optional($0.0) } + [nil]) { names in
            unsafe Self.withTexts(parameters.map { Optional($0.1) } + [nil]) { values in
                unsafe PQconnectdbParams(names.baseAddress, values.baseAddress, 1)
            }
        }
        guard let handle = unsafe connection else { throw DatabaseError(isAway: true, "out of memory") }
        unsafe self.handle = unsafe handle
        // What it has to say beside its answers would go to standard error.
        unsafe PQsetNoticeProcessor(handle, { _, _ in }, nil)
        guard unsafe PQstatus(handle) == CONNECTION_OK else { throw DatabaseError(isAway: true, lastError) }
        // Milliseconds.
        try run("SET statement_timeout = 10000")
        try run("SET lock_timeout = 5000")
    }

    deinit { unsafe PQfinish(handle) }

    private var lastError: String { Self.text(unsafe String(cString: PQerrorMessage(handle))) }

    /// One line without its end.
    private static func text(_ message: String) -> String {
        message.split(whereSeparator: \.isNewline)
            .map { $0.split { $0 == "\t" || $0 == " " }.joined(separator: " ") }.joined(separator: "; ")
    }

    /// Rows of values as text; nil for NULL.
    ///
    /// - Parameters:
    ///   - statement: with `$1`, `$2`… for the values, which are never a part of its text.
    @discardableResult
    package func run(_ statement: String, _ values: [String?] = []) throws(DatabaseError) -> [[String?]] {
        let result = unsafe Self.withTexts(values) { values in
            unsafe PQexecParams(handle, statement, Int32(values.count), nil, values.baseAddress, nil, nil, 0)
        }
        defer { unsafe PQclear(result) }
        switch unsafe PQresultStatus(result) {
        case PGRES_TUPLES_OK: return unsafe rows(result)
        case PGRES_COMMAND_OK: return []
        default:
            let isAway = unsafe PQstatus(handle) != CONNECTION_OK
            let state = unsafe CPostgres_sqlstate(result).map { unsafe String(cString: $0) } ?? ""
            // A server that shuts down, or that takes no changes any more, is as good as away.
            let isLeaving = state.hasPrefix("57P") || state == "25006"
            throw DatabaseError(isAway: isAway || isLeaving, state: state, lastError)
        }
    }

    /// All of it, or nothing.
    package func transaction<Result>(_ body: () throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
        try run("BEGIN")
        do throws(DatabaseError) {
            let result = try body()
            try run("COMMIT")
            return result
        } catch {
            _ = try? run("ROLLBACK")
            throw error
        }
    }

    private func rows(_ result: OpaquePointer?) -> [[String?]] {
        unsafe (0..<PQntuples(result)).map { row in
            unsafe (0..<PQnfields(result)).map { column in
                unsafe PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
            }
        }
    }

    // MARK: Notifications

    /// Waits for somebody to say `NOTIFY`.
    ///
    /// - Returns: what was said, each text once; empty where nobody said anything.
    /// - Throws: where the connection is gone.
    package func waitForNotifications(milliseconds: Int32) throws(DatabaseError) -> Set<String> {
        var descriptor = pollfd(fd: unsafe PQsocket(handle), events: Int16(POLLIN), revents: 0)
        guard descriptor.fd >= 0 else { throw DatabaseError(isAway: true, lastError) }
        _ = unsafe poll(&descriptor, 1, milliseconds)
        guard unsafe PQconsumeInput(handle) == 1 else { throw DatabaseError(isAway: true, lastError) }
        var said: Set<String> = []
        while let notification = unsafe PQnotifies(handle) {
            if let text = unsafe notification.pointee.extra { said.insert(unsafe String(cString: text)) }
            unsafe PQfreemem(notification)
        }
        return said
    }

    // MARK: What libpq wants

    private static func withTexts<Result>(
        _ texts: [String?],
        _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = unsafe texts.map { text in unsafe text.flatMap { unsafe strdup($0) } }
        defer { unsafe copies.forEach { unsafe free($0) } }
        let pointers = unsafe copies.map { unsafe UnsafePointer($0) }
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0) }
    }
}
