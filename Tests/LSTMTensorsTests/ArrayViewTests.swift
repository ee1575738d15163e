import LSTMTestSupport
import LSTMTensors
import Testing

@Suite struct ArrayViewTests {
  /// All numbers of a view, by row and then in the order of `forEachInner`.
  private func numbers(_ view: ArrayView, from axis: Int = 1) throws -> [Double] {
    var result: [Double] = []
    for row in 0..<view.rows {
      try view.forEachInner(from: axis) { (i, offset) throws(LSTMError) in
        result.append(view.number(row: row, offset: offset))
      }
    }
    return result
  }

  /// Memory in which the elements begin one byte after an aligned address.
  private func unaligned<T: BitwiseCopyable>(_ values: [T]) -> Numbers<UInt8> {
    Numbers([0xff] + values.flatMap { value in withUnsafeBytes(of: value) { Array($0) } })
  }

  private func check<T: BitwiseCopyable & Equatable>(
    _ element: ArrayView.Element, _ values: [T], _ expected: [Double]
  ) throws {
    let memory = unaligned(values)
    let size = element.size
    let start = UnsafeRawPointer(memory.start + 1)
    let forward = ArrayView(
      name: "x", element: element, data: start, shape: Shape(2, 3), strides: Shape(3 * size, size))
    #expect(try numbers(forward) == expected)
    let backward = ArrayView(
      name: "x", element: element, data: start + 5 * size, shape: Shape(2, 3), strides: Shape(-3 * size, -size))
    #expect(try numbers(backward) == expected.reversed())
    let repeated = ArrayView(name: "x", element: element, data: start, shape: Shape(2, 3), strides: Shape(0, size))
    #expect(try numbers(repeated) == Array(expected[0..<3]) + Array(expected[0..<3]))
    let transposed = ArrayView(
      name: "x", element: element, data: start, shape: Shape(3, 2), strides: Shape(size, 3 * size))
    #expect(try numbers(transposed) == [0, 3, 1, 4, 2, 5].map { expected[$0] })
    withExtendedLifetime(memory) {}
  }

  @Test func readsEveryElementType() throws {
    let floats: [Float] = [1.5, -2, 0.1, .greatestFiniteMagnitude, -.infinity, 1e-45]
    try check(.float32, floats, floats.map(Double.init))
    let doubles = [1.5, -2, 0.1, .greatestFiniteMagnitude, -.infinity, 5e-324]
    try check(.float64, doubles, doubles)
    let words: [Int32] = [0, -1, 1, .max, .min, 123_456_789]
    try check(.int32, words, words.map(Double.init))
    let longs: [Int64] = [0, -1, 1 << 53, .max, .min, -(1 << 40)]
    try check(.int64, longs, longs.map(Double.init))
    let bytes: [UInt8] = [0, 1, 127, 128, 254, 255]
    try check(.uint8, bytes, bytes.map(Double.init))
    #expect(ArrayView.Element.string.size == 8)
  }

  /// Row-major over all inner axes, whatever the strides: index and offset against counting them out.
  @Test func innerOrderIsRowMajor() throws {
    var random = Generator(5)
    for _ in 0..<200 {
      var (shape, strides) = (Shape(), Shape())
      for _ in 0..<Int.random(in: 1...5, using: &random) {
        shape.append(Int.random(in: 1...4, using: &random))
        strides.append(Int.random(in: -50...50, using: &random))
      }
      let view = ArrayView(
        name: "x", element: .uint8, data: UnsafeRawPointer(bitPattern: 64)!, shape: shape, strides: strides)
      for axis in 1...shape.rank {
        var expected = [0]
        for k in axis..<max(axis, shape.rank) {
          expected = expected.flatMap { from in (0..<shape[k]).map { from + $0 * strides[k] } }
        }
        var (offsets, places): ([Int], [Int]) = ([], [])
        try view.forEachInner(from: axis) { (i, offset) throws(LSTMError) in
          places.append(i)
          offsets.append(offset)
        }
        #expect(offsets == expected)
        #expect(places == Array(0..<expected.count))
      }
    }
  }

  @Test func errorsOfTheBodyEndTheWalk() {
    let view = ArrayView(
      name: "x", element: .uint8, data: UnsafeRawPointer(bitPattern: 64)!, shape: Shape(1, 2, 2),
      strides: Shape(4, 2, 1))
    var calls = 0
    #expect(
      spokenError {
        try view.forEachInner(from: 1) { (i, _) throws(LSTMError) in
          calls += 1
          if i == 2 { throw .noMemory }
        }
      } == "noMemory")
    #expect(calls == 3)
  }

  @Test func slicesAndPadding() throws {
    let data = Numbers((0..<12).map { Float($0) })
    let lengths = Numbers<Int64>([2, 0, 1, 2])
    let mask = Numbers<UInt8>([1, 0, 0, 1, 1, 1, 0, 0])
    func view(_ lengths: UnsafePointer<Int64>?, _ mask: UnsafePointer<UInt8>?) -> ArrayView {
      ArrayView(
        name: "x", element: .float32, data: data.start, shape: Shape(4, 2), strides: Shape(12, 4), lengths: lengths,
        mask: mask)
    }
    func valid(_ view: ArrayView) -> [Bool] {
      (0..<view.rows).flatMap { row in (0..<2).map { view.isValid(row: row, step: $0) } }
    }
    let byLengths = view(UnsafePointer(lengths.start), nil)
    let byMask = view(nil, UnsafePointer(mask.start))
    #expect(valid(byLengths) == [true, true, false, false, true, false, true, true])
    #expect(valid(byMask) == [true, false, false, true, true, true, false, false])
    #expect(valid(view(nil, nil)) == [Bool](repeating: true, count: 8))
    #expect(byLengths.isPadded && byMask.isPadded && !view(nil, nil).isPadded)
    for whole in [byLengths, byMask] {
      let part = whole.slice(1..<3)
      #expect(part.shape == Shape(2, 2))
      #expect(try numbers(part) == [3, 4, 6, 7])
      #expect(valid(part) == Array(valid(whole)[2..<6]))
    }
    withExtendedLifetime((data, lengths, mask)) {}
  }
}

@Suite struct TextTests {
  @Test func messagesAreSafeToPrint() {
    #expect(quoted("plain".utf8) == "\"plain\"")
    #expect(quoted("a\nb\u{1b}\u{7f}".utf8) == "\"a?b??\"")
    #expect(quoted(String(repeating: "x", count: 60).utf8) == "\"" + String(repeating: "x", count: 60) + "\"")
    #expect(quoted(String(repeating: "x", count: 61).utf8) == "\"" + String(repeating: "x", count: 60) + "...\"")
    #expect(quoted([0xff, 0x41]) == "\"\u{fffd}A\"")
    #expect(listing(["a"]) == "a")
    #expect(listing(["a", "b"]) == "a or b")
    #expect(listing(["a", "b", "c"]) == "a, b or c")
  }
}
