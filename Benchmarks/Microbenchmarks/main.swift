// Repeats one piece of the request path, for counting its instructions under callgrind (Benchmarks/counts.py):
//
//     Microbenchmarks policy-10 | policy-100000 | head COUNT
import AccessPolicy
import Glibc
import TunnelCore

let arguments = CommandLine.arguments
guard arguments.count == 3, let count = Int(arguments[2]) else {
    print("usage: Microbenchmarks policy-10 | policy-100000 | head COUNT")
    exit(64)
}

/// A browser's request, 12 fields.
let head = Array(
    """
    GET http://internalhost:3333/sap/opu/odata/sap/API_X/Entity(1)?$filter=x HTTP/1.1\r
    Host: internalhost:3333\r
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r
    Accept-Encoding: gzip, deflate, br\r
    Authorization: Basic dXNlcjpwYXNzd29yZC10aGF0LWlzLWxvbmc=\r
    Cookie: MYSAPSSO2=AjExMDAgAA1wb3J0YWw6dXNlcjEyM4gAE2Jhc2ljYXV0aGVudGljYXRpb24; sap-usercontext=sap-client=100\r
    Cache-Control: no-cache\r
    X-CSRF-Token: Fetch\r
    sap-client: 100\r
    sap-language: EN\r
    Connection: keep-alive\r
    \r

    """.utf8)

func systems(_ count: Int) -> AccessPolicy {
    AccessPolicy(
        systems: (0..<count).map { index in
            SystemMapping(
                virtualHost: "host\(index).example", virtualPort: 443, internalHost: "10.0.0.1", internalPort: 80,
                resources: [
                    Resource(path: "/sap/opu/odata/", access: .pathAndSubPaths),
                    Resource(path: "/sap/bc/ping", access: .pathOnly),
                ])
        })
}

func lookUp(_ policy: AccessPolicy, times: Int) -> Int {
    let host = Array("host7.example".utf8)
    let text = Array("/sap/opu/odata/sap/API_X/Entity(1)?$filter=x".utf8)
    var allowed = 0
    for _ in 0..<times {
        guard let system = policy.system(host: host.span, port: 443), let target = try? RequestTarget(text.span),
            case .allow = policy.evaluate(system: system, target: target)
        else { continue }
        allowed += 1
    }
    return allowed
}

func parse(times: Int) -> Int {
    var parser = HTTP1HeadParser(.request)
    var parsed = 0
    for _ in 0..<times {
        head.withUnsafeBytes { octets in
            if (try? parser.parse(octets)) == true, (try? parser.requestFraming(octets)) != nil { parsed += 1 }
        }
        parser.reset()
    }
    return parsed
}

let done =
    switch arguments[1] {
    case "policy-10": lookUp(systems(10), times: count)
    case "policy-100000": lookUp(systems(100_000), times: count)
    default: parse(times: count)
    }
guard done == count else { fatalError("\(done) of \(count)") }
