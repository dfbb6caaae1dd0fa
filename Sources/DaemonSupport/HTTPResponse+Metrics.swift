internal import NIOHTTP1
package import Networking
package import Telemetry

extension HTTPResponse {
    /// In the text format of Prometheus, version 0.0.4.
    package static func metrics(_ exposition: Exposition) -> HTTPResponse {
        HTTPResponse(
            status: .ok,
            contentType: "text/plain; version=0.0.4; charset=utf-8",
            body: Array(exposition.text.utf8)
        )
    }
}
