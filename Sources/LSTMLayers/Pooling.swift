internal import LSTMKernels
internal import LSTMTensors

/// The largest number of each feature in a window of timesteps, or the mean of those that there are.
///
/// - Shapes: x [batch, timesteps, features], y [batch, outputs, features].
/// - A row is pooled as if its padding were not there.
/// - Source: Keras's `MaxPooling1D` and `AveragePooling1D`.
final class PoolingLayer: Layer {
  private let window: Window
  private let isMax: Bool
  private let features: Int

  private init(_ window: Window, isMax: Bool, name: String, outputShape: Shape) {
    (self.window, self.isMax, features) = (window, isMax, outputShape.last)
    super.init(name: name, outputShape: outputShape)
  }

  static func make(_ model: inout Construction, isMax: Bool) throws(LSTMError) {
    let window = try Window.ofPooling(model.fields)
    let shape = try window.inputShape(model)
    try model.append(
      PoolingLayer(
        window, isMax: isMax, name: model.name, outputShape: window.outputShape(shape, features: shape.last)))
  }

  override func outputSteps(_ steps: Int) -> Int { window.outputs(steps) }
  override var acceptedSteps: ClosedRange<Int> { window.acceptedSteps }
  override var keepsTime: Bool { window.keepsTime }
  override var allowsTrimming: Bool { keepsTime }
  override var needsFuture: StaticString? { window.needsFuture }
  override var changesMask: Bool { !keepsTime }

  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    keepsTime ? x.mask : ValidSteps.mask(of: x, steps: outputSteps(x.steps), memory) { window.outputs($0) }
  }

  /// Places in the workspace: of the valid steps, and of where each maximum was.
  private struct Plan {
    let valid, at, count: Int

    init(_ layer: PoolingLayer, steps: Int, batch: Int, _ mode: Mode) {
      var plan = Carver()
      valid = plan.take(ValidSteps.count(steps: steps, batch: batch))
      at = plan.take(mode.keepsTape && layer.isMax ? layer.outputSteps(steps) : 0, batch, layer.features)
      count = plan.count
    }
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode).count
  }

  /// The valid steps that output `i` of a row with so many of them reads.
  private func steps(of i: Int, _ count: Int) -> Range<Int> {
    let first = i * window.stride - window.before(count)
    return max(0, first)..<min(count, first + window.size)
  }

  /// The row, among those of all steps, of output `i` of a row.
  private func place(_ i: Int, _ row: Int, _ valid: ValidSteps, batch: Int) -> Int {
    keepsTime ? valid.place(row, i) : i * batch + row
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let plan = Plan(self, steps: x.steps, batch: x.batch, pass.mode)
    let valid = ValidSteps(x, pass.workspace + plan.valid)
    let own = pass.part.range(of: x.batch)
    valid.find(own)
    // Without padding the rows of a step are one.
    let width = features * (valid.isWhole ? own.count : 1)
    for line in valid.isWhole ? own.lowerBound..<min(own.upperBound, own.lowerBound + 1) : own {
      let count = valid.count(line)
      for i in 0..<window.outputs(count) {
        let (steps, to) = (steps(of: i, count), place(i, line, valid, batch: x.batch) * features)
        let at = pass.mode.keepsTape && isMax ? pass.workspace + plan.at + to : nil
        pool(steps, x, valid, line, into: y.values + to, width, at: at, pass.kernels)
      }
    }
    guard y.mask != nil else { return }
    pass.part.meet()
    clearPadding(y.values, width: features, y.mask, pass.part.range(of: y.rows))
  }

  private func pool(
    _ steps: Range<Int>, _ x: Signal, _ valid: ValidSteps, _ line: Int, into to: MutableFloats, _ width: Int,
    at: MutableFloats?, _ kernels: Kernels
  ) {
    for step in steps {
      let place = valid.place(line, step)
      let from = x.values + place * features
      if step == steps.lowerBound {
        to.copy(from: from, count: width)
        at?.update(repeating: Float(bitPattern: UInt32(truncatingIfNeeded: place - line)), count: width)
      } else if isMax {
        kernels.maximum(width, from, index: place - line, to: to, at: at)
      } else {
        kernels.add(width, from, to: to)
      }
    }
    if !isMax { kernels.scale(width, by: 1 / Float(steps.count), to) }
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    let plan = Plan(self, steps: x.steps, batch: x.batch, pass.mode)
    let valid = ValidSteps(x, pass.workspace + plan.valid)
    for row in pass.part.range(of: x.batch) {
      x.clear(row, of: dx)
      let count = valid.count(row)
      for i in 0..<window.outputs(count) {
        let from = place(i, row, valid, batch: x.batch) * features
        if isMax {
          let at = pass.workspace + plan.at + from
          for k in 0..<features { dx[(Int(at[k].bitPattern) + row) * features + k] += dy[from + k] }
        } else {
          let steps = steps(of: i, count)
          for step in steps {
            pass.kernels.add(
              features, 1 / Float(steps.count), times: dy + from, to: dx + valid.place(row, step) * features)
          }
        }
      }
    }
  }
}
