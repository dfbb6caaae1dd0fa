/// Of the program; both sides tell each other.
package enum Version {
    package static let current = "0.3.0"
}
