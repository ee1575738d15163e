internal import CLSTMKernels

/// How the columns of a matrix are dealt to panels of four vectors, the unit in which the kernels multiply.
///
/// A plain matrix gives a panel `4·lanes` consecutive columns. A gated one, `[rows, 4·units]` with the columns of gate j
/// at `j·units`, gives a panel the same `lanes` units of each of its four gates, so that one product makes all that a
/// cell's equations need.
public struct Panels: Sendable {
  /// Columns of a plain matrix, units of a gated one.
  public let extent: Int
  public let gated: Bool
  public let lanes: Int
  public let count: Int

  public init(columns: Int, lanes: Int) {
    (extent, gated, self.lanes) = (columns, false, lanes)
    count = (columns + 4 * lanes - 1) / (4 * lanes)
  }

  public init(units: Int, lanes: Int) {
    (extent, gated, self.lanes) = (units, true, lanes)
    count = (units + lanes - 1) / lanes
  }

  public var width: Int { 4 * lanes }
  /// Columns with the padding that fills the last panel.
  public var paddedColumns: Int { count * width }

  /// The first column of vector `vector` of a panel.
  @inline(__always) public func column(panel: Int, vector: Int) -> Int {
    gated ? vector * extent + panel * lanes : (panel * 4 + vector) * lanes
  }

  /// Columns between the vectors of a panel.
  public var vectorStride: Int { gated ? extent : lanes }

  /// How many lanes of a vector are columns of the matrix; the others are padding.
  @inline(__always) public func valid(panel: Int, vector: Int) -> Int {
    max(0, min(lanes, extent - (gated ? panel : panel * 4 + vector) * lanes))
  }

  @inline(__always) func valid(panel: Int) -> (Int, Int, Int, Int) {
    (
      valid(panel: panel, vector: 0), valid(panel: panel, vector: 1), valid(panel: panel, vector: 2),
      valid(panel: panel, vector: 3)
    )
  }

  /// Floats of a packed matrix of `depth` rows.
  public func packedCount(depth: Int) -> Int { depth * paddedColumns }

  /// Packs rows of a row-major matrix as `[panel][depth][4][lanes]`: row r becomes row `at + r` of `depth`. Padding is zero.
  public func pack(
    rows: Int, _ source: Floats, rowStride: Int, at first: Int = 0, depth: Int, into packed: MutableFloats
  ) {
    for panel in 0..<count {
      var out = packed + (panel * depth + first) * width
      for row in 0..<rows {
        for vector in 0..<4 {
          let valid = valid(panel: panel, vector: vector)
          if valid > 0 {
            out.update(from: source + row * rowStride + column(panel: panel, vector: vector), count: valid)
          }
          (out + valid).update(repeating: 0, count: lanes - valid)
          out += lanes
        }
      }
    }
  }

  /// Packs the transpose of a row-major `[columns, depth of these panels]` matrix laid out by `rows`: row k of the packed
  /// matrix is column k of the source in the order in which `rows` deals them, padding included.
  ///
  /// - Parameter source: `[self.extent, *]` with `rowStride`, its columns described by `rows`. `self` must be plain.
  public func packTransposed(_ source: Floats, rowStride: Int, rows: Panels, into packed: MutableFloats) {
    var out = packed
    for panel in 0..<count {
      let first = panel * width
      let valid = min(width, extent - first)
      for rowPanel in 0..<rows.count {
        for vector in 0..<4 {
          let column = rows.column(panel: rowPanel, vector: vector)
          let exists = rows.valid(panel: rowPanel, vector: vector)
          for lane in 0..<rows.lanes {
            out.update(repeating: 0, count: width)
            if lane < exists {
              for i in 0..<valid { out[i] = source[(first + i) * rowStride + column + lane] }
            }
            out += width
          }
        }
      }
    }
  }
}

/// Where the accumulators of a product begin.
public enum Start {
  case zero
  /// C += A·B.
  case accumulate
  /// The same row, packed as one row of the panels, under every row of the product: a bias.
  case row(Floats)
}

extension Kernels {
  /// C = start + A·B for a packed B.
  ///
  /// - Parameters:
  ///   - a: `[rows, depth]`, element (r, k) at `a[r·aRow + k]`.
  ///   - b: packed by `panels`, `[panel][packedDepth][4][lanes]`; it may begin at a row inside, so as to take a part of them.
  ///   - c: `[rows, columns]` row-major with `cRow` floats between rows.
  public func multiply(
    rows: Int, depth: Int, _ a: Floats, aRow: Int, _ b: Floats, packedDepth: Int, _ panels: Panels,
    into c: MutableFloats, cRow: Int, start: Start
  ) {
    for panel in 0..<panels.count {
      var p = lstm_product()
      (p.rows, p.depth, p.chunks) = (rows, depth, 1)
      (p.a, p.a_row, p.a_step) = (a, aRow, 1)
      (p.b, p.b_row) = (b + panel * packedDepth * panels.width, panels.width)
      p.setResult(c, row: cRow, panels, panel)
      switch start {
      case .zero: p.start = UInt32(LSTM_FROM_ZERO)
      case .accumulate: p.start = UInt32(LSTM_FROM_C)
      case .row(let first):
        p.start = UInt32(LSTM_FROM_ROW)
        p.first = first + panel * panels.width
      }
      product(&p)
    }
  }

  /// C += Aᵀ·B: the gradient of weights from inputs A `[depth, rows]` and output gradients B.
  ///
  /// B is given panel by panel: rows of a panel are `bRow` floats apart, panels `bPanel` floats. It may be read up to one
  /// panel past its last column. Taken in chunks of steps, so that a chunk of B stays in the first-level cache.
  public func accumulateTransposed(
    rows: Int, depth: Int, _ a: Floats, aRow: Int, _ b: Floats, bRow: Int, bPanel: Int, _ panels: Panels,
    into c: MutableFloats, cRow: Int
  ) {
    let chunk = 128
    var done = 0
    while done < depth {
      let steps = min(chunk, depth - done)
      for panel in 0..<panels.count {
        var p = lstm_product()
        (p.rows, p.depth, p.chunks) = (rows, steps, 1)
        (p.a, p.a_row, p.a_step) = (a + done * aRow, 1, aRow)
        (p.b, p.b_row) = (b + panel * bPanel + done * bRow, bRow)
        p.setResult(c, row: cRow, panels, panel)
        p.start = UInt32(LSTM_FROM_C)
        product(&p)
      }
      done += steps
    }
  }
}

extension lstm_product {
  fileprivate mutating func setResult(_ c: MutableFloats, row: Int, _ panels: Panels, _ panel: Int) {
    self.c = c + panels.column(panel: panel, vector: 0)
    (c_row, c_vector) = (row, panels.vectorStride)
    valid = panels.valid(panel: panel)
  }
}
