public import CLSTMKernels

/// How the columns of a matrix are dealt to panels of up to four vectors, the unit in which the kernels multiply.
///
/// A plain matrix gives a panel `4·lanes` consecutive columns. A gated one, `[rows, gates·units]` with the columns of gate
/// j at `j·units`, gives a panel the same `lanes` units of each of its gates, so that one product makes all that a cell's
/// equations need.
public struct Panels: Sendable {
  /// Columns of a plain matrix, units of a gated one.
  public let extent: Int
  public let lanes: Int
  public let count: Int
  /// Vectors in a panel.
  public let vectors: Int
  /// The gate whose columns a vector holds; negative in a plain matrix.
  private let gates: InlineArray<4, Int>

  public init(columns: Int, lanes: Int) {
    (extent, self.lanes, vectors) = (columns, lanes, 4)
    gates = [-1, -1, -1, -1]
    count = (columns + 4 * lanes - 1) / (4 * lanes)
  }

  /// - Parameter gates: what vector j of a panel holds, for the first `vectors` of them.
  public init(units: Int, gates: InlineArray<4, Int>, vectors: Int, lanes: Int) {
    (extent, self.lanes, self.vectors, self.gates) = (units, lanes, vectors, gates)
    count = (units + lanes - 1) / lanes
  }

  public var width: Int { vectors * lanes }
  /// Columns with the padding that fills the last panel.
  public var paddedColumns: Int { count * width }

  private var isGated: Bool { gates[0] >= 0 }

  /// The first column of vector `vector` of a panel.
  @inline(__always) public func column(panel: Int, vector: Int) -> Int {
    isGated ? gates[vector] * extent + panel * lanes : (panel * 4 + vector) * lanes
  }

  /// How many lanes of a vector are columns of the matrix; the others are padding.
  @inline(__always) public func valid(panel: Int, vector: Int) -> Int {
    vector < vectors ? max(0, min(lanes, extent - (isGated ? panel : panel * 4 + vector) * lanes)) : 0
  }

  /// Floats of a packed matrix of `depth` rows.
  public func packedCount(depth: Int) -> Int { depth * paddedColumns }

  /// Packs rows of a row-major matrix as `[panel][depth][vectors][lanes]`: row r becomes row `at + r` of `depth`. Padding
  /// is zero. Of a compressed format `at` and `depth` count rows of words.
  ///
  /// - Parameter own: the panels to pack.
  public func pack(
    _ own: Range<Int>, rows: Int, _ source: Floats, rowStride: Int, at first: Int = 0, depth: Int,
    _ format: WeightFormat = .float32, into packed: MutableFloats, _ kernels: Kernels
  ) {
    if format != .float32 {
      return compress(own, rows: rows, source, rowStride: rowStride, at: first, depth: depth, format, into: packed)
    }
    for panel in own {
      var (columns, valid) = (InlineArray<4, Int>(repeating: 0), InlineArray<4, Int>(repeating: 0))
      for vector in 0..<vectors {
        columns[vector] = column(panel: panel, vector: vector)
        valid[vector] = self.valid(panel: panel, vector: vector)
      }
      kernels.pack(
        rows: rows, vectors: vectors, source, rowStride: rowStride, columns: columns, valid: valid,
        into: packed + (panel * depth + first) * width)
    }
  }

  private func compress(
    _ own: Range<Int>, rows: Int, _ source: Floats, rowStride: Int, at first: Int, depth: Int, _ format: WeightFormat,
    into packed: MutableFloats
  ) {
    for panel in own {
      let begin = packed + (panel * depth + first) * width
      begin.clear(format.packedRows(rows) * width)
      let words = UnsafeMutableRawPointer(begin).assumingMemoryBound(to: UInt32.self)
      for vector in 0..<vectors {
        for lane in 0..<valid(panel: panel, vector: vector) {
          format.pack(
            source + column(panel: panel, vector: vector) + lane, count: rows, step: rowStride,
            into: words + vector * lanes + lane, apart: width)
        }
      }
    }
  }

  /// Packs the transpose of a row-major `[columns, depth of these panels]` matrix laid out by `rows`: row k of the packed
  /// matrix is column k of the source in the order in which `rows` deals them, padding included.
  ///
  /// - Parameters:
  ///   - own: the panels to pack.
  ///   - source: `[self.extent, *]` with `rowStride`, its columns described by `rows`. `self` must be plain.
  public func packTransposed(
    _ own: Range<Int>, _ source: Floats, rowStride: Int, rows: Panels, into packed: MutableFloats, _ kernels: Kernels
  ) {
    for panel in own {
      let first = panel * width
      let valid = min(width, extent - first)
      var out = packed + panel * rows.paddedColumns * width
      for rowPanel in 0..<rows.count {
        for vector in 0..<rows.vectors {
          let exists = rows.valid(panel: rowPanel, vector: vector)
          if exists < rows.lanes || valid < width { out.clear(rows.lanes * width) }
          if exists > 0 {
            kernels.transpose(
              rows: valid, columns: exists,
              source + first * rowStride + rows.column(panel: rowPanel, vector: vector), inRow: rowStride, out,
              outRow: width)
          }
          out += rows.lanes * width
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

/// Rows of A that are multiplied with all panels of B before the next: they stay in the second-level cache.
private let rowsAtOnce = 128

extension Kernels {
  /// C = start + A·B for a packed B and some of its panels.
  ///
  /// - Parameters:
  ///   - a: `[rows, depth]`, element (r, k) at `a[r·aRow + k]`.
  ///   - b: packed by `panels`, `[panel][packedDepth][vectors][lanes]`; it may begin at a row inside, so as to take a part
  ///     of them.
  ///   - format: of b; with `int8`, `rounded` stands in the place of a.
  ///   - c: `[rows, columns]` row-major with `cRow` floats between rows.
  ///   - isNarrow: as `lstm_kernels.h` says.
  ///   - bRow: 1 for a B of one column that is not packed.
  public func multiply(
    _ own: Range<Int>, rows: Int, depth: Int, _ a: Floats, aRow: Int, _ b: Floats, packedDepth: Int, _ panels: Panels,
    _ format: WeightFormat = .float32, rounded: RoundedRows? = nil, isNarrow: Bool = false, bRow: Int? = nil,
    into c: MutableFloats, cRow: Int, start: Start
  ) {
    for row in stride(from: 0, to: rows, by: rowsAtOnce) {
      for panel in own {
        var p = lstm_product()
        p.narrow = isNarrow ? 1 : 0
        (p.rows, p.depth, p.chunks) = (min(rowsAtOnce, rows - row), depth, 1)
        (p.a, p.a_row, p.a_step) = (a + row * aRow, aRow, 1)
        (p.b, p.b_row) = (b + panel * packedDepth * panels.width, bRow ?? panels.width)
        if panel + 1 < own.upperBound { p.next = p.b + packedDepth * panels.width }
        p.format = code(format)
        if let rounded { p.a_bytes = rounded.from(row) }
        p.setResult(c + row * cRow, row: cRow, panels, panel)
        p.begin(start, panel, panels)
        product(&p)
      }
    }
  }

  /// C = start + A·B for a B that is not packed, `[depth, columns]` with `bRow` floats between rows. It may be read up to
  /// one vector past its last column.
  public func multiply(
    rows: Int, depth: Int, columns: Int, _ a: Floats, aRow: Int, _ b: Floats, bRow: Int, into c: MutableFloats,
    cRow: Int,
    start: Start
  ) {
    let panels = Panels(columns: columns, lanes: lanes)
    for row in stride(from: 0, to: rows, by: rowsAtOnce) {
      for panel in 0..<panels.count {
        var p = lstm_product()
        (p.rows, p.depth, p.chunks) = (min(rowsAtOnce, rows - row), depth, 1)
        (p.a, p.a_row, p.a_step) = (a + row * aRow, aRow, 1)
        (p.b, p.b_row) = (b + panel * panels.width, bRow)
        p.setResult(c + row * cRow, row: cRow, panels, panel)
        p.begin(start, panel, panels)
        product(&p)
      }
    }
  }

  /// C = start + A·B for an A in chunks, each `[rows, depth]` with `aRow` floats between rows and `aChunk` between chunks;
  /// B has `bDepth` rows for each chunk, one after the other, panel by panel, and the first `depth` of them are used.
  ///
  /// - Parameter bPanel: rows of a panel of B, where there are more than those of the chunks.
  public func multiplyChunks(
    _ own: Range<Int>, rows: Int, depth: Int, chunks: Int, _ a: Floats, aRow: Int, aChunk: Int, _ b: Floats,
    bDepth: Int, bPanel: Int? = nil, _ panels: Panels, into c: MutableFloats, cRow: Int, start: Start
  ) {
    let panelRows = bPanel ?? chunks * bDepth
    // So much of A and of a panel of B stays in the second-level cache.
    let chunksAtOnce = max(1, 512 / depth)
    for row in stride(from: 0, to: rows, by: rowsAtOnce) {
      for chunk in stride(from: 0, to: chunks, by: chunksAtOnce) {
        for panel in own {
          var p = lstm_product()
          (p.rows, p.depth, p.chunks) = (min(rowsAtOnce, rows - row), depth, min(chunksAtOnce, chunks - chunk))
          (p.a, p.a_row, p.a_step, p.a_chunk) = (a + row * aRow + chunk * aChunk, aRow, 1, aChunk)
          (p.b, p.b_row) = (b + (panel * panelRows + chunk * bDepth) * panels.width, panels.width)
          p.b_chunk = bDepth * panels.width
          if panel + 1 < own.upperBound { p.next = p.b + chunks * p.b_chunk }
          p.setResult(c + row * cRow, row: cRow, panels, panel)
          p.begin(chunk == 0 ? start : .accumulate, panel, panels)
          product(&p)
        }
      }
    }
  }

  /// C += Aᵀ·B: the gradient of weights from inputs A `[depth, rows]` and output gradients B, for some panels of B.
  ///
  /// B is given panel by panel: rows of a panel are `bRow` floats apart, panels `bPanel` floats. It may be read up to one
  /// panel past its last column.
  ///
  /// - Parameter room: for a part of A that is put in the order of the tiles: the larger, the faster, up to 200 KB.
  public func accumulateTransposed(
    _ own: Range<Int>, rows: Int, depth: Int, _ a: Floats, aRow: Int, _ b: Floats, bRow: Int, bPanel: Int,
    _ panels: Panels, into c: MutableFloats, cRow: Int, room: UnsafeMutableBufferPointer<Float>? = nil
  ) {
    // A slab of rows of C stays in the second-level cache with the part of A that is for it. Panels of B come from further
    // away: each is fetched while the one before is at work.
    if rows == 0 { return }
    let slabs = (rows + 95) / 96
    let slab = ((rows + slabs - 1) / slabs + 23) / 24 * 24
    // Rows of A that lie far apart are slow to reach; in the order of the tiles they serve all panels.
    let tiles = own.count >= 4 && (room?.count ?? 0) >= 64 * slab ? room?.baseAddress : nil
    let chunk = tiles == nil ? 256 : min(512, (room?.count ?? 0) / slab)
    for row in stride(from: 0, to: rows, by: slab) {
      for done in stride(from: 0, to: depth, by: chunk) {
        let from = a + done * aRow + row
        var p = lstm_product()
        (p.rows, p.depth, p.chunks) = (min(slab, rows - row), min(chunk, depth - done), 1)
        (p.a_row, p.a_step, p.b_row, p.start) = (1, aRow, bRow, UInt32(LSTM_FROM_C))
        if let tiles { table.pointee.pack_tiles(panels.vectors, p.rows, p.depth, from, aRow, tiles) }
        for panel in own {
          let isTiled = tiles != nil && panels.valid(panel: panel, vector: panels.vectors - 1) == lanes
          (p.a, p.tiled) = isTiled ? (tiles.map { Floats($0) }, 1) : (from, 0)
          p.b = b + panel * bPanel + done * bRow
          if panel + 1 < own.upperBound {
            p.next = p.b + bPanel
          } else if done + chunk < depth {
            p.next = b + own.lowerBound * bPanel + (done + chunk) * bRow
          } else {
            p.next = nil
          }
          p.setResult(c + row * cRow, row: cRow, panels, panel)
          product(&p)
        }
      }
    }
  }
}

extension lstm_product {
  /// The columns of one panel of C.
  public mutating func setResult(_ c: MutableFloats, row: Int, _ panels: Panels, _ panel: Int) {
    (self.c, c_row) = (c, row)
    c_vector = (
      panels.column(panel: panel, vector: 0), panels.column(panel: panel, vector: 1),
      panels.column(panel: panel, vector: 2), panels.column(panel: panel, vector: 3)
    )
    valid = (
      panels.valid(panel: panel, vector: 0), panels.valid(panel: panel, vector: 1),
      panels.valid(panel: panel, vector: 2), panels.valid(panel: panel, vector: 3)
    )
  }

  /// What the sums of one panel begin with.
  public mutating func begin(_ start: Start, _ panel: Int, _ panels: Panels) {
    switch start {
    case .zero: self.start = UInt32(LSTM_FROM_ZERO)
    case .accumulate: self.start = UInt32(LSTM_FROM_C)
    case .row(let first): (self.start, self.first) = (UInt32(LSTM_FROM_ROW), first + panel * panels.width)
    }
  }
}
