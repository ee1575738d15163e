import LSTMTestSupport
import LSTMTensors
import Testing

@Suite struct SizeTests {
  private let limit = Size.limit

  @Test func whatFitsIsExact() throws {
    #expect(try Size.product(0, .max) == 0)
    #expect(try Size.product(1 << 28, 1 << 28) == limit)
    #expect(try Size.product(3, 5, 7) == 105)
    #expect(try Size.sum(limit - 1, 1) == limit)
  }

  @Test func whatDoesNotIsNoMemory() {
    let calls: [() throws -> Int] = [
      { try Size.product(1 << 28, (1 << 28) + 1) }, { try Size.product(.max, .max) },
      { try Size.product(1 << 32, 1 << 32) },
      { try Size.product(1 << 31, 1 << 31, 4) }, { try Size.sum(1 << 56, 1) }, { try Size.sum(.max, .max) },
      { try Size.sum(1, .max) }, { try Shape(1 << 40, 1 << 40).count() },
      { try Buffer.make(.system, bytes: .max).byteCount },
      { try Buffer.make(.system, 1 << 60, of: Double.self).byteCount },
    ]
    for call in calls { #expect(spokenError { _ = try call() } == "noMemory") }
  }

  /// Places are multiples of 16 that do not overlap.
  @Test func carverDealsPlaces() {
    var carver = Carver()
    let sizes = [1, 16, 17, 0, 3 * 5, 2 * 3 * 5 * 7]
    var places = [carver.take(1), carver.take(16), carver.take(17), carver.take(0), carver.take(3, 5)]
    places.append(carver.take(2, 3, 5, 7))
    #expect(places == [0, 16, 32, 64, 64, 80])
    #expect(carver.count == 80 + 224)
    for (place, size) in zip(places, sizes) { #expect(place % 16 == 0 && place + size <= carver.count) }
  }

  @Test(arguments: [
    (Int.max, 2, 1, 1), (1 << 30, 1 << 30, 1, 1), (1 << 20, 1 << 20, 1 << 20, 1 << 20), (1 << 56, 1, 1, 1),
  ])
  func carverSaturates(_ a: Int, _ b: Int, _ c: Int, _ d: Int) {
    var carver = Carver()
    _ = carver.take(5)
    #expect(carver.take(a, b, c, d) == 16)
    #expect(carver.count >= Size.limit)
    for _ in 0..<100 { #expect(carver.take(a, b, c, d) == Size.limit) }
    #expect(carver.count == Size.limit)
    // Which no buffer can have.
    #expect(spokenError { _ = try Buffer.make(.system, carver.count, of: Float.self) } == "noMemory")
    #expect(Carver.product(1 << 40, 1 << 40) == Size.limit)
    #expect(Carver.product(3, 7) == 21)
  }
}

@Suite struct ShapeTests {
  @Test func shapesAreLists() throws {
    var shape = Shape(Shape.any, 120, 16)
    #expect(shape.text == "(None, 120, 16)")
    #expect(Shape(7).text == "(7,)")
    #expect(Shape().text == "()")
    #expect(shape.rank == 3 && shape.last == 16)
    #expect(shape.replacingLast(5) == Shape(Shape.any, 120, 5))
    #expect(shape.prepending(2) == Shape(2, Shape.any, 120, 16))
    #expect(shape != Shape(Shape.any, 120) && shape != Shape(1, 120, 16))
    shape[0] = 3
    #expect(try shape.count() == 3 * 120 * 16)
    #expect(try Shape().count() == 1)
    #expect(try Shape(3, 0, 5).count() == 0)
  }

  @Test func plansLayParametersOut() throws {
    var plan = ParameterPlan()
    #expect(try plan.add(layer: "a", kind: "weights", Shape(3, 7)) == 0)
    #expect(try plan.add(layer: "a", kind: "bias", Shape(7)) == 1)
    #expect(try plan.add(layer: "b", kind: "mean", Shape(16), isTrainable: false) == 2)
    #expect(plan.entries.map(\.name) == ["a.weights", "a.bias", "b.mean"])
    #expect(plan.entries.map(\.offset) == [0, 32, 48])
    #expect(plan.entries.map(\.count) == [21, 7, 16])
    #expect(plan.entries.map(\.isTrainable) == [true, true, false])
    #expect(plan.count == 64)
    #expect(plan.index(of: "a.bias".utf8) == 1)
    #expect(plan.index(of: "a.bia".utf8) == nil)
    #expect(spokenError { _ = try plan.add(layer: "c", kind: "weights", Shape(1 << 40, 1 << 40)) } == "noMemory")
  }
}
