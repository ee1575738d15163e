internal import LSTMKernels
internal import LSTMTensors

/// One step of all: the largest number of each feature, the mean, or the last step. Padding has no part in it; of a row
/// without a valid step it is zero.
///
/// Shapes: x [batch, timesteps, features], y [batch, features].
/// - Source: Keras's `GlobalMaxPooling1D` and `GlobalAveragePooling1D`.
final class GlobalPoolingLayer: Layer {
  enum Kind { case max, average, last }

  private let kind: Kind

  private init(_ kind: Kind, name: String, outputShape: Shape) {
    self.kind = kind
    super.init(name: name, outputShape: outputShape)
  }

  static func make(_ model: inout Construction, _ kind: Kind) throws(LSTMError) {
    try model.append(GlobalPoolingLayer(kind, name: model.name, outputShape: Shape(try model.sequence().last)))
  }

  override func outputSteps(_ steps: Int) -> Int { 1 }
  override var keepsTime: Bool { false }
  override var carriesState: Bool { true }
  override var changesMask: Bool { true }
  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? { nil }

  private var width: Int { outputShape.last }

  /// Places in the workspace: of the valid steps, and of where each maximum was.
  private struct Plan {
    let valid, at, count: Int

    init(_ layer: GlobalPoolingLayer, steps: Int, batch: Int, _ mode: Mode) {
      var plan = Carver()
      valid = plan.take(mode == .stream ? 0 : ValidSteps.count(steps: steps, batch: batch))
      at = plan.take(mode.keepsTape && layer.kind == .max ? batch : 0, layer.width)
      count = plan.count
    }
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode).count
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    if let state = pass.state { return step(x, into: y, state: state, pass) }
    let plan = Plan(self, steps: x.steps, batch: x.batch, pass.mode)
    let valid = ValidSteps(x, pass.workspace + plan.valid)
    let own = pass.part.range(of: x.batch)
    valid.find(own)
    // Without padding the rows of a step are one.
    for line in valid.isWhole ? own.lowerBound..<min(own.upperBound, own.lowerBound + 1) : own {
      let count = width * (valid.isWhole ? own.count : 1)
      let to = y.values + line * width
      let at = pass.mode.keepsTape && kind == .max ? pass.workspace + plan.at + line * width : nil
      to.clear(count)
      let steps = valid.count(line)
      for i in kind == .last ? max(0, steps - 1)..<steps : 0..<steps {
        let place = valid.place(line, i)
        take(x.values + place * x.width, place - line, into: to, count, at: at, isFirst: i == 0, pass.kernels)
      }
      if kind == .average { pass.kernels.scale(count, by: 1 / Float(max(1, steps)), to) }
    }
  }

  /// Adds a step to what has been seen.
  private func take(
    _ x: Floats, _ index: Int, into to: MutableFloats, _ count: Int, at: MutableFloats?, isFirst: Bool,
    _ kernels: Kernels
  ) {
    switch kind {
    case .average: kernels.add(count, x, to: to)
    case .max where !isFirst: kernels.maximum(count, x, index: index, to: to, at: at)
    case .max, .last:
      to.copy(from: x, count: count)
      at?.update(repeating: Float(bitPattern: UInt32(truncatingIfNeeded: index)), count: count)
    }
  }

  // MARK: Streaming

  /// What has been seen, and how many steps.
  override func statePieces(_ kernels: Kernels) -> [StatePiece] {
    let seen = StatePiece(blocks: 1, lanes: width, meaningful: width)
    return kind == .last ? [seen] : [seen, StepCount.piece]
  }

  private func step(_ x: Signal, into y: Signal, state: MutableFloats, _ pass: Pass) {
    for row in pass.part.range(of: x.batch) {
      let (seen, count) = (state + row * width, StepCount(state + x.batch * width + 2 * row))
      if x.mask.map({ $0[row] != 0 }) ?? true {
        take(
          x.values + row * width, 0, into: seen, width, at: nil, isFirst: kind != .last && count.value == 0,
          pass.kernels)
        if kind != .last { count.increment() }
      }
      (y.values + row * width).copy(from: seen, count: width)
      if kind == .average { pass.kernels.scale(width, by: 1 / Float(max(1, count.value)), y.values + row * width) }
    }
  }

  // MARK: Backward

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    let plan = Plan(self, steps: x.steps, batch: x.batch, pass.mode)
    let valid = ValidSteps(x, pass.workspace + plan.valid)
    for row in pass.part.range(of: x.batch) {
      x.clear(row, of: dx)
      let (steps, from) = (valid.count(row), dy + row * width)
      if steps == 0 { continue }
      switch kind {
      case .last: (dx + valid.place(row, steps - 1) * width).copy(from: from, count: width)
      case .average:
        for i in 0..<steps {
          pass.kernels.add(width, 1 / Float(steps), times: from, to: dx + valid.place(row, i) * width)
        }
      case .max:
        let at = pass.workspace + plan.at + row * width
        for i in 0..<width { dx[(Int(at[i].bitPattern) + row) * width + i] = from[i] }
      }
    }
  }
}

extension Signal {
  /// Clears all steps of a row of numbers that lie as this signal's do.
  func clear(_ row: Int, of numbers: MutableFloats) {
    for step in 0..<steps where row < rows(at: step) { (numbers + (first(step) + row) * width).clear(width) }
  }
}
