import CLSTMKernels
import LSTMTestSupport
import Testing

/// One timestep of one block of units, with float64 as its judge.
private struct Step {
  let rows: Int, inputs: Int, units: Int, lanes: Int
  let inner: Activation, outer: Activation
  let mask: [UInt8]?

  /// Units of h before and after the block's own, and floats between rows: never what a kernel could guess.
  let before = 2
  var hidden: Int { before + units + 1 }
  var xRow: Int { inputs + 2 }
  var hRow: Int { hidden + 3 }
  var hNextRow: Int { units + 1 }

  let x: [Float], h: [Float], weights: [Float], bias: [Float], c: [Float]

  init(
    rows: Int, inputs: Int = 3, units: Int, lanes: Int, inner: Activation = .tanh, outer: Activation = .sigmoid,
    mask: [UInt8]? = nil
  ) {
    (self.rows, self.inputs, self.units, self.lanes) = (rows, inputs, units, lanes)
    (self.inner, self.outer, self.mask) = (inner, outer, mask)
    var numbers = Generator(UInt64(units * 10 + inputs))
    /// Padding lanes are zero, as the contract of the weights says.
    func lanesOf(_ vectors: Int, _ numbers: inout Generator, scale: Float) -> [Float] {
      (0..<vectors).flatMap { _ in (0..<lanes).map { $0 < units ? numbers.floats(1)[0] * scale : 0 } }
    }
    x = numbers.floats(rows * (inputs + 2))
    h = numbers.floats(rows * (before + units + 4))
    weights = lanesOf((inputs + before + units + 1) * 4, &numbers, scale: 0.7)
    bias = lanesOf(4, &numbers, scale: 1)
    c = lanesOf(rows, &numbers, scale: 1.5)
  }

  struct Result { var c: [Float], h: [Float], gates: [Float] }

  func forward(_ set: KernelSet, rows range: Range<Int>? = nil, keepGates: Bool = true) -> Result {
    let range = range ?? 0..<rows, at = range.lowerBound
    let hNext = [Float](repeating: untouched, count: rows * hNextRow)
    let gates = [Float](repeating: untouched, count: rows * 4 * lanes)
    let after = onCopies(of: x, h, weights, bias, c, hNext, gates) { p in
      withMask { mask in
        var step = lstm_cell_forward(
          rows: range.count, inputs: inputs, hidden: hidden, units: units, x: p[0] + at * xRow, x_row: xRow,
          h: p[1] + at * hRow, h_row: hRow, h_own: p[1] + at * hRow + before, weights: p[2], bias: p[3], begin: nil,
          begin_block: 0,
          mask: mask.map { $0 + at }, c: p[4] + at * lanes, c_next: p[4] + at * lanes, c_block: 0,
          h_next: p[5] + at * hNextRow,
          h_next_row: hNextRow, gates: keepGates ? p[6] + at * 4 * lanes : nil, gates_block: 0,
          activation: inner.rawValue,
          recurrent_activation: outer.rawValue)
        set.table.lstm_forward(&step)
      }
    }
    return Result(c: after[4], h: after[5], gates: after[6])
  }

  private func withMask(_ body: (UnsafePointer<UInt8>?) -> Void) {
    if let mask { mask.withUnsafeBufferPointer { body($0.baseAddress) } } else { body(nil) }
  }

  func isMasked(_ row: Int) -> Bool { mask.map { $0[row] == 0 } ?? false }

  /// The four gates of one unit before activation.
  func z(_ row: Int, _ unit: Int) -> [Double] {
    (0..<4).map { gate in
      let weight = { (k: Int) in Double(weights[(k * 4 + gate) * lanes + unit]) }
      let fromX = (0..<inputs).reduce(0.0) { $0 + Double(x[row * xRow + $1]) * weight($1) }
      let fromH = (0..<hidden).reduce(0.0) { $0 + Double(h[row * hRow + $1]) * weight(inputs + $1) }
      return Double(bias[gate * lanes + unit]) + fromX + fromH
    }
  }

  /// The equations of one unit.
  func next(_ z: [Double], c: Double) -> (c: Double, h: Double) {
    let c = outer(z[1]) * c + outer(z[0]) * inner(z[2])
    return (c, outer(z[3]) * inner(c))
  }

  struct Gradient { var dz: [Float], dh: [Float], dc: [Float] }

  /// The step backwards after `result`, from the gradients `dh` and `dc` of what it gave.
  func backward(_ set: KernelSet, _ result: Result, dh: [Float], dc: [Float]) -> Gradient {
    let after = onCopies(of: c, result.c, result.gates, dh, dc) { p in
      withMask { mask in
        var step = lstm_cell_backward(
          rows: rows, units: units, mask: mask, c: p[0], c_next: p[1], c_block: 0, h_own: nil, h_row: 0, gates: p[2],
          gates_block: 0, dh: p[3], dh_row: hNextRow,
          dc: p[4], activation: inner.rawValue, recurrent_activation: outer.rawValue)
        set.table.lstm_backward(&step)
      }
    }
    return Gradient(dz: after[2], dh: after[3], dc: after[4])
  }
}

/// Every kind as the one activation and as the other, and the pair with kernels of its own.
private let pairs: [(Activation, Activation)] =
  Activation.allCases.map { ($0, .sigmoid) } + Activation.allCases.map { (.tanh, $0) }

@Suite struct CellTests {
  /// Every height of tile, whole and partial blocks, no inputs at all.
  @Test(arguments: KernelSet.all) func forwardEqualsFloat64(set: KernelSet) {
    for rows in 0...13 {
      check(set, Step(rows: rows, inputs: rows % 4, units: rows % 2 == 0 ? set.lanes : set.lanes - 1, lanes: set.lanes))
    }
    check(set, Step(rows: 3, units: 1, lanes: set.lanes))
  }

  @Test(arguments: KernelSet.all) func forwardWithEveryActivation(set: KernelSet) {
    for (inner, outer) in pairs {
      check(set, Step(rows: 3, units: set.lanes - 1, lanes: set.lanes, inner: inner, outer: outer))
    }
  }

  @Test(arguments: KernelSet.all) func maskedRowsKeepTheirState(set: KernelSet) {
    let mask: [UInt8] = [1, 0, 0, 1, 255, 0, 1, 0]
    for (inner, outer) in [(Activation.tanh, Activation.sigmoid), (.relu, .hardSigmoid)] {
      check(set, Step(rows: 8, units: set.lanes - 1, lanes: set.lanes, inner: inner, outer: outer, mask: mask))
    }
  }

  private func check(_ set: KernelSet, _ step: Step) {
    let got = step.forward(set)
    var wrong = 0
    func compare(_ got: Float, _ want: Double) {
      if !(abs(Double(got) - want) <= 2e-6 * max(1, abs(want))) { wrong += 1 }
    }
    for row in 0..<step.rows {
      let gates = got.gates[(row * 4 * step.lanes)..<((row + 1) * 4 * step.lanes)]
      if step.isMasked(row) {
        let h = (0..<step.units).map { step.h[row * step.hRow + step.before + $0] }
        let own = (row * step.lanes)..<((row + 1) * step.lanes)
        wrong += bits(got.c[own]) == bits(step.c[own]) ? 0 : 1
        wrong += bits(got.h[(row * step.hNextRow)...].prefix(step.units)) == bits(h) ? 0 : 1
        wrong += gates.allSatisfy(isUntouched) ? 0 : 1
      } else {
        for unit in 0..<step.units {
          let z = step.z(row, unit)
          let next = step.next(z, c: Double(step.c[row * step.lanes + unit]))
          compare(got.c[row * step.lanes + unit], next.c)
          compare(got.h[row * step.hNextRow + unit], next.h)
          let activated = step.inner == .tanh && step.outer == .sigmoid
          for j in 0..<4 {
            let kept = !activated ? z[j] : j == 2 ? step.inner(z[j]) : step.outer(z[j])
            compare(gates[gates.startIndex + j * step.lanes + unit], kept)
          }
        }
      }
      wrong += isUntouched(got.h[row * step.hNextRow + step.units]) ? 0 : 1
    }
    #expect(wrong == 0, "\(step.rows) rows, \(step.inputs) inputs, \(step.units) units, \(step.inner), \(step.outer)")
  }

  /// A row alone and in any tile, with and without its gates kept: the same bits.
  @Test(arguments: KernelSet.all) func rowsAreIndependent(set: KernelSet) {
    for (inner, outer) in [(Activation.tanh, Activation.sigmoid), (.elu, .softplus)] {
      let step = Step(rows: 13, inputs: 5, units: set.lanes - 1, lanes: set.lanes, inner: inner, outer: outer)
      let together = step.forward(set), withoutGates = step.forward(set, keepGates: false)
      #expect(bits(withoutGates.h) == bits(together.h) && bits(withoutGates.c) == bits(together.c))
      #expect(withoutGates.gates.allSatisfy(isUntouched))
      for row in 0..<13 {
        let alone = step.forward(set, rows: row..<row + 1)
        for (one, all, width) in [
          (alone.h, together.h, step.hNextRow), (alone.c, together.c, set.lanes),
          (alone.gates, together.gates, 4 * set.lanes),
        ] {
          let own = (row * width)..<((row + 1) * width)
          #expect(bits(one[own]) == bits(all[own]), "row \(row)")
        }
      }
    }
  }

  /// Against central differences of the float64 equations, for a loss that weighs h and c with random numbers.
  @Test(arguments: KernelSet.all) func backwardEqualsDifferences(set: KernelSet) {
    for (n, (inner, outer)) in pairs.enumerated() {
      let rows = 1 + n % 4, mask: [UInt8]? = n % 3 == 0 ? [1, 0, 1, 0].suffix(rows) : nil
      let units = n % 2 == 0 ? set.lanes : set.lanes - 1
      let step = Step(rows: rows, units: units, lanes: set.lanes, inner: inner, outer: outer, mask: mask)
      checkBackward(set, step)
    }
  }

  private func checkBackward(_ set: KernelSet, _ step: Step) {
    let (rows, units, lanes) = (step.rows, step.units, step.lanes)
    var result = step.forward(set)
    var numbers = Generator(5)
    var dh = [Float](repeating: untouched, count: rows * step.hNextRow)
    var dc = [Float](repeating: 0, count: rows * lanes)
    for row in 0..<rows {
      for unit in 0..<units {
        dh[row * step.hNextRow + unit] = numbers.floats(1)[0]
        dc[row * lanes + unit] = numbers.floats(1)[0]
      }
      // Whatever stands in the padding of c must not show.
      for lane in units..<lanes { result.c[row * lanes + lane] = .infinity }
    }
    let got = step.backward(set, result, dh: dh, dc: dc)

    var wrong = 0
    func compare(_ got: Float, _ want: Double) {
      if !(abs(Double(got) - want) <= 3e-6 * max(1, abs(want))) { wrong += 1 }
    }
    for row in 0..<rows {
      for unit in 0..<lanes {
        let at = row * lanes + unit, hAt = row * step.hNextRow + unit
        let dz = (0..<4).map { got.dz[(row * 4 + $0) * lanes + unit] }
        if unit >= units || step.isMasked(row) {
          wrong += dz == [0, 0, 0, 0] ? 0 : 1
          if unit < units {
            wrong += got.dc[at] == dc[at] && got.dh[hAt] == dh[hAt] ? 0 : 1
          }
          continue
        }
        let z = step.z(row, unit), c = Double(step.c[at]), small = 1e-6
        /// How the loss moves with z[j], or with c for nil.
        func difference(_ j: Int?) -> Double {
          func loss(_ move: Double) -> Double {
            var z = z
            if let j { z[j] += move }
            let next = step.next(z, c: j == nil ? c + move : c)
            return Double(dh[hAt]) * next.h + Double(dc[at]) * next.c
          }
          return (loss(small) - loss(-small)) / (2 * small)
        }
        for j in 0..<4 { compare(dz[j], difference(j)) }
        compare(got.dc[at], difference(nil))
        wrong += got.dh[hAt] == 0 ? 0 : 1
      }
      wrong += isUntouched(got.dh[row * step.hNextRow + units]) ? 0 : 1
    }
    #expect(wrong == 0, "\(rows) rows, \(units) units, \(step.inner), \(step.outer)")
  }
}
