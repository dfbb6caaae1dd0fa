/// What one HTTP/1.1 head may hold. All sizes in bytes.
package struct HTTP1Limits: Sendable, Equatable {
    /// SAP's connectivity service takes lines of up to 8192 bytes.
    package var startLine: Int
    package var fieldLine: Int
    package var head: Int
    package var fields: Int

    package init(startLine: Int = 8192, fieldLine: Int = 8192, head: Int = 65536, fields: Int = 100) {
        self.startLine = startLine
        self.fieldLine = fieldLine
        self.head = head
        self.fields = fields
    }
}
