internal import Glibc

/// For threads of one's own that have nothing else to wait for.
package enum Pause {
    package static func milliseconds(_ count: Int) { usleep(UInt32(clamping: count * 1000)) }
}
