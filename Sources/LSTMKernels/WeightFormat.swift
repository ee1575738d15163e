public import CLSTMKernels

/// How weights are packed. Packed weights are made of words of 32 bits in the place of floats; `lstm_kernels.h` has the
/// layouts.
///
/// The weights themselves stay floats, rounded to numbers that the format can hold, so that they are packed without loss.
/// Lines of weights are rounded together: of a matrix the weights that make one output, of an embedding a token's row.
public enum WeightFormat: Int, Sendable {
  case float32
  /// The upper halves of floats.
  case bfloat16
  /// Integers from -127 to 127, with a scale for each line.
  case int8

  /// Longest line of 8-bit weights: the sum of so many products fits its 32 bits.
  public static let longestLine = 65536

  /// Rows of words that a packed matrix of `depth` rows has.
  public func packedRows(_ depth: Int) -> Int {
    switch self {
    case .float32: depth
    case .bfloat16: (depth + 1) / 2
    case .int8: 2 + (depth + 3) / 4
    }
  }

  /// The scale of a line of weights. It has 17 significant bits, so that its products with the integers are exact: rounded
  /// weights have the same scale again, and the same integers.
  public static func scale(_ line: Floats, count: Int, step: Int) -> Float {
    var largest: Float = 0
    for i in 0..<count { largest = max(largest, line[i * step].magnitude) }
    return largest < 0x1p-100 ? 0 : Float(bitPattern: (largest / 127).bitPattern & ~0x7f)
  }

  /// The integer that a weight is rounded to.
  @inline(__always) public static func integer(_ weight: Float, scale: Float) -> Int8 {
    // Added to 1.5 · 2²³ a number is rounded to the nearest integer, and to even from the middle, in the low bits.
    scale == 0 ? 0 : Int8(truncatingIfNeeded: (weight / scale + 0x1.8p23).bitPattern)
  }

  /// Rounds a line to numbers of this format. They must be finite.
  public func round(_ line: MutableFloats, count: Int, step: Int) {
    switch self {
    case .float32: break
    case .bfloat16:
      for i in 0..<count {
        let bits = line[i * step].bitPattern
        // To the nearest, and to even from the middle; but not from the largest floats to infinity.
        let rounded = (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000
        line[i * step] = Float(bitPattern: rounded & 0x7f80_0000 == 0x7f80_0000 ? bits & 0xffff_0000 : rounded)
      }
    case .int8:
      let scale = WeightFormat.scale(line, count: count, step: step)
      for i in 0..<count { line[i * step] = scale * Float(WeightFormat.integer(line[i * step], scale: scale)) }
    }
  }

  /// Packs a line of `count` weights as a column of words, `apart` words from one to the next.
  func pack(_ line: Floats, count: Int, step: Int, into column: UnsafeMutablePointer<UInt32>, apart: Int) {
    switch self {
    case .float32:
      for i in 0..<count { column[i * apart] = line[i * step].bitPattern }
    case .bfloat16:
      for i in 0..<(count + 1) / 2 {
        let second = 2 * i + 1 < count ? line[(2 * i + 1) * step].bitPattern : 0x8000_0000
        column[i * apart] = line[2 * i * step].bitPattern >> 16 | second & 0xffff_0000
      }
    case .int8:
      let scale = WeightFormat.scale(line, count: count, step: step)
      var sum: Int32 = 0
      for i in 0..<(count + 3) / 4 {
        var word: UInt32 = 0
        for k in 4 * i..<min(4 * i + 4, count) {
          let integer = WeightFormat.integer(line[k * step], scale: scale)
          sum += Int32(integer)
          word |= UInt32(UInt8(bitPattern: integer)) << (8 * UInt32(k - 4 * i))
        }
        column[(2 + i) * apart] = word
      }
      column[0] = scale.bitPattern
      column[apart] = UInt32(bitPattern: -128 * sum)
    }
  }
}

/// Factors rounded to bytes for products with 8-bit weights, `[rows, width]` with rows a multiple of 4 bytes apart.
public struct RoundedRows {
  public let bytes: UnsafeMutablePointer<UInt8>
  public let scales: MutableFloats
  public let rowBytes: Int

  /// Floats that rows of so many bytes take.
  public static func count(width: Int) -> Int { (width + 3) / 4 }

  /// - Parameter memory: for `count(width:)` floats a row.
  public init(_ memory: MutableFloats, scales: MutableFloats, width: Int) {
    bytes = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: UInt8.self)
    self.scales = scales
    rowBytes = 4 * RoundedRows.count(width: width)
  }

  /// As the kernels want them, from row `first` on.
  public func from(_ first: Int) -> lstm_bytes {
    lstm_bytes(at: UnsafePointer(bytes + first * rowBytes), row: rowBytes, scale: Floats(scales + first))
  }
}

extension Kernels {
  /// What the kernels call a format.
  public func code(_ format: WeightFormat) -> UInt32 {
    switch format {
    case .float32: UInt32(LSTM_WEIGHTS_FLOAT32)
    case .bfloat16: UInt32(LSTM_WEIGHTS_BFLOAT16)
    case .int8: int8Code
    }
  }

  /// Rounds rows of x, or some columns of them, with the row's own scale.
  public func round(_ own: Range<Int>, width: Int, _ x: Floats, xRow: Int, to rounded: RoundedRows) {
    table.pointee.quantize(
      own.count, width, x + own.lowerBound * xRow, xRow, 0, rounded.bytes + own.lowerBound * rounded.rowBytes,
      rounded.rowBytes, rounded.scales + own.lowerBound)
  }

  /// Rounds some columns of rows of x, which lie within ±1, with a scale of 1/127 that is not written.
  public func round(rows: Int, columns: Range<Int>, _ x: Floats, xRow: Int, toUnit rounded: RoundedRows) {
    table.pointee.quantize(
      rows, columns.count, x + columns.lowerBound, xRow, 1, rounded.bytes + columns.lowerBound, rounded.rowBytes, nil)
  }
}
