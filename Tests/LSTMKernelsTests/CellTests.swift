import CLSTMKernels
import LSTMTestSupport
import Testing

private enum Cell: CaseIterable { case lstm, gru }

/// One timestep of some blocks of units, with float64 as its judge.
private struct Step {
  let cell: Cell
  let rows: Int, inputs: Int, units: Int, lanes: Int
  let inner: Activation, outer: Activation
  let mask: [UInt8]?

  /// Units of h before and after the step's own, and floats between rows and blocks: never what a kernel could guess.
  let before = 2
  var hidden: Int { before + units + 1 }
  var xRow: Int { inputs + 2 }
  var hRow: Int { hidden + 3 }
  var hNextRow: Int { units + 1 }
  var blocks: Int { (units + lanes - 1) / lanes }
  var cBlock: Int { (rows + 1) * lanes + 1 }
  var gatesBlock: Int { rows * 4 * lanes + 3 }
  var beginBlock: Int { (rows + 1) * 4 * lanes }
  /// Vectors of weights for each input.
  var width: Int { cell == .lstm ? 4 : 3 }
  var weightsBlock: Int { (inputs + hidden) * width * lanes }

  let x: [Float], h: [Float], weights: [Float], bias: [Float], c: [Float]

  init(
    _ cell: Cell, rows: Int, inputs: Int = 3, units: Int, lanes: Int, inner: Activation = .tanh,
    outer: Activation = .sigmoid, mask: [UInt8]? = nil
  ) {
    (self.cell, self.rows, self.inputs, self.units, self.lanes) = (cell, rows, inputs, units, lanes)
    (self.inner, self.outer, self.mask) = (inner, outer, mask)
    var numbers = Generator(UInt64(units * 10 + inputs))
    let blocks = (units + lanes - 1) / lanes
    /// Padding lanes are zero, as the contract of the weights says.
    func vectors(_ count: Int, _ numbers: inout Generator, scale: Float, gap: Int = 0) -> [Float] {
      (0..<blocks).flatMap { block in
        (0..<count).flatMap { _ in
          (0..<lanes).map { block * lanes + $0 < units ? numbers.floats(1)[0] * scale : 0 }
        } + [Float](repeating: untouched, count: gap)
      }
    }
    x = numbers.floats(rows * (inputs + 2))
    h = numbers.floats(rows * (before + units + 4))
    weights = vectors((inputs + before + units + 1) * (cell == .lstm ? 4 : 3), &numbers, scale: 0.7)
    bias = vectors(4, &numbers, scale: 1)
    c = vectors(rows, &numbers, scale: 1.5, gap: lanes + 1)
  }

  struct Result { var c: [Float], h: [Float], gates: [Float] }

  /// Where the sums begin: with the bias, or with the products of x made before, which lie apart or in the gates' place.
  enum Begin: CaseIterable { case bias, apart, gates }

  /// c with the blocks of a row side by side, as the states of streams lie.
  var cByRow: [Float] {
    var byRow: [Float] = []
    for row in 0..<rows {
      for block in 0..<blocks {
        let at = block * cBlock + row * lanes
        byRow += c[at..<at + lanes]
      }
    }
    return byRow
  }

  func forward(
    _ set: KernelSet, rows range: Range<Int>? = nil, keepGates: Bool = true, begin: Begin = .bias,
    fromLast: Bool = false, byRow: Bool = false
  ) -> Result {
    let range = range ?? 0..<rows, at = range.lowerBound
    let hNext = [Float](repeating: untouched, count: rows * hNextRow)
    var gates = [Float](repeating: untouched, count: blocks * gatesBlock)
    let made = begin == .bias ? [] : productsOfX(set, blockSize: begin == .apart ? beginBlock : gatesBlock)
    if begin == .gates { gates = made }
    // With the products of x made before there are no inputs, and the weights are those of h alone.
    let skipped = begin == .bias ? 0 : inputs
    let (cRow, cBlock) = byRow ? (blocks * lanes, lanes) : (lanes, cBlock)
    let after = onCopies(of: x, h, weights, bias, byRow ? cByRow : c, hNext, gates, made) { p in
      withMask { mask in
        var step = lstm_cell_forward()
        (step.rows, step.inputs, step.hidden, step.units) = (range.count, inputs - skipped, hidden, units)
        (step.x, step.x_row) = (UnsafePointer(p[0] + at * xRow), xRow)
        (step.h, step.h_row) = (UnsafePointer(p[1] + at * hRow), hRow)
        step.h_own = step.h + before
        step.weights = UnsafePointer(p[2] + skipped * width * lanes)
        (step.weights_block, step.bias) = (weightsBlock, UnsafePointer(p[3]))
        step.from_last = fromLast ? 1 : 0
        if begin != .bias {
          step.begin = UnsafePointer((begin == .gates ? p[6] : p[7]) + at * 4 * lanes)
          (step.begin_row, step.begin_block) = (4 * lanes, begin == .gates ? gatesBlock : beginBlock)
        }
        step.mask = mask.map { $0 + at }
        (step.c, step.c_next) = (UnsafePointer(p[4] + at * cRow), p[4] + at * cRow)
        (step.c_row, step.c_block) = (cRow, cBlock)
        (step.h_next, step.h_next_row) = (p[5] + at * hNextRow, hNextRow)
        (step.gates, step.gates_block) = (keepGates ? p[6] + at * 4 * lanes : nil, gatesBlock)
        (step.activation, step.recurrent_activation) = (inner.rawValue, outer.rawValue)
        switch cell {
        case .lstm: set.table.lstm_forward(&step)
        case .gru: set.table.gru_forward(&step)
        }
      }
    }
    return Result(c: after[4], h: after[5], gates: after[6])
  }

  /// bias + x·W by the product of matrices, `[rows][4][lanes]` a block.
  private func productsOfX(_ set: KernelSet, blockSize: Int) -> [Float] {
    let made = [Float](repeating: untouched, count: blocks * blockSize)
    return onCopies(of: x, weights, bias, made) { p in
      for block in 0..<blocks {
        for row in 0..<rows {
          for i in 0..<4 * lanes { p[3][block * blockSize + row * 4 * lanes + i] = p[2][block * 4 * lanes + i] }
        }
        var product = lstm_product(
          rows: rows, depth: inputs, chunks: 1, a: p[0], a_row: xRow, a_step: 1, a_chunk: 0,
          b: p[1] + block * weightsBlock, b_row: width * lanes, b_chunk: 0, next: nil, c: p[3] + block * blockSize,
          c_row: 4 * lanes, c_vector: (0, lanes, 2 * lanes, 3 * lanes),
          valid: (lanes, lanes, lanes, width == 4 ? lanes : 0),
          start: UInt32(LSTM_FROM_C), narrow: 0, tiled: 0, first: nil, format: 0, a_bytes: lstm_bytes())
        set.table.product(&product)
      }
    }[3]
  }

  private func withMask(_ body: (UnsafePointer<UInt8>?) -> Void) {
    if let mask { mask.withUnsafeBufferPointer { body($0.baseAddress) } } else { body(nil) }
  }

  func isMasked(_ row: Int) -> Bool { mask.map { $0[row] == 0 } ?? false }

  /// Where a unit's numbers stand in c, and those of one of its gates in the gates.
  func cAt(_ row: Int, _ unit: Int) -> Int { unit / lanes * cBlock + row * lanes + unit % lanes }
  func gateAt(_ row: Int, _ gate: Int, _ unit: Int) -> Int {
    unit / lanes * gatesBlock + (row * 4 + gate) * lanes + unit % lanes
  }

  func ownH(_ row: Int, _ unit: Int) -> Float { h[row * hRow + before + unit] }

  /// The four gates of one unit before activation.
  func z(_ row: Int, _ unit: Int) -> [Double] {
    let (block, lane) = (unit / lanes, unit % lanes)
    return (0..<4).map { gate in
      /// The weight of the `vector`th gate among those that input k has a part in.
      func weight(_ k: Int, _ vector: Int) -> Double {
        0..<width ~= vector ? Double(weights[block * weightsBlock + (k * width + vector) * lanes + lane]) : 0
      }
      let fromX = (0..<inputs).reduce(0.0) { $0 + Double(x[row * xRow + $1]) * weight($1, gate) }
      let shift = cell == .lstm ? 0 : 1
      let fromH = (0..<hidden).reduce(0.0) { $0 + Double(h[row * hRow + $1]) * weight(inputs + $1, gate - shift) }
      return Double(bias[(block * 4 + gate) * lanes + lane]) + fromX + fromH
    }
  }

  /// The equations of one unit.
  func next(_ z: [Double], c: Double, h: Double) -> (c: Double, h: Double) {
    switch cell {
    case .lstm:
      let c = outer(z[1]) * c + outer(z[0]) * inner(z[2])
      return (c, outer(z[3]) * inner(c))
    case .gru:
      let update = outer(z[2])
      return (c, update * h + (1 - update) * inner(z[0] + outer(z[1]) * z[3]))
    }
  }

  /// What is kept of the gates z for the step backwards.
  func kept(_ z: [Double]) -> [Double] {
    guard inner == .tanh && outer == .sigmoid else { return z }
    switch cell {
    case .lstm: return [outer(z[0]), outer(z[1]), inner(z[2]), outer(z[3])]
    case .gru: return [inner(z[0] + outer(z[1]) * z[3]), outer(z[1]), outer(z[2]), z[3]]
    }
  }

  struct Gradient { var dz: [Float], dh: [Float], dc: [Float] }

  /// The step backwards after `result`, from the gradients `dh` and `dc` of what it gave.
  func backward(_ set: KernelSet, _ result: Result, dh: [Float], dc: [Float]) -> Gradient {
    let after = onCopies(of: c, result.c, result.gates, dh, dc, h) { p in
      withMask { mask in
        var step = lstm_cell_backward(
          rows: rows, units: units, mask: mask, c: p[0], c_next: p[1], c_block: cBlock, h_own: p[5] + before,
          h_row: hRow, gates: p[2], gates_block: gatesBlock, dh: p[3], dh_row: hNextRow, dc: p[4],
          activation: inner.rawValue, recurrent_activation: outer.rawValue, h_next: nil, h_next_row: 0,
          options: lstm_cell_options())
        switch cell {
        case .lstm: set.table.lstm_backward(&step)
        case .gru: set.table.gru_backward(&step)
        }
      }
    }
    return Gradient(dz: after[2], dh: after[3], dc: after[4])
  }
}

/// Every kind as the one activation and as the other, and the pair with kernels of its own.
private let pairs: [(Activation, Activation)] =
  Activation.allCases.map { ($0, .sigmoid) } + Activation.allCases.map { (.tanh, $0) }

@Suite struct CellTests {
  /// Wherever c lies.
  @Test(arguments: KernelSet.all) func memoryMayLieRowByRow(set: KernelSet) {
    for (rows, blocks) in [(1, 3), (5, 2), (13, 1)] {
      let step = Step(.lstm, rows: rows, units: blocks * set.lanes - 1, lanes: set.lanes)
      let (expected, result) = (step.forward(set), step.forward(set, byRow: true))
      #expect(bits(result.h) == bits(expected.h))
      for row in 0..<rows {
        for unit in 0..<step.units {
          let got = result.c[row * blocks * set.lanes + unit]
          #expect(got.bitPattern == expected.c[step.cAt(row, unit)].bitPattern, "row \(row), unit \(unit)")
        }
      }
    }
  }

  /// Every height of tile, one block and several, whole and partial, no inputs at all.
  @Test(arguments: KernelSet.all) func forwardEqualsFloat64(set: KernelSet) {
    let lanes = set.lanes
    for cell in Cell.allCases {
      for rows in 0...14 {
        let units = [lanes, lanes - 1, 2 * lanes, 3 * lanes - 2][rows % 4]
        check(set, Step(cell, rows: rows, inputs: rows % 3, units: units, lanes: lanes))
      }
      check(set, Step(cell, rows: 25, units: 1, lanes: lanes))
      // Few hidden units, whose sums are made in halves.
      for units in [1, 2, 12, 13, 14] {
        for rows in [1, 5] { check(set, Step(cell, rows: rows, inputs: units % 2, units: units, lanes: lanes)) }
      }
      for blocks in [2, 3, 5, 14] { check(set, Step(cell, rows: 1, units: blocks * lanes - 1, lanes: lanes)) }
    }
  }

  @Test(arguments: KernelSet.all) func forwardWithEveryActivation(set: KernelSet) {
    for cell in Cell.allCases {
      for (inner, outer) in pairs {
        check(set, Step(cell, rows: 3, units: set.lanes + 3, lanes: set.lanes, inner: inner, outer: outer))
      }
    }
  }

  @Test(arguments: KernelSet.all) func maskedRowsKeepTheirState(set: KernelSet) {
    let mask: [UInt8] = [1, 0, 0, 1, 255, 0, 1, 0], units = 2 * set.lanes - 1
    for cell in Cell.allCases {
      for (inner, outer) in [(Activation.tanh, Activation.sigmoid), (.relu, .hardSigmoid)] {
        check(set, Step(cell, rows: 8, units: units, lanes: set.lanes, inner: inner, outer: outer, mask: mask))
        check(set, Step(cell, rows: 1, units: units, lanes: set.lanes, inner: inner, outer: outer, mask: [0]))
      }
    }
  }

  private func check(_ set: KernelSet, _ step: Step) {
    let got = step.forward(set)
    var wrong = 0
    func compare(_ got: Float, _ want: Double) {
      if !(abs(Double(got) - want) <= 2e-6 * max(1, abs(want))) { wrong += 1 }
    }
    for row in 0..<step.rows {
      for unit in 0..<step.units {
        let c = step.c[step.cAt(row, unit)], h = step.ownH(row, unit)
        let gotC = got.c[step.cAt(row, unit)], gotH = got.h[row * step.hNextRow + unit]
        let gates = (0..<4).map { got.gates[step.gateAt(row, $0, unit)] }
        if step.isMasked(row) {
          wrong += bits([gotC, gotH]) == bits([c, h]) && gates.allSatisfy(isUntouched) ? 0 : 1
          continue
        }
        let z = step.z(row, unit)
        let next = step.next(z, c: Double(c), h: Double(h))
        compare(gotC, next.c)
        compare(gotH, next.h)
        for (gate, kept) in zip(gates, step.kept(z)) { compare(gate, kept) }
      }
      wrong += isUntouched(got.h[row * step.hNextRow + step.units]) ? 0 : 1
    }
    for block in 0..<step.blocks {
      wrong +=
        got.c[((block + 1) * step.cBlock - step.lanes - 1)...].prefix(step.lanes + 1).allSatisfy(isUntouched) ? 0 : 1
      wrong += got.gates[((block + 1) * step.gatesBlock - 3)...].prefix(3).allSatisfy(isUntouched) ? 0 : 1
    }
    #expect(
      wrong == 0,
      "\(step.cell), \(step.rows) rows, \(step.inputs) inputs, \(step.units) units, \(step.inner), \(step.outer)")
  }

  /// A row alone and in any tile, with and without its gates kept, with the products of x made before: the same bits.
  @Test(arguments: KernelSet.all, Cell.allCases) fileprivate func rowsAreIndependent(set: KernelSet, cell: Cell) {
    let standard = (Activation.tanh, Activation.sigmoid)
    for (units, (inner, outer)) in [(3 * set.lanes - 1, standard), (13, standard), (2 * set.lanes, (.elu, .softplus))] {
      let step = Step(cell, rows: 13, inputs: 5, units: units, lanes: set.lanes, inner: inner, outer: outer)
      let together = step.forward(set), withoutGates = step.forward(set, keepGates: false)
      #expect(bits(withoutGates.h) == bits(together.h) && bits(withoutGates.c) == bits(together.c))
      #expect(withoutGates.gates.allSatisfy(isUntouched))
      for begin in Step.Begin.allCases {
        let other = step.forward(set, begin: begin)
        #expect(bits(other.h) == bits(together.h) && bits(other.c) == bits(together.c), "\(begin)")
        for row in 0..<13 {
          let alone = step.forward(set, rows: row..<row + 1, begin: begin, fromLast: row % 2 == 0)
          for unit in 0..<units {
            let h = row * step.hNextRow + unit, c = step.cAt(row, unit)
            #expect(
              bits([alone.h[h], alone.c[c]]) == bits([together.h[h], together.c[c]]), "row \(row), unit \(unit)")
            for gate in 0..<4 {
              let at = step.gateAt(row, gate, unit)
              #expect(alone.gates[at].bitPattern == together.gates[at].bitPattern, "row \(row), unit \(unit)")
            }
          }
        }
      }
    }
  }

  /// Against central differences of the float64 equations, for a loss that weighs h and c with random numbers.
  @Test(arguments: KernelSet.all, Cell.allCases) fileprivate func backwardEqualsDifferences(set: KernelSet, cell: Cell)
  {
    for (n, (inner, outer)) in pairs.enumerated() {
      let rows = 1 + n % 4, mask: [UInt8]? = n % 3 == 0 ? [1, 0, 1, 0].suffix(rows) : nil
      let units = n % 2 == 0 ? set.lanes : 2 * set.lanes - 1
      let step = Step(cell, rows: rows, units: units, lanes: set.lanes, inner: inner, outer: outer, mask: mask)
      checkBackward(set, step)
    }
  }

  private func checkBackward(_ set: KernelSet, _ step: Step) {
    let (rows, units, lanes) = (step.rows, step.units, step.lanes)
    var result = step.forward(set)
    var numbers = Generator(5)
    var dh = [Float](repeating: untouched, count: rows * step.hNextRow)
    var dc = step.c.map { isUntouched($0) ? $0 : 0 }
    for row in 0..<rows {
      for unit in 0..<units {
        dh[row * step.hNextRow + unit] = numbers.floats(1)[0]
        if step.cell == .lstm { dc[step.cAt(row, unit)] = numbers.floats(1)[0] }
      }
      // Whatever stands in the padding of c must not show.
      for unit in units..<step.blocks * lanes { result.c[step.cAt(row, unit)] = .infinity }
    }
    let got = step.backward(set, result, dh: dh, dc: dc)

    var wrong = 0
    func compare(_ got: Float, _ want: Double) {
      if !(abs(Double(got) - want) <= 3e-6 * max(1, abs(want))) { wrong += 1 }
    }
    for row in 0..<rows {
      for unit in 0..<step.blocks * lanes {
        let at = step.cAt(row, unit), hAt = row * step.hNextRow + unit
        let dz = (0..<4).map { got.dz[step.gateAt(row, $0, unit)] }
        if unit >= units || step.isMasked(row) {
          wrong += dz == [0, 0, 0, 0] ? 0 : 1
          if unit < units {
            wrong += got.dc[at] == dc[at] && got.dh[hAt] == dh[hAt] ? 0 : 1
          }
          continue
        }
        let z = step.z(row, unit), c = Double(step.c[at]), h = Double(step.ownH(row, unit)), small = 1e-6
        /// How the loss moves when z[j], c or h does.
        func difference(_ j: Int? = nil, c dC: Double = 0, h dH: Double = 0) -> Double {
          func loss(_ move: Double) -> Double {
            var z = z
            if let j { z[j] += move }
            let next = step.next(z, c: c + dC * move, h: h + dH * move)
            return Double(dh[hAt]) * next.h + Double(dc[at]) * next.c
          }
          return (loss(small) - loss(-small)) / (2 * small)
        }
        for j in 0..<4 { compare(dz[j], difference(j)) }
        compare(got.dc[at], difference(c: 1))
        compare(got.dh[hAt], difference(h: 1))
      }
      wrong += isUntouched(got.dh[row * step.hNextRow + units]) ? 0 : 1
    }
    #expect(wrong == 0, "\(step.cell), \(rows) rows, \(units) units, \(step.inner), \(step.outer)")
  }
}
