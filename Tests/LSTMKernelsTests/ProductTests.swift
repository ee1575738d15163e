import CLSTMKernels
import LSTMTestSupport
import Testing

/// A product as the contract of `lstm_product` describes it, with its matrices.
private struct Case {
  var rows: Int, depth: Int, chunks: Int, lanes: Int
  var layout: Layout
  var start: Start
  var valid: [Int]
  var isNarrow = false
  var isColumn = false
  let a: [Float], b: [Float], c: [Float], first: [Float]

  enum Layout: CaseIterable { case rows, padded, transposed, reversed, spread }
  enum Start: UInt32, CaseIterable { case zero, c, row }

  var vectors: Int { valid.filter { $0 > 0 }.count }

  /// Floats between the vectors of a row of C, which leaves one that no vector owns, and between its rows.
  var cVector: Int { lanes + 1 }
  var cRow: Int { 4 * cVector + 2 }
  var bRow: Int { isColumn ? 1 : vectors * lanes + 3 }
  var bChunk: Int { depth * bRow + 5 }

  /// Where A[0, 0, 0] stands, and the distances between its rows, chunks and columns.
  var aPlan: (origin: Int, row: Int, chunk: Int, step: Int) {
    switch layout {
    case .rows: (0, chunks * depth, depth, 1)
    case .padded: (1, depth + 3, rows * (depth + 3), 1)
    case .transposed: (1, 1, depth * (rows + 2), rows + 2)
    case .reversed:
      (max(chunks * rows - 1, 0) * (depth + 1), -(depth + 1), -rows * (depth + 1), 1)
    case .spread: (0, 3 * depth + 1, rows * (3 * depth + 1) + 2, 3)
    }
  }

  init(rows: Int, depth: Int, chunks: Int = 1, lanes: Int, layout: Layout, start: Start, valid: [Int]) {
    (self.rows, self.depth, self.chunks, self.lanes) = (rows, depth, chunks, lanes)
    (self.layout, self.start, self.valid) = (layout, start, valid)
    var numbers = Generator(UInt64(rows * 100 + depth))
    let width = valid.filter { $0 > 0 }.count * lanes
    a = numbers.floats(chunks * ((rows + 3) * (3 * depth + 4) + 2))
    // Not a float more than may be read, for the address sanitizer.
    b = numbers.floats(depth == 0 || chunks == 0 ? 0 : chunks * (depth * (width + 3) + 5) - 8)
    first = numbers.floats(width)
    let old = numbers.floats(rows * (4 * (lanes + 1) + 2))
    c = start == .c ? old : old.map { _ in untouched }
  }

  /// C after the product of the rows `rows`, all others as they were.
  func result(_ set: KernelSet, rows: Range<Int>) -> [Float] {
    let (origin, aRow, aChunk, aStep) = aPlan, at = rows.lowerBound
    return onCopies(of: a, b, first, c) { p in
      var product = lstm_product(
        rows: rows.count, depth: depth, chunks: chunks, a: p[0] + origin + at * aRow, a_row: aRow, a_step: aStep,
        a_chunk: aChunk, b: p[1], b_row: bRow, b_chunk: bChunk, next: nil, c: p[3] + at * cRow, c_row: cRow,
        c_vector: (0, cVector, 2 * cVector, 3 * cVector),
        valid: (valid[0], valid[1], valid[2], valid[3]), start: start.rawValue, narrow: isNarrow ? 1 : 0, tiled: 0,
        first: start == .row ? p[2] : nil,
        format: 0, a_bytes: lstm_bytes())
      set.table.product(&product)
    }[3]
  }

  /// Element `lane` of vector `j` of row `r` in float64, and the error that rounding after each operation can cause.
  func exact(_ r: Int, _ j: Int, _ lane: Int) -> (value: Double, bound: Double) {
    let (origin, aRow, aChunk, aStep) = aPlan
    var value: Double
    switch start {
    case .zero: value = 0
    case .c: value = Double(c[r * cRow + j * cVector + lane])
    case .row: value = Double(first[j * lanes + lane])
    }
    var sizes = abs(value)
    for q in 0..<chunks {
      for k in 0..<depth {
        let factor = Double(a[origin + r * aRow + q * aChunk + k * aStep])
        let term = factor * Double(b[q * bChunk + k * bRow + j * lanes + lane])
        value += term
        sizes += abs(term)
      }
    }
    return (value, Double(depth * chunks + 1) * 0x1p-24 * sizes)
  }
}

@Suite struct ProductTests {
  /// Every height of tile and its remainders, with every layout, start, number of chunks and width in turn.
  @Test(arguments: KernelSet.all) func equalsFloat64(set: KernelSet) {
    let lanes = set.lanes
    let widths = [
      [lanes, lanes, lanes, lanes], [lanes, lanes, lanes - 1, 0], [lanes, 0, 0, 0], [1, 0, 0, 0],
      [lanes, lanes, 0, 0], [lanes, 2, lanes, 3], [lanes, lanes, lanes, 0], [3, lanes, 0, 0],
    ]
    var turn = 0
    for rows in Array(0...21) + [31, 50] {
      for valid in widths {
        let example = Case(
          rows: rows, depth: [1, 7, 0, 2][turn / 3 % 4], chunks: [1, 3, 2, 0, 1][turn / 5 % 5], lanes: lanes,
          layout: Case.Layout.allCases[turn % 5], start: Case.Start.allCases[turn / 2 % 3], valid: valid)
        turn += 1
        check(example, example.result(set, rows: 0..<rows))
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
      "\(example.rows) rows, depth \(example.chunks) x \(example.depth), \(example.layout), \(example.start), \(example.valid)"
    )
  }

  /// Sums of several chains, with every remainder of their number: the value, and the same bits for a row alone.
  @Test(arguments: KernelSet.all) func narrowEqualsFloat64(set: KernelSet) {
    let lanes = set.lanes
    for depth in [0, 1, 5, 7, 8, 9, 16, 41] {
      for valid in [[1, 0, 0, 0], [lanes, 0, 0, 0], [lanes, lanes, 2, 0], [lanes, lanes, lanes, lanes]] {
        for (layout, isColumn) in [(Case.Layout.rows, false), (.padded, false), (.rows, true), (.padded, true)] {
          if isColumn && valid != [1, 0, 0, 0] { continue }
          var example = Case(rows: 6, depth: depth, lanes: lanes, layout: layout, start: .row, valid: valid)
          (example.isNarrow, example.isColumn) = (true, isColumn)
          let together = example.result(set, rows: 0..<6)
          check(example, together)
          let alone = example.result(set, rows: 1..<2), range = example.cRow..<2 * example.cRow
          #expect(bits(alone[range]) == bits(together[range]), "depth \(depth), \(valid)")
        }
      }
    }
  }

  /// A row alone and in any tile, in chunks or all at once: the same bits.
  @Test(arguments: KernelSet.all) func rowsAreIndependent(set: KernelSet) {
    let lanes = set.lanes
    for layout in Case.Layout.allCases {
      for valid in [
        [lanes, lanes, 3, lanes], [lanes, lanes, lanes, lanes], [lanes, lanes, lanes, 0], [lanes, 0, 0, 0],
      ] {
        let example = Case(rows: 25, depth: 37, chunks: 2, lanes: lanes, layout: layout, start: .c, valid: valid)
        let together = example.result(set, rows: 0..<25)
        for count in [1, 2, 3, 5, 9] {
          for row in stride(from: 0, to: 25 - count + 1, by: count) {
            let alone = example.result(set, rows: row..<row + count)
            let range = row * example.cRow..<(row + count) * example.cRow
            #expect(bits(alone[range]) == bits(together[range]), "rows \(row) to \(row + count), \(layout), \(valid)")
          }
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
        rows: 3, depth: 2, chunks: 1, a: p[0], a_row: 2, a_step: 1, a_chunk: 0, b: p[1], b_row: 4 * lanes, b_chunk: 0,
        next: nil,
        c: p[2], c_row: 4 * lanes, c_vector: (0, lanes, 2 * lanes, 3 * lanes), valid: (lanes, lanes, lanes, lanes),
        start: Case.Start.zero.rawValue, narrow: 0, tiled: 0, first: nil, format: 0, a_bytes: lstm_bytes())
      set.table.product(&product)
    }[2]
    #expect(c[..<(4 * lanes)].allSatisfy { $0 == 3 })
    #expect(c[(4 * lanes)..<(8 * lanes)].allSatisfy { $0.isNaN })
    #expect(c[(8 * lanes)...].allSatisfy { $0 == .infinity })
  }

  /// Whole squares of vectors and every remainder; nothing beside the result is touched.
  @Test(arguments: KernelSet.all) func transposeMovesEveryElement(set: KernelSet) {
    for rows in [0, 1, 3, 4, 7, 16, 17, 33] {
      for columns in [0, 1, 2, 5, 8, 15, 16, 40] {
        let (inRow, outRow) = (columns + 2, rows + 3)
        let matrix = (0..<max(rows * inRow - 2, 0)).map(Float.init)
        let out = onCopies(of: matrix, [Float](repeating: untouched, count: columns * outRow)) { p in
          set.table.transpose(rows, columns, p[0], inRow, p[1], outRow)
        }[1]
        let wrong = (0..<out.count).count { at in
          let (j, i) = (at / outRow, at % outRow)
          return i < rows ? out[at] != Float(i * inRow + j) : !isUntouched(out[at])
        }
        #expect(wrong == 0, "\(rows) x \(columns)")
      }
    }
  }
}
