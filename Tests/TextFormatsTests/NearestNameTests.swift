import Testing

@testable import TextFormats

struct NearestNameTests {
    @Test("The nearest candidate within a third of the letters is found")
    func nearest() {
        #expect(NearestName.find("certifikate", among: ["private-key", "certificate"]) == "certificate")
        #expect(NearestName.find("acess", among: ["access", "active"]) == "access")
        #expect(NearestName.find("xyz", among: ["access"]) == nil)
        #expect(NearestName.find("a", among: [String]()) == nil)
    }

    @Test("Swapped neighbours count as one edit")
    func distance() {
        #expect(NearestName.distance(Array("olny".utf8), Array("only".utf8)) == 1)
        #expect(NearestName.distance(Array("".utf8), Array("abc".utf8)) == 3)
    }
}
