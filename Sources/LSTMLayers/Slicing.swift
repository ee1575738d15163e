internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// Some timesteps of each row, or all with zeros around them: `slice` along time, `cropping` and `zero_padding`.
///
/// - Shapes: x [batch, timesteps, ...], y [batch, outputs, ...].
/// - A row's steps are counted as if its padding were not there, so that its last step is its own.
/// - Source: Python's slices; Keras's `Cropping1D` and `ZeroPadding1D`.
final class TimeSliceLayer: Layer {
  /// The first step, and the one behind the last; negative ones count from the end, nil is the end.
  private let start: Int
  private let stop: Int?
  /// Zeros before and after.
  private let zeros: (before: Int, after: Int)
  private let type: StaticString
  private let width: Int

  private init(
    _ type: StaticString, start: Int, stop: Int?, zeros: (before: Int, after: Int), name: String, shape: Shape
  ) {
    (self.type, self.start, self.stop, self.zeros) = (type, start, stop, zeros)
    var width = 1
    for axis in 1..<shape.rank { width = Carver.product(width, shape[axis]) }
    self.width = width
    super.init(name: name, outputShape: shape)
  }

  /// No number of steps is larger, so that sums stay far from overflow.
  private static let limit = 1 << 31

  static func makeCropping(_ model: inout Construction) throws(LSTMError) {
    let (before, after) = try readPair(model.fields, default: 1)
    try append(&model, "cropping", start: before, stop: after == 0 ? nil : -after, zeros: (0, 0))
  }

  static func makeZeroPadding(_ model: inout Construction) throws(LSTMError) {
    try append(&model, "zero_padding", start: 0, stop: nil, zeros: try readPair(model.fields, default: 1))
  }

  /// Of the timesteps, or of the features.
  static func makeSlice(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let ofTime = try fields.choice("axis", ["features", "time"], default: 0) == 1
    let start = try fields.integer("start", -limit...limit, default: 0)
    let stop = try fields.optionalInteger("stop", -limit...limit)
    if ofTime {
      if let stop, (start < 0) == (stop < 0) ? stop <= start : stop == 0 {
        throw .argument("\(fields.path).stop: expected a timestep behind that of start, \(start), got \(stop)")
      }
      return try append(&model, "slice", start: start, stop: stop, zeros: (0, 0))
    }
    let shape = try model.values()
    let range = range(of: shape.last, start, stop)
    guard !range.isEmpty else {
      throw .argument("\(fields.path).stop: expected at least one of \(shape.last) features, got none")
    }
    try model.append(FeatureSliceLayer(range, name: model.name, shape: shape))
  }

  /// The fields 'before' and 'after'.
  private static func readPair(
    _ fields: Fields, default standard: Int
  ) throws(LSTMError) -> (before: Int, after: Int) {
    (
      try fields.integer("before", 0...limit, default: standard),
      try fields.integer("after", 0...limit, default: standard)
    )
  }

  private static func append(
    _ model: inout Construction, _ type: StaticString, start: Int, stop: Int?, zeros: (before: Int, after: Int)
  ) throws(LSTMError) {
    var shape = try model.values(rank: 2)
    if shape[0] != Shape.any {
      let outputs = range(of: shape[0], start, stop).count + zeros.before + zeros.after
      guard outputs > 0 else {
        throw .argument("\(model.fields.path): expected to leave at least one timestep of \(shape.text), got none")
      }
      shape[0] = outputs
    }
    try model.append(TimeSliceLayer(type, start: start, stop: stop, zeros: zeros, name: model.name, shape: shape))
  }

  /// Those of `count` things that a slice of Python's takes.
  private static func range(of count: Int, _ start: Int, _ stop: Int?) -> Range<Int> {
    func place(_ i: Int) -> Int { max(0, min(count, i < 0 ? count + i : i)) }
    let first = place(start)
    return first..<max(first, stop.map(place) ?? count)
  }

  private func range(_ steps: Int) -> Range<Int> { TimeSliceLayer.range(of: steps, start, stop) }

  override func outputSteps(_ steps: Int) -> Int { range(steps).count + zeros.before + zeros.after }
  override var acceptedSteps: ClosedRange<Int> {
    if zeros.before + zeros.after > 0 { return 1...Int.max }
    // From the same end, the slice is as long as its bounds say once there is a step behind the first; from different ones
    // there must be steps between.
    guard let stop else { return (start < 0 ? 1 : start + 1)...Int.max }
    if (start < 0) == (stop < 0) { return (start < 0 ? 1 - stop : start + 1)...Int.max }
    return start < 0 ? 1...stop - start - 1 : start - stop + 1...Int.max
  }
  override var keepsTime: Bool { false }
  override var allowsTrimming: Bool { false }
  override var needsFuture: StaticString? { type }
  override var changesMask: Bool { true }

  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    ValidSteps.mask(of: x, steps: outputSteps(x.steps), memory) { $0 == 0 ? 0 : outputSteps($0) }
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    ValidSteps.count(steps: steps, batch: batch)
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let valid = ValidSteps(x, pass.workspace)
    let own = pass.part.range(of: x.batch)
    valid.find(own)
    for row in own {
      y.clear(row, of: y.values)
      forEachCopy(row, valid, batch: x.batch) { (from, to) in
        (y.values + to).copy(from: x.values + from, count: width)
      }
    }
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    let valid = ValidSteps(x, pass.workspace)
    for row in pass.part.range(of: x.batch) {
      x.clear(row, of: dx)
      forEachCopy(row, valid, batch: x.batch) { (from, to) in (dx + from).copy(from: dy + to, count: width) }
    }
  }

  /// Calls `body` with a place in the input and that in the output where the same numbers stand, for each step of a row.
  private func forEachCopy(_ row: Int, _ valid: ValidSteps, batch: Int, _ body: (Int, Int) -> Void) {
    for (i, step) in range(valid.count(row)).enumerated() {
      body(valid.place(row, step) * width, ((i + zeros.before) * batch + row) * width)
    }
  }
}

/// y = x[..., start ..< stop]. Shapes: x [..., features], y [..., stop - start].
private final class FeatureSliceLayer: Layer {
  private let range: Range<Int>
  private let features: Int

  init(_ range: Range<Int>, name: String, shape: Shape) {
    (self.range, features) = (range, shape.last)
    super.init(name: name, outputShape: shape.replacingLast(range.count))
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    for line in pass.part.range(of: x.count / features) {
      (y.values + line * range.count).copy(from: x.values + line * features + range.lowerBound, count: range.count)
    }
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    for line in pass.part.range(of: x.count / features) {
      (dx + line * features).clear(features)
      (dx + line * features + range.lowerBound).copy(from: dy + line * range.count, count: range.count)
    }
  }
}
