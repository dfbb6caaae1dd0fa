// connectord-fuzz TARGET [libFuzzer's options and folders]: see dev/fuzz.sh.
internal import CFuzzer
internal import FuzzTargets
internal import Glibc

// libFuzzer starts itself again for a merge, with options only; then the environment names the target.
let variable = "CONNECTOR_FUZZ_TARGET"
let named = CommandLine.arguments.dropFirst().first.flatMap { FuzzTarget(rawValue: $0) }
let inherited = getenv(variable).flatMap { FuzzTarget(rawValue: String(cString: $0)) }
guard let chosen = named ?? inherited else {
    print("usage: connectord-fuzz TARGET …; targets: \(FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))")
    exit(64)
}
setenv(variable, chosen.rawValue, 1)
/// Read by the callback, which can capture nothing.
nonisolated(unsafe) var target = chosen

let arguments = [CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(named == nil ? 1 : 2)
var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
var count = Int32(pointers.count)
pointers.append(nil)
pointers.withUnsafeMutableBufferPointer { buffer in
    var base = buffer.baseAddress
    let status = LLVMFuzzerRunDriver(&count, &base) { data, size in
        target.run(UnsafeRawBufferPointer(start: data, count: size))
        return 0
    }
    exit(status)
}
