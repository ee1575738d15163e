import CLSTMKernels
import LSTMTestSupport
import Testing

/// The forms in which a set multiplies with 8-bit weights here.
private func int8Forms(_ set: KernelSet) -> [UInt32] {
  set.int8 == UInt32(LSTM_WEIGHTS_INT8) ? [set.int8] : [UInt32(LSTM_WEIGHTS_INT8), set.int8]
}

/// A matrix of weights as floats, and packed by the words of the contract.
private struct Matrix {
  let depth: Int, columns: Int
  /// Of bfloat16: numbers of 8 bits. Of int8: integers.
  let values: [Float]
  let scales: [Float]

  init(depth: Int, columns: Int, integers: Bool, _ numbers: inout Generator) {
    (self.depth, self.columns) = (depth, columns)
    if integers {
      values = numbers.integers(depth * columns, in: -127..<128).map { Float($0) }
      // Powers of two: products with them are exact.
      scales = numbers.integers(columns, in: -9 ..< -3).map { Float(sign: .plus, exponent: $0, significand: 1) }
    } else {
      values = numbers.floats(depth * columns).map { Float(bitPattern: $0.bitPattern & 0xffff_0000) }
      scales = []
    }
  }

  /// [depth][columns] as floats, or as words.
  func words(_ format: Int) -> [UInt32] {
    func value(_ k: Int, _ j: Int) -> Float { values[k * columns + j] }
    if format == LSTM_WEIGHTS_FLOAT32 { return values.map(\.bitPattern) }
    if format == LSTM_WEIGHTS_BFLOAT16 {
      return (0..<(depth + 1) / 2).flatMap { pair in
        (0..<columns).map { j in
          let upper: UInt32 = 2 * pair + 1 < depth ? value(2 * pair + 1, j).bitPattern : 0x8000_0000
          return upper | value(2 * pair, j).bitPattern >> 16
        }
      }
    }
    let sums = (0..<columns).map { j in (0..<depth).reduce(0) { $0 + Int32(value($1, j)) } }
    return scales.map(\.bitPattern) + sums.map { UInt32(bitPattern: -128 * $0) }
      + (0..<(depth + 3) / 4).flatMap { four in
        (0..<columns).map { j in
          (0..<4).reduce(UInt32(0)) { word, i in
            let k = 4 * four + i
            let byte = k < depth ? UInt8(bitPattern: Int8(value(k, j))) : 0
            return word | UInt32(byte) << (8 * UInt32(i))
          }
        }
      }
  }
}

private func floats(_ words: [UInt32]) -> [Float] { words.map(Float.init(bitPattern:)) }

/// Rows of bytes with their scales; what lies behind a row is garbage.
private struct Bytes {
  let row: Int
  let bytes: [UInt8]
  let scales: [Float]

  init(rows: Int, width: Int, _ numbers: inout Generator) {
    row = (width + 3) / 4 * 4 + 4
    bytes = numbers.integers(rows * row + 4, in: 1..<256).map { UInt8($0) }
    scales = numbers.integers(rows, in: -9 ..< -3).map { Float(sign: .plus, exponent: $0, significand: 1) }
  }

  func integer(_ r: Int, _ k: Int) -> Int { Int(bytes[r * row + k]) - 128 }

  func with<R>(_ body: (lstm_bytes) -> R) -> R {
    bytes.withUnsafeBufferPointer { bytes in
      scales.withUnsafeBufferPointer { body(lstm_bytes(at: bytes.baseAddress, row: row, scale: $0.baseAddress)) }
    }
  }

  /// The sum of the products with a column.
  func sum(_ r: Int, _ matrix: Matrix, _ j: Int) -> Int {
    (0..<matrix.depth).reduce(0) { $0 + integer(r, $1) * Int(matrix.values[$1 * matrix.columns + j]) }
  }
}

extension lstm_bytes {
  fileprivate func from(_ r: Int) -> lstm_bytes { lstm_bytes(at: at + r * row, row: row, scale: scale + r) }
}

@Suite struct CompressedTests {
  // MARK: Products

  private func product(
    _ set: KernelSet, _ rows: Range<Int>, _ a: [Float], _ bytes: lstm_bytes?, _ matrix: Matrix, _ format: UInt32,
    valid: [Int], start: Int, first: [Float], c: [Float]
  ) -> [Float] {
    let (lanes, depth) = (set.lanes, matrix.depth), at = rows.lowerBound
    let words = floats(matrix.words(format == LSTM_WEIGHTS_INT8_DOT ? Int(LSTM_WEIGHTS_INT8) : Int(format)))
    return onCopies(of: a, words, first, c) { p in
      var product = lstm_product()
      (product.rows, product.depth, product.chunks) = (rows.count, depth, 1)
      (product.a, product.a_row, product.a_step) = (UnsafePointer(p[0] + at * (depth + 1)), depth + 1, 1)
      (product.b, product.b_row) = (UnsafePointer(p[1]), 4 * lanes)
      (product.c, product.c_row) = (p[3] + at * 4 * lanes, 4 * lanes)
      product.c_vector = (0, lanes, 2 * lanes, 3 * lanes)
      product.valid = (valid[0], valid[1], valid[2], valid[3])
      (product.start, product.first) = (UInt32(start), UnsafePointer(p[2]))
      product.format = format
      if let bytes { product.a_bytes = bytes.from(at) }
      set.table.product(&product)
    }[3]
  }

  /// Halves of floats give the bits of floats, 8-bit weights the exact integers times the scales, for every height of tile,
  /// odd depths, partial vectors and each start; rows alone give what they give together.
  @Test(arguments: KernelSet.all) func productsAreExact(set: KernelSet) {
    let lanes = set.lanes
    let widths = [[lanes, lanes, lanes, lanes], [lanes, lanes, 3, 0], [lanes, 0, 0, 0], [1, 0, 0, 0]]
    var numbers = Generator(3)
    for (turn, rows) in [0, 1, 2, 3, 5, 6, 7, 13, 25].enumerated() {
      for depth in [0, 1, 2, 3, 4, 7, 37, 64] {
        let valid = widths[(turn + depth) % 4]
        let start = [LSTM_FROM_ZERO, LSTM_FROM_C, LSTM_FROM_ROW][(turn + depth / 2) % 3]
        // Whole numbers, to which the exact sums are added without rounding.
        let first = numbers.integers(4 * lanes, in: -50..<50).map { Float($0) }
        let old = numbers.integers(rows * 4 * lanes, in: -50..<50).map { Float($0) }
        let c = start == LSTM_FROM_C ? old : old.map { _ in untouched }
        let a = numbers.floats(rows * (depth + 1))

        let halves = Matrix(depth: depth, columns: 4 * lanes, integers: false, &numbers)
        func run(_ format: UInt32, _ range: Range<Int>) -> [Float] {
          product(set, range, a, nil, halves, format, valid: valid, start: Int(start), first: first, c: c)
        }
        let expected = run(UInt32(LSTM_WEIGHTS_FLOAT32), 0..<rows), got = run(UInt32(LSTM_WEIGHTS_BFLOAT16), 0..<rows)
        #expect(bits(got) == bits(expected), "\(rows) rows, depth \(depth), \(valid)")

        let integers = Matrix(depth: depth, columns: 4 * lanes, integers: true, &numbers)
        let bytes = Bytes(rows: rows, width: depth, &numbers)
        for format in int8Forms(set) {
          bytes.with { factors in
            func run(_ range: Range<Int>) -> [Float] {
              product(set, range, a, factors, integers, format, valid: valid, start: Int(start), first: first, c: c)
            }
            let got = run(0..<rows)
            let wrong = (0..<got.count).count { at in
              let (r, j) = (at / (4 * lanes), at % (4 * lanes))
              if j % lanes >= valid[j / lanes] { return got[at].bitPattern != c[at].bitPattern }
              let begin = start == LSTM_FROM_C ? c[at] : start == LSTM_FROM_ROW ? first[j] : 0
              let term = Double(bytes.sum(r, integers, j)) * Double(bytes.scales[r] * integers.scales[j])
              // Every number here is exact but for the last addition.
              return got[at] != Float(Double(begin) + term)
            }
            #expect(wrong == 0, "\(rows) rows, depth \(depth), \(valid), format \(format)")
            for r in 0..<rows {
              let row = r * 4 * lanes..<(r + 1) * 4 * lanes
              #expect(bits(run(r..<r + 1)[row]) == bits(got[row]), "row \(r) of \(rows)")
            }
          }
        }
      }
    }
  }

  // MARK: Cells

  /// The gates before activation, with linear activations, of blocks of LSTM or GRU units.
  private func gates(
    _ set: KernelSet, gru: Bool, _ rows: Range<Int>, of all: Int, units: Int, x: [Float], h: [Float],
    bytes: (lstm_bytes, lstm_bytes)?, _ blocks: [(Matrix, Matrix)], bias: [Float], _ format: UInt32
  ) -> [Float] {
    let lanes = set.lanes, at = rows.lowerBound, count = blocks.count
    let (inputs, hidden) = (blocks[0].0.depth, blocks[0].1.depth)
    let packing = format == LSTM_WEIGHTS_INT8_DOT ? Int(LSTM_WEIGHTS_INT8) : Int(format)
    let words = floats(blocks.flatMap { (inputs > 0 ? $0.0.words(packing) : []) + $0.1.words(packing) })
    let state = [Float](repeating: 0.5, count: count * all * lanes)
    let zeros = [Float](repeating: 0, count: all * units)
    return onCopies(of: x, h, words, bias, state, zeros, [Float](repeating: 0, count: 4 * state.count)) { p in
      var step = lstm_cell_forward()
      (step.rows, step.inputs, step.hidden, step.units) = (rows.count, inputs, hidden, units)
      (step.x, step.x_row) = (UnsafePointer(p[0] + at * inputs), inputs)
      (step.h, step.h_row) = (UnsafePointer(p[1] + at * hidden), hidden)
      step.h_own = step.h
      (step.weights, step.bias) = (UnsafePointer(p[2]), UnsafePointer(p[3]))
      step.weights_block = words.count / count
      (step.c, step.c_next) = (UnsafePointer(p[4] + at * lanes), p[4] + at * lanes)
      (step.c_row, step.c_block) = (lanes, all * lanes)
      (step.h_next, step.h_next_row) = (p[5] + at * units, units)
      (step.gates, step.gates_block) = (p[6] + at * 4 * lanes, 4 * all * lanes)
      (step.activation, step.recurrent_activation) = (UInt32(LSTM_LINEAR), UInt32(LSTM_LINEAR))
      step.format = format
      if let bytes { (step.x_bytes, step.h_bytes) = (bytes.0.from(at), bytes.1.from(at)) }
      if gru { set.table.gru_forward(&step) } else { set.table.lstm_forward(&step) }
    }[6]
  }

  @Test(arguments: KernelSet.all, [false, true]) func cellsAreExact(set: KernelSet, gru: Bool) {
    let lanes = set.lanes, width = gru ? 3 : 4
    var numbers = Generator(gru ? 7 : 8)
    for (turn, rows) in [1, 1, 1, 2, 3, 6, 7, 13, 25].enumerated() {
      let blockCount = [1, 2, 5, 3][turn % 4], units = blockCount * lanes - turn % 2
      // Longer than what floats sum in two halves.
      let (inputs, hidden) = ([3, 0, 8, 1, 5][turn % 5], max(17, units) + turn % 3)
      let x = numbers.floats(rows * inputs), h = numbers.floats(rows * hidden)
      let bias = numbers.integers(blockCount * 4 * lanes, in: -50..<50).map { Float($0) }
      func blocks(_ integers: Bool, _ numbers: inout Generator) -> [(Matrix, Matrix)] {
        (0..<blockCount).map { _ in
          (
            Matrix(depth: inputs, columns: width * lanes, integers: integers, &numbers),
            Matrix(depth: hidden, columns: width * lanes, integers: integers, &numbers)
          )
        }
      }
      let halves = blocks(false, &numbers)
      func run(_ format: Int) -> [Float] {
        gates(
          set, gru: gru, 0..<rows, of: rows, units: units, x: x, h: h, bytes: nil, halves, bias: bias, UInt32(format))
      }
      #expect(bits(run(Int(LSTM_WEIGHTS_BFLOAT16))) == bits(run(Int(LSTM_WEIGHTS_FLOAT32))), "\(rows) rows")

      let integers = blocks(true, &numbers)
      let (xBytes, hBytes) = (
        Bytes(rows: rows, width: inputs, &numbers), Bytes(rows: rows, width: hidden, &numbers)
      )
      for format in int8Forms(set) {
        func run(_ range: Range<Int>) -> [Float] {
          xBytes.with { x8 in
            hBytes.with { h8 in
              gates(
                set, gru: gru, range, of: rows, units: units, x: x, h: h, bytes: (x8, h8), integers, bias: bias, format)
            }
          }
        }
        let got = run(0..<rows)
        let wrong = (0..<got.count).count { at in
          let (block, r, gate, lane) = (
            at / (rows * 4 * lanes), at / (4 * lanes) % rows, at / lanes % 4, at % lanes
          )
          if block * lanes + lane >= units { return false }
          /// bias, then x, then h: each a rounded addition.
          func with(_ sum: Float, _ bytes: Bytes, _ matrix: Matrix, _ vector: Int) -> Float {
            if vector < 0 || vector >= width { return sum }
            let j = vector * lanes + lane
            return Float(
              Double(sum) + Double(bytes.sum(r, matrix, j)) * Double(bytes.scales[r] * matrix.scales[j]))
          }
          let fromX = with(bias[(block * 4 + gate) * lanes + lane], xBytes, integers[block].0, gate)
          return got[at] != with(fromX, hBytes, integers[block].1, gru ? gate - 1 : gate)
        }
        #expect(wrong == 0, "\(rows) rows, \(blockCount) blocks, \(inputs) and \(hidden), format \(format)")
        for r in 0..<rows {
          let alone = run(r..<r + 1)
          for block in 0..<blockCount {
            let row = (block * rows + r) * 4 * lanes..<(block * rows + r + 1) * 4 * lanes
            #expect(bits(alone[row]) == bits(got[row]), "row \(r) of \(rows), block \(block)")
          }
        }
      }
    }
  }

  // MARK: Rounding to bytes

  private func rounded(
    _ set: KernelSet, _ x: [Float], rows: Int, limit: Float
  ) -> (bytes: [UInt8], scales: [Float]) {
    let width = x.count / max(rows, 1), row = width + 3
    var bytes = [UInt8](repeating: 77, count: rows * row), scales = [Float](repeating: untouched, count: rows)
    set.table.quantize(rows, width, x, width, limit, &bytes, row, &scales)
    for r in 0..<rows { #expect(bytes[r * row + width..<(r + 1) * row].allSatisfy { $0 == 77 }, "past the row") }
    return ((0..<rows).flatMap { bytes[$0 * row..<$0 * row + width] }, scales)
  }

  @Test(arguments: KernelSet.all) func bytesAreTheNearest(set: KernelSet) {
    var numbers = Generator(12)
    for width in [1, 3, set.lanes, 2 * set.lanes + 1, 100] {
      let size = Float(sign: .plus, exponent: width - 50, significand: 1)
      let x = numbers.floats(3 * width).map { $0 * size } + [Float](repeating: -0.0, count: width)
      let (bytes, scales) = rounded(set, x, rows: 4, limit: 0)
      for r in 0..<4 {
        let row = x[(r * width)..<((r + 1) * width)].map { Double($0) }
        let largest = row.map(\.magnitude).max() ?? 0
        #expect(scales[r] == Float(largest) / 127)
        for (k, value) in row.enumerated() {
          let exact = largest == 0 ? 0 : value / largest * 127, got = Double(bytes[r * width + k]) - 128
          // The quotient is rounded twice before it is rounded to an integer.
          #expect(abs(got - exact) <= 0.5 + 127 * 0x1p-22, "\(value) of \(largest)")
        }
        if largest > 0 { #expect(bytes[r * width..<(r + 1) * width].contains { $0 == 1 || $0 == 255 }) }
      }
    }
  }

  @Test(arguments: KernelSet.all) func rowsOfTheEndsOfTheRange(set: KernelSet) {
    let largest = Float.greatestFiniteMagnitude
    let rows: [[Float]] = [
      [largest, -largest, 0, 1], [0x1p-101, -0x1p-120, 0, 0], [1, .nan, 2, 3], [.infinity, 1, 2, 3],
      [-1, -.infinity, 2, .nan], [0x1p-99, 0, 0x1p-100, -0x1p-99],
    ]
    let (bytes, scales) = rounded(set, rows.flatMap { $0 }, rows: rows.count, limit: 0)
    #expect(Array(bytes[..<8]) == [255, 1, 128, 128, 128, 128, 128, 128])
    #expect(scales[0] == largest / 127 && scales[1] == 0 && scales[2...4].allSatisfy { $0.isNaN })
    #expect(Array(bytes[20...]) == [255, 128, 192, 1])
    // 63.5 lies in the middle and goes to the even 64.
    let halves = rounded(set, [0.5, -0.5, 1, 1.5, -3, 0.25 / 127, 0], rows: 1, limit: 1)
    #expect(halves.bytes == [192, 64, 255, 255, 1, 128, 128] && halves.scales == [1 / 127])
  }

  /// The same in every set, so that models round alike wherever they run.
  @Test func bytesAreTheSameInEverySet() {
    var numbers = Generator(2)
    let x = numbers.floats(9 * 131)
    let all = KernelSet.all.map { rounded($0, x, rows: 9, limit: 0) }
    #expect(all.allSatisfy { $0.bytes == all[0].bytes && bits($0.scales) == bits(all[0].scales) })
  }
}
