import CLSTMKernels
import Foundation
import LSTMTestSupport
import Testing

@Suite struct CrossEntropyTests {
  private struct Result {
    var losses: [Double]
    var dx: [Float]
  }

  /// With a gradient in place of a copy of x; expects the same losses without one and with one elsewhere.
  private func run(_ set: KernelSet, _ x: [Float], _ labels: [Int32], _ weights: [Float]) -> Result {
    let width = x.count / labels.count
    func losses(_ x: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>?) -> [Double] {
      var losses = [Double](repeating: .nan, count: labels.count)
      set.table.softmax_cross_entropy(labels.count, width, x, labels, weights, dx, &losses)
      return losses
    }
    let alone = losses(x, nil)
    var dx = x, elsewhere = [Float](repeating: untouched, count: x.count + 1)
    let inPlace = dx.withUnsafeMutableBufferPointer { losses($0.baseAddress!, $0.baseAddress!) }
    let apart = elsewhere.withUnsafeMutableBufferPointer { losses(x, $0.baseAddress!) }
    #expect(alone.map(\.bitPattern) == inPlace.map(\.bitPattern) && alone.map(\.bitPattern) == apart.map(\.bitPattern))
    #expect(bits(elsewhere.dropLast()) == bits(dx) && isUntouched(elsewhere.last!))
    return Result(losses: alone, dx: dx)
  }

  @Test(arguments: KernelSet.all) func equalsFloat64(set: KernelSet) {
    var numbers = Generator(41)
    for width in [2, 3, 15, 16, 17, 67, 1000] {
      let rows = 3, weights: [Float] = [1, 0.25, -3], labels: [Int32] = [0, Int32(width / 2), Int32(width - 1)]
      let x = numbers.floats(rows * width).map { $0 * 30 + 500 }
      let got = run(set, x, labels, weights)
      for r in 0..<rows {
        let row = x[(r * width)..<((r + 1) * width)].map(Double.init), label = Int(labels[r])
        let exponentials = row.map { exp($0 - row.max()!) }, sum = exponentials.reduce(0, +)
        let others = exponentials.indices.reduce(0) { $1 == label ? $0 : $0 + exponentials[$1] }
        let loss = log(sum) - (row[label] - row.max()!)
        // Each exponential has an error of 1.1 ulp and its sum none to speak of.
        #expect(abs(got.losses[r] - loss) <= 2e-7 * min(1, loss) + 1e-15)
        for j in 0..<width {
          let exact = Double(weights[r]) * (j == label ? -others : exponentials[j]) / sum
          #expect(ulps(got.dx[r * width + j], exact) <= 5, "\(width): row \(r), column \(j)")
        }
      }
    }
  }

  /// A right answer whose loss is far below what a float adds to 1, and the gradient with it.
  @Test(arguments: KernelSet.all) func digitsNearZero(set: KernelSet) {
    let width = set.lanes + 3
    for distance in [Float(20), 40, 80] {
      var x = [Float](repeating: -distance, count: width)
      x[width - 2] = 0
      let got = run(set, x, [Int32(width - 2)], [0.5])
      let rest = Double(width - 1) * exp(-Double(distance))
      #expect(abs(got.losses[0] / log1p(rest) - 1) < 2e-7)
      #expect(ulps(got.dx[width - 2], -0.5 * rest / (1 + rest)) <= 3)
    }
  }

  /// All are the largest.
  @Test(arguments: KernelSet.all) func equalNumbers(set: KernelSet) {
    let width = 2 * set.lanes + 1
    let got = run(set, [Float](repeating: -7, count: width), [1], [1])
    #expect(abs(got.losses[0] - log(Double(width))) < 1e-14)
    #expect(got.dx.enumerated().allSatisfy { ulps($1, 1 / Double(width) - ($0 == 1 ? 1 : 0)) <= 1 })
  }

  /// Neither its numbers nor its label, which lies far outside.
  @Test(arguments: KernelSet.all) func rowOfNoWeightIsNotRead(set: KernelSet) {
    let width = set.lanes + 2
    let got = run(
      set, [Float](repeating: .nan, count: width) + [Float](repeating: 1, count: width), [.max, 0], [0, 1])
    #expect(got.losses[0] == 0 && abs(got.losses[1] - log(Double(width))) < 1e-14)
    #expect(bits(got.dx[..<width]) == bits([Float](repeating: 0, count: width)))
  }

  /// A number that is none makes the loss none, wherever the label is, but for a class that is impossible.
  @Test(arguments: KernelSet.all) func numbersThatAreNone(set: KernelSet) {
    let width = set.lanes + 1
    for at in [0, set.lanes] {
      for label in [Int32(0), 1, Int32(set.lanes)] {
        for none in [Float.nan, .infinity] {
          var x = [Float](repeating: 1, count: width)
          x[at] = none
          #expect(!run(set, x, [label], [1]).losses[0].isFinite)
        }
        var x = [Float](repeating: 1, count: width)
        x[at] = -.infinity
        let got = run(set, x, [label], [1])
        #expect(got.losses[0] == .infinity || label != Int32(at))
        #expect(abs(got.losses[0] - log(Double(width - 1))) < 1e-14 || label == Int32(at))
        #expect(got.dx[at] == (label == Int32(at) ? -1 : 0))
      }
      #expect(run(set, [Float](repeating: -.infinity, count: width), [Int32(at)], [1]).losses[0].isNaN)
    }
  }
}
