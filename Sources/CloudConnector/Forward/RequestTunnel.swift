internal import TunnelCore

/// What requests and connections ask of the tunnel that they came through.
protocol RequestTunnel: AnyObject {
    /// Whether the service takes times of this response; it does now and then.
    func takesTimes() -> Bool
    /// A request that was reset keeps its place among those of the tunnel until `givePlaceBack`.
    func keepPlace()
    func givePlaceBack()
    /// Makes a stream the control stream.
    ///
    /// - Returns: nil where there is one already.
    func openControl(_ stream: HTTP2Stream) -> (any StreamReceiver)?
}
