/// What one subaccount, client or virtual host may ask for; 0 for as much as it likes.
package struct RequestLimits: Sendable, Equatable {
    /// Requests that are not over, WebSocket connections included.
    package var inFlight = 0
    package var perSecond = 0
    /// Of requests and responses together.
    package var bytesPerSecond = 0

    package init() {}

    var isOn: Bool { inFlight > 0 || perSecond > 0 || bytesPerSecond > 0 }

    /// What one of several services lets through, so that all of them together keep to the limit; at least one.
    func share(of services: Int) -> RequestLimits {
        func part(_ limit: Int) -> Int { (limit + services - 1) / services }
        var own = self
        (own.inFlight, own.perSecond, own.bytesPerSecond) = (part(inFlight), part(perSecond), part(bytesPerSecond))
        return own
    }
}

/// The limits of all that a request counts for.
package struct FairnessLimits: Sendable, Equatable {
    package var subaccount = RequestLimits()
    /// A client of the token service; without tokens, an address.
    package var client = RequestLimits()
    package var virtualHost = RequestLimits()

    package init() {}

    func share(of services: Int) -> FairnessLimits {
        guard services > 1 else { return self }
        var own = self
        own.subaccount = subaccount.share(of: services)
        own.client = client.share(of: services)
        own.virtualHost = virtualHost.share(of: services)
        return own
    }

    /// Where nothing is limited, nothing is counted.
    var isOn: Bool { subaccount.isOn || client.isOn || virtualHost.isOn }
}

/// Why a request may not begin now.
struct Excess: Equatable {
    enum Kind: Equatable { case inFlight, rate, bytes }

    let kind: Kind
    let limit: Int
    /// Seconds, at least 1, until it is worth trying again.
    let wait: Int
}
