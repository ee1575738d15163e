import CLSTMKernels
import LSTMTestSupport
import Testing

/// A product as the contract of `lstm_product` describes it, with its matrices.
private struct Case {
  var rows: Int, depth: Int, lanes: Int
  var layout: Layout
  var start: Start
  var valid: [Int]
  let a: [Float], b: [Float], c: [Float], first: [Float]

  enum Layout: CaseIterable { case rows, padded, transposed, reversed, spread }
  enum Start: UInt32, CaseIterable { case zero, c, row }

  /// Floats between the vectors of a row of C, which leaves one that no vector owns, and between its rows.
  var cVector: Int { lanes + 1 }
  var cRow: Int { 4 * cVector + 2 }
  var bRow: Int { 4 * lanes + 3 }

  /// Where A[0, 0] stands, and the distances between the rows and the columns of A.
  var aPlan: (origin: Int, row: Int, step: Int) {
    switch layout {
    case .rows: (0, depth, 1)
    case .padded: (1, depth + 3, 1)
    case .transposed: (1, 1, rows + 2)
    case .reversed: (max(rows - 1, 0) * (depth + 1), -(depth + 1), 1)
    case .spread: (0, 3 * depth + 1, 3)
    }
  }

  init(rows: Int, depth: Int, lanes: Int, layout: Layout, start: Start, valid: [Int]) {
    (self.rows, self.depth, self.lanes) = (rows, depth, lanes)
    (self.layout, self.start, self.valid) = (layout, start, valid)
    var numbers = Generator(UInt64(rows * 100 + depth))
    a = numbers.floats((rows + 3) * (3 * depth + 4))
    // Not a float more than may be read, for the address sanitizer.
    b = numbers.floats(depth == 0 ? 0 : (depth - 1) * (4 * lanes + 3) + 4 * lanes)
    first = numbers.floats(4 * lanes)
    let old = numbers.floats(rows * (4 * (lanes + 1) + 2))
    c = start == .c ? old : old.map { _ in untouched }
  }

  /// C after the product of the rows `rows`, all others as they were.
  func result(_ set: KernelSet, rows: Range<Int>) -> [Float] {
    let (origin, aRow, aStep) = aPlan, at = rows.lowerBound
    return onCopies(of: a, b, first, c) { p in
      var product = lstm_product(
        rows: rows.count, depth: depth, a: p[0] + origin + at * aRow, a_row: aRow, a_step: aStep, b: p[1], b_row: bRow,
        c: p[3] + at * cRow, c_row: cRow, c_vector: cVector, valid: (valid[0], valid[1], valid[2], valid[3]),
        start: start.rawValue, first: start == .row ? p[2] : nil)
      set.table.product(&product)
    }[3]
  }

  /// Element `lane` of vector `j` of row `r` in float64, and the error that rounding after each operation can cause.
  func exact(_ r: Int, _ j: Int, _ lane: Int) -> (value: Double, bound: Double) {
    let (origin, aRow, aStep) = aPlan
    var value: Double
    switch start {
    case .zero: value = 0
    case .c: value = Double(c[r * cRow + j * cVector + lane])
    case .row: value = Double(first[j * lanes + lane])
    }
    var sizes = abs(value)
    for k in 0..<depth {
      let term = Double(a[origin + r * aRow + k * aStep]) * Double(b[k * bRow + j * lanes + lane])
      value += term
      sizes += abs(term)
    }
    return (value, Double(depth + 1) * 0x1p-24 * sizes)
  }
}

@Suite struct ProductTests {
  /// Every height of tile and its remainders, with every layout, start and width in turn.
  @Test(arguments: KernelSet.all) func equalsFloat64(set: KernelSet) {
    let lanes = set.lanes
    let widths = [[lanes, lanes, lanes, lanes], [lanes, lanes, lanes - 1, 0], [1, 0, 0, 0], [lanes, 2, lanes, 3]]
    var turn = 0
    for rows in 0...13 {
      for depth in [0, 1, 7] {
        for start in [Case.Start.zero, .c, .row] {
          let layout = Case.Layout.allCases[turn % Case.Layout.allCases.count]
          let valid = widths[turn % widths.count]
          turn += 1
          let example = Case(rows: rows, depth: depth, lanes: lanes, layout: layout, start: start, valid: valid)
          check(example, example.result(set, rows: 0..<rows))
        }
      }
    }
  }

  private func check(_ example: Case, _ got: [Float]) {
    var wrong = 0
    for r in 0..<example.rows {
      for j in 0..<4 {
        for lane in 0..<example.lanes + 1 {
          let at = r * example.cRow + j * example.cVector + lane
          if lane < example.valid[j] {
            let (value, bound) = example.exact(r, j, lane)
            // Written so that NaN is wrong.
            if !(abs(Double(got[at]) - value) <= bound) { wrong += 1 }
          } else if got[at].bitPattern != example.c[at].bitPattern {
            wrong += 1
          }
        }
      }
    }
    #expect(
      wrong == 0,
      "\(example.rows) rows, depth \(example.depth), \(example.layout), \(example.start), \(example.valid)")
  }

  /// A row alone and in any tile: the same bits.
  @Test(arguments: KernelSet.all) func rowsAreIndependent(set: KernelSet) {
    for layout in Case.Layout.allCases {
      let example = Case(
        rows: 13, depth: 37, lanes: set.lanes, layout: layout, start: .c, valid: [set.lanes, set.lanes, 3, set.lanes])
      let together = example.result(set, rows: 0..<13)
      for count in [1, 2, 5] {
        for row in stride(from: 0, to: 13 - count + 1, by: count) {
          let alone = example.result(set, rows: row..<row + count)
          let range = row * example.cRow..<(row + count) * example.cRow
          #expect(bits(alone[range]) == bits(together[range]), "rows \(row) to \(row + count), \(layout)")
        }
      }
    }
  }

  /// Infinity and NaN reach the elements that they are a term of, and no others.
  @Test(arguments: KernelSet.all) func infinityAndNaNPropagate(set: KernelSet) {
    let lanes = set.lanes
    let a: [Float] = [1, 2, .nan, 1, .infinity, 1]
    let b = [Float](repeating: 1, count: 2 * 4 * lanes)
    let c = onCopies(of: a, b, [Float](repeating: 0, count: 3 * 4 * lanes)) { p in
      var product = lstm_product(
        rows: 3, depth: 2, a: p[0], a_row: 2, a_step: 1, b: p[1], b_row: 4 * lanes, c: p[2], c_row: 4 * lanes,
        c_vector: lanes, valid: (lanes, lanes, lanes, lanes), start: Case.Start.zero.rawValue, first: nil)
      set.table.product(&product)
    }[2]
    #expect(c[..<(4 * lanes)].allSatisfy { $0 == 3 })
    #expect(c[(4 * lanes)..<(8 * lanes)].allSatisfy { $0.isNaN })
    #expect(c[(8 * lanes)...].allSatisfy { $0 == .infinity })
  }
}
