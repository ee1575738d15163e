import CLSTMKernels
import Foundation
import LSTMTestSupport
import Testing

extension KernelSet {
  func activate(_ kind: Activation, _ x: [Float]) -> [Float] {
    var y = [Float](repeating: untouched, count: x.count)
    table.activate(kind.rawValue, x.count, x, &y)
    return y
  }
}

@Suite struct ActivationTests {
  private static let specials: [Float] = [
    0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude,
    -.leastNormalMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0x1p-140, -0x1p-140,
    // Corners, and the ends of the ranges in which results are normal, denormal or distinct from the limit.
    3, -3, 1, -1, 9, -9, 9.02, -16.6, 16.6, 17.4, 60, 88.7, -87.3, -88.8, -103.9, -104, -104.1, -110, -110.1, 150, -150,
  ]

  /// Bit patterns of all signs and exponents, and the range in which the functions bend.
  private static let sweep: [Float] =
    stride(from: UInt32(0), to: .max - 300_000, by: 39_989).map(Float.init(bitPattern:))
    + (0..<12_000).map { -115 + Float($0) * 0.0117 }

  /// As the contract says.
  private static func bound(_ kind: Activation) -> Double {
    switch kind {
    case .sigmoid, .tanh, .silu: 2
    case .fastSigmoid, .fastTanh: 5
    case .linear, .relu, .hardSigmoid, .elu, .gelu, .softplus: 3
    }
  }

  @Test(arguments: KernelSet.all, Activation.allCases) func errorInUlps(set: KernelSet, kind: Activation) {
    let x = Self.specials + Self.sweep
    let y = set.activate(kind, x)
    var worst = (error: -1.0, at: Float.nan)
    for (x, y) in zip(x, y) {
      let error = ulps(y, kind(Double(x)))
      if error > worst.error { worst = (error, x) }
    }
    #expect(worst.error <= Self.bound(kind), "at \(worst.at)")
  }

  /// The floats between two of one sign.
  struct Stretch: CustomTestStringConvertible {
    let kinds: [Activation]
    let bits: Range<UInt32>

    init(_ kinds: [Activation], _ first: Float, _ end: Float) {
      (self.kinds, bits) = (kinds, first.bitPattern..<end.bitPattern)
    }

    var testDescription: String { "\(kinds) from \(Float(bitPattern: bits.lowerBound))" }
  }

  /// Where the kinds with a fast form, and silu, are neither constant nor a line to within a quarter of an ulp. In pieces,
  /// that processors may share them.
  private static let stretches: [Stretch] = [
    Stretch([.sigmoid, .fastSigmoid], 0x1p-25, 0x1p-10), Stretch([.sigmoid, .fastSigmoid], 0x1p-10, 32),
    Stretch([.sigmoid, .fastSigmoid], -0x1p-25, -0x1p-10), Stretch([.sigmoid, .fastSigmoid], -0x1p-10, -128),
    Stretch([.silu], 0x1p-25, 32), Stretch([.silu], -0x1p-25, -128),
    Stretch([.tanh, .fastTanh], 0x1p-14, 16), Stretch([.tanh, .fastTanh], -0x1p-14, -16),
  ]

  /// Every float of a stretch, in every set: its error, and that none but silu passes 1.
  @Test(arguments: stretches) func everyFloat(of stretch: Stretch) {
    let count = 1 << 13
    var x = [Float](repeating: 0, count: count), y = x
    var exact = [Double](repeating: 0, count: count), place = exact
    for start in stride(from: stretch.bits.lowerBound, to: stretch.bits.upperBound, by: count) {
      for i in 0..<count {
        x[i] = Float(bitPattern: start + UInt32(i))
        exact[i] = stretch.kinds[0](Double(x[i]))
        place[i] = lastPlace(exact[i])
      }
      for set in KernelSet.all {
        for kind in stretch.kinds {
          set.table.activate(kind.rawValue, count, x, &y)
          let bound = Self.bound(kind), limit: Float = kind == .silu ? .infinity : 1
          var wrong = 0
          for i in 0..<count {
            let good = abs(Double(y[i]) - exact[i]) <= bound * place[i] && abs(y[i]) <= limit
            wrong &+= good ? 0 : 1
          }
          if wrong > 0 {
            let errors = y.indices.map { ulps(y[$0], exact[$0]) }
            Issue.record("\(set.testDescription) \(kind): \(errors.max()!) ulp, \(wrong) wrong from \(x[0])")
            return
          }
        }
      }
    }
  }

  @Test(arguments: KernelSet.all) func zeroKeepsItsSign(set: KernelSet) {
    for kind in [Activation.linear, .tanh, .silu, .gelu, .fastTanh] {
      #expect(bits(set.activate(kind, [0, -0.0])) == bits([0, -0.0]), "\(kind)")
    }
  }

  /// What a gate does once it is shut or open: exactly 0 or 1.
  @Test(arguments: KernelSet.all) func saturationIsExact(set: KernelSet) {
    for sigmoid in [Activation.sigmoid, .fastSigmoid] {
      #expect(set.activate(sigmoid, [-105, 18, .infinity, -.infinity]) == [0, 1, 1, 0])
    }
    #expect(set.activate(.tanh, [-10, 10, -.infinity, .infinity]) == [-1, 1, -1, 1])
    #expect(set.activate(.hardSigmoid, [-3, 3, -1e30, 1e30]) == [0, 1, 0, 1])
    #expect(set.activate(.elu, [-30, -.infinity]) == [-1, -1])
  }

  /// Any length, at any address, in place, the same bits wherever an element stands, and nothing past the end.
  @Test(arguments: KernelSet.all, Activation.allCases) func placeDoesNotMatter(set: KernelSet, kind: Activation) {
    var numbers = Generator(7)
    let x = numbers.floats(40).map { $0 * 6 }
    let whole = set.activate(kind, x)
    for (start, count) in [(0, 0), (1, 1), (3, set.lanes - 1), (1, set.lanes), (5, set.lanes + 3), (0, 33)] {
      var y = x
      y.withUnsafeMutableBufferPointer { y in
        set.table.activate(kind.rawValue, count, y.baseAddress! + start, y.baseAddress! + start)
      }
      let expected = x[..<start] + whole[start..<start + count] + x[(start + count)...]
      #expect(bits(y) == bits(expected), "\(count) from \(start)")
    }
  }

  /// Against central differences of the float64 function.
  @Test(arguments: KernelSet.all, Activation.allCases) func slopes(set: KernelSet, kind: Activation) {
    // None is a corner.
    let x = (0..<301).map { -15.01 + Float($0) * 0.1 }
    let y = set.activate(kind, x)
    var numbers = Generator(3)
    let dy = numbers.floats(x.count)
    var dx = dy
    dx.withUnsafeMutableBufferPointer { dx in
      set.table.activate_backward(kind.rawValue, x.count, x, y, dx.baseAddress!, dx.baseAddress!)
    }
    var worst = (error: 0.0, at: Float.nan)
    for i in x.indices {
      let at = Double(x[i]), h = 1e-5
      let slope = (kind(at + h) - kind(at - h)) / (2 * h)
      let error = abs(Double(dx[i]) - slope * Double(dy[i]))
      if !(error <= worst.error) { worst = (error, x[i]) }
    }
    // 5 ulp of y count twice in 1 - y².
    #expect(worst.error < (kind == .fastTanh ? 6e-7 : 4e-7), "at \(worst.at)")
  }

  /// At a corner and far outside: the slope of the flat side, the limits, and NaN where x is NaN and the slope bends.
  @Test(arguments: KernelSet.all) func slopesAtTheEnds(set: KernelSet) {
    func slopes(_ kind: Activation, _ x: [Float]) -> [Float] {
      let y = set.activate(kind, x)
      var dx = [Float](repeating: 1, count: x.count)
      let dy = dx
      set.table.activate_backward(kind.rawValue, x.count, x, y, dy, &dx)
      return dx
    }
    #expect(slopes(.relu, [0, -0.0, 1e-30, -1e-30]) == [0, 0, 1, 0])
    #expect(slopes(.hardSigmoid, [-3, 3, 2.9, 4]) == [0, 0, Float(1) / 6, 0])
    for kind in [Activation.elu, .gelu, .silu, .softplus] {
      #expect(slopes(kind, [-200, 200]) == [0, 1], "\(kind)")
      #expect(slopes(kind, [.nan])[0].isNaN, "\(kind)")
    }
  }
}

@Suite struct SoftmaxTests {
  private func softmax(_ set: KernelSet, _ x: [Float], width: Int) -> [Float] {
    var y = x
    y.withUnsafeMutableBufferPointer { y in
      set.table.softmax(x.count / width, width, y.baseAddress!, y.baseAddress!)
    }
    return y
  }

  @Test(arguments: KernelSet.all) func equalsFloat64(set: KernelSet) {
    var numbers = Generator(11)
    for width in [1, 2, 3, 15, 16, 17, 67] {
      let rows = 3
      let x = numbers.floats(rows * width).map { $0 * 30 + 500 }
      let y = softmax(set, x, width: width)
      for r in 0..<rows {
        let row = x[(r * width)..<((r + 1) * width)].map(Double.init)
        let exponentials = row.map { exp($0 - row.max()!) }
        let sum = exponentials.reduce(0, +)
        for j in 0..<width {
          #expect(ulps(y[r * width + j], exponentials[j] / sum) <= Double(4 + width / set.lanes))
        }
      }
    }
  }

  @Test(arguments: KernelSet.all) func extremes(set: KernelSet) {
    let width = set.lanes + 1
    var x = [Float](repeating: -.greatestFiniteMagnitude, count: 3 * width)
    x[1] = .greatestFiniteMagnitude
    x[width + set.lanes] = -.infinity
    x[2 * width + set.lanes] = .nan
    let y = softmax(set, x, width: width)
    #expect(y[..<width].enumerated().allSatisfy { $1 == ($0 == 1 ? 1 : 0) })
    #expect(y[width..<(2 * width)].enumerated().allSatisfy { $1 == ($0 == set.lanes ? 0 : 1 / Float(set.lanes)) })
    #expect(y[(2 * width)...].allSatisfy { $0.isNaN })
  }

  @Test(arguments: KernelSet.all) func backwardEqualsFloat64(set: KernelSet) {
    var numbers = Generator(13)
    for width in [1, 3, 16, 35] {
      let y = softmax(set, numbers.floats(2 * width), width: width)
      let dy = numbers.floats(2 * width)
      var dx = dy
      dx.withUnsafeMutableBufferPointer { dx in
        set.table.softmax_backward(2, width, y, dx.baseAddress!, dx.baseAddress!)
      }
      for r in 0..<2 {
        let row = (r * width)..<((r + 1) * width)
        let sum = row.reduce(0.0) { $0 + Double(y[$1]) * Double(dy[$1]) }
        #expect(row.allSatisfy { abs(Double(dx[$0]) - Double(y[$0]) * (Double(dy[$0]) - sum)) < 5e-7 })
      }
    }
  }
}
