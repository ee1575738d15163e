import CLSTMKernels
import Foundation
import LSTMTestSupport
import Testing

@Suite struct ElementwiseTests {
  /// No vector, part of one, one, and several with a part.
  private static func lengths(_ set: KernelSet) -> [Int] { [0, 1, set.lanes - 1, set.lanes, 3 * set.lanes + 1] }

  /// What `kernel` does to the first `count` of `y`; expects that it leaves the rest alone.
  private func run(_ y: [Float], _ count: Int, _ kernel: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
    var result = y + [untouched]
    result.withUnsafeMutableBufferPointer { kernel($0.baseAddress! + y.count - count) }
    #expect(isUntouched(result[y.count]) && bits(result[..<(y.count - count)]) == bits(y[..<(y.count - count)]))
    return Array(result[(y.count - count)..<y.count])
  }

  @Test(arguments: KernelSet.all) func scatterAdd(set: KernelSet) {
    var numbers = Generator(23)
    let (first, rows) = (3, 5)
    for width in Self.lengths(set) where width > 0 {
      for count in [0, 1, 300, 600] {
        let places = numbers.integers(count, in: 0..<12).map { Int32($0) }
        let x = numbers.floats(count * width), y = numbers.floats(rows * width)
        let mask = numbers.integers(count, in: 0..<3).map { UInt8($0) }
        for masked in [false, true] {
          var expected = y
          for i in 0..<count where (!masked || mask[i] != 0) && (first..<first + rows).contains(Int(places[i])) {
            for j in 0..<width { expected[(Int(places[i]) - first) * width + j] += x[i * width + j] }
          }
          let found = run(y, y.count) { y in
            mask.withUnsafeBufferPointer {
              set.table.scatter_add(count, places, masked ? $0.baseAddress : nil, Int32(first), rows, width, x, y)
            }
          }
          #expect(found == expected, "\(width), \(count), \(masked)")
        }
      }
    }
  }

  @Test(arguments: KernelSet.all) func arithmetic(set: KernelSet) {
    var numbers = Generator(17)
    for n in Self.lengths(set) {
      let a = numbers.floats(n), y = numbers.floats(n + 1), own = y[1...]
      #expect(run(y, n) { set.table.multiply(n, $0, a, $0) } == zip(own, a).map { $0 * $1 })
      #expect(run(y, n) { set.table.add(n, a, $0) } == zip(own, a).map { $0 + $1 })
      #expect(run(y, n) { set.table.scale(n, 0.3, $0) } == own.map { $0 * 0.3 })
      #expect(run(y, n) { set.table.clamp(n, 0.4, $0) } == own.map { min(max($0, -0.4), 0.4) })
      let scaled = run(y, n) { set.table.add_scaled(n, 0.3, a, $0) }
      for i in 0..<n {
        #expect(abs(Double(scaled[i]) - (Double(own[1 + i]) + Double(0.3 as Float) * Double(a[i]))) < 1.2e-7)
      }
    }
  }

  @Test(arguments: KernelSet.all) func clampKeepsNaN(set: KernelSet) {
    var y: [Float] = [.nan, .infinity, -.infinity, -0.0]
    set.table.clamp(4, 2, &y)
    #expect(y[0].isNaN && y[1...] == [2, -2, 0])
  }

  @Test(arguments: KernelSet.all) func dotEqualsFloat64(set: KernelSet) {
    var numbers = Generator(19)
    for n in Self.lengths(set) + [200] {
      let a = numbers.floats(n), b = numbers.floats(n)
      let terms = zip(a, b).map { Double($0) * Double($1) }
      let bound = Double(n + 1) * 0x1p-24 * terms.reduce(0) { $0 + abs($1) }
      #expect(abs(Double(set.table.dot(n, a, b)) - terms.reduce(0, +)) <= bound)
    }
  }

  @Test(arguments: KernelSet.all) func sumOfSquaresIsInDouble(set: KernelSet) {
    var numbers = Generator(23)
    for n in Self.lengths(set) + [200] {
      let x = numbers.floats(n)
      let exact = x.reduce(0.0) { $0 + Double($1) * Double($1) }
      #expect(abs(set.table.sum_squares(n, x) - exact) <= exact * 1e-14)
    }
    #expect(set.table.sum_squares(2, [3e38, 0]) == Double(3e38 as Float) * Double(3e38 as Float))
    #expect(set.table.sum_squares(3, [1, -.infinity, 1]) == .infinity)
    #expect(set.table.sum_squares(3, [1, .nan, 1]).isNaN)
  }

  /// Around one chunk of 64 rows and one panel of four vectors.
  @Test(arguments: KernelSet.all) func columnSums(set: KernelSet) {
    var numbers = Generator(29)
    for rows in [0, 1, 63, 64, 65, 130] {
      for width in [1, set.lanes, 4 * set.lanes, 5 * set.lanes + 1] {
        let xRow = width + 1, x = numbers.floats(rows * xRow), start = numbers.floats(width)
        let out = run(start, width) { set.table.column_sums(rows, width, x, xRow, $0) }
        for j in 0..<width {
          let column = (0..<rows).map { Double(x[$0 * xRow + j]) }
          let exact = Double(start[j]) + column.reduce(0, +)
          let sizes = abs(Double(start[j])) + column.reduce(0) { $0 + abs($1) }
          // Not one rounding for each row: the chunks are summed on their own.
          let roundings = Double(min(rows, 64) + rows / 64 + 1)
          #expect(abs(Double(out[j]) - exact) <= roundings * 0x1p-24 * sizes)
        }
      }
    }
  }
}
