public import LSTMModels
public import LSTMTensors

/// Which steps of which rows are padding.
public enum Padding: Sendable, CaseIterable {
  case none
  /// Rows end at different steps, one of them at once.
  case lengths
  /// Rows end at different steps, none at once.
  case ends
  /// Padding stands anywhere; one row is all of it.
  case gaps

  /// Whether a step is valid. The last row of several is empty.
  public func isValid(row: Int, of rows: Int, step: Int, of steps: Int) -> Bool {
    switch self {
    case .none: true
    case .lengths, .ends: step < length(row: row, of: rows, steps)
    case .gaps: (row + 1 < rows || rows == 1) && (row + 2 * step) % 3 != 0
    }
  }

  func length(row: Int, of rows: Int, _ steps: Int) -> Int {
    self == .lengths && row + 1 == rows && rows > 1 ? 0 : max(1, steps - row % max(1, steps))
  }
}

/// Rows of input for a model, in memory of their own.
public final class Sample {
  public let view: ArrayView
  private let memory: [AnyObject]

  private init(_ view: ArrayView, _ memory: [AnyObject]) { (self.view, self.memory) = (view, memory) }

  public var rows: Int { view.rows }

  /// Random input of the shape that a model reads. The same for the same seed, whatever stands in the padding.
  ///
  /// - Parameters:
  ///   - steps: where the description leaves their number open.
  ///   - filler: what stands in the padding: of numbers NaN, of tokens one that the model does not know.
  public static func make(
    for model: Model, rows: Int, steps: Int, padding: Padding = .none, fillsPadding: Bool = true, seed: UInt64 = 1
  ) -> Sample {
    var random = Generator(seed)
    switch model.input {
    case .strings:
      let words = ["red", "green", "blue", "black", "white", "no"]
      return texts(
        (0..<rows).map { row in
          (0..<max(1, steps - row % steps)).map { _ in words.randomElement(using: &random)! }.joined(separator: " ")
        })
    case .tokens(_, let vocabulary, _):
      var tokens = random.integers(rows * steps, in: 0..<vocabulary).map { Int32($0) }
      if fillsPadding { padding.fill(&tokens, rows, steps, with: 123_456_789) }
      return padded(tokens, .int32, Shape(rows, steps), padding)
    case .values(var shape):
      if shape[0] == Shape.any { shape[0] = steps }
      let full = shape.prepending(rows)
      var values = random.floats((0..<full.rank).reduce(1) { $0 * full[$1] })
      if fillsPadding, shape.rank > 1 { padding.fill(&values, rows, shape[0], with: .nan) }
      return padded(values, .float32, full, padding)
    }
  }

  public static func numbers(_ values: [Float], _ shape: Shape) -> Sample { padded(values, .float32, shape, .none) }

  public static func texts(_ texts: [String]) -> Sample {
    let bytes = texts.map { Numbers(Array($0.utf8) + [0]) }
    let pointers = Numbers(bytes.map { UnsafePointer<UInt8>?($0.start) })
    let view = ArrayView(
      name: "x", element: .string, data: pointers.start, shape: Shape(texts.count), strides: Shape(8))
    return Sample(view, bytes + [pointers])
  }

  private static func padded<T: BitwiseCopyable>(
    _ values: [T], _ element: ArrayView.Element, _ shape: Shape, _ padding: Padding
  ) -> Sample {
    let memory = Numbers(values)
    let rows = shape[0]
    let steps = shape.rank > 1 ? shape[1] : 1
    let lengths = Numbers((0..<rows).map { Int64(padding.length(row: $0, of: rows, steps)) })
    let mask = Numbers(
      (0..<rows * steps).map { place -> UInt8 in
        padding.isValid(row: place / steps, of: rows, step: place % steps, of: steps) ? 1 : 0
      })
    let view = ArrayView(
      name: "x", element: element, data: memory.start, shape: shape, strides: rowMajorStrides(shape, element.size),
      lengths: padding == .lengths || padding == .ends ? UnsafePointer(lengths.start) : nil,
      mask: padding == .gaps ? UnsafePointer(mask.start) : nil)
    return Sample(view, [memory, lengths, mask])
  }
}

/// In bytes.
public func rowMajorStrides(_ shape: Shape, _ elementSize: Int) -> Shape {
  var strides = shape
  var size = elementSize
  for axis in stride(from: shape.rank - 1, through: 0, by: -1) {
    strides[axis] = size
    size *= shape[axis]
  }
  return strides
}

extension Padding {
  fileprivate func fill<T>(_ values: inout [T], _ rows: Int, _ steps: Int, with filler: T) {
    let width = values.count / (rows * steps)
    for row in 0..<rows {
      for step in 0..<steps where !isValid(row: row, of: rows, step: step, of: steps) {
        let place = (row * steps + step) * width
        for i in place..<place + width { values[i] = filler }
      }
    }
  }
}
