/// Writes the text format of Prometheus, version 0.0.4.
///
/// All samples of one family must be written together: `family`, then its samples.
package struct Exposition: Sendable {
    /// The kind of a metric, as Prometheus names it.
    package enum Kind: String, Sendable { case counter, gauge, histogram }

    package private(set) var text = ""
    private var name = ""

    package init() {}

    /// Begins a metric; its samples follow.
    package mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// One value, with its labels.
    package mutating func sample(_ labels: KeyValuePairs<String, String> = [:], _ value: some CustomStringConvertible) {
        write(name, Self.format(labels), value.description)
    }

    /// All buckets of a histogram, in seconds.
    package mutating func histogram(_ labels: KeyValuePairs<String, String>, _ histogram: Histogram) {
        let common = Self.format(labels)
        let prefix = common.isEmpty ? "" : common + ","
        var cumulative = 0
        for (count, bound) in zip(histogram.counts, Histogram.labels) {
            cumulative += count
            write(name + "_bucket", "\(prefix)le=\"\(bound)\"", String(cumulative))
        }
        write(name + "_sum", common, String(Double(histogram.sum) / 1e9))
        write(name + "_count", common, String(histogram.count))
    }

    private mutating func write(_ name: String, _ labels: String, _ value: String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    private static func format(_ labels: KeyValuePairs<String, String>) -> String {
        labels.map { "\($0.key)=\"\(escape($0.value))\"" }.joined(separator: ",")
    }

    private static func escape(_ value: String) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
