internal import LSTMKernels
internal import LSTMTensors

/// In training each number is zero with probability `rate`, the others are scaled by 1 / (1 - rate); else y = x.
///
/// Shapes: any. Which numbers fall follows from the seed, the layer's place and the step, not from threads.
/// - Source: Srivastava et al. 2014.
final class DropoutLayer: Layer {
  private let rate: Double

  init(rate: Double, name: String, shape: Shape) {
    self.rate = rate
    super.init(name: name, outputShape: shape)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let rate = try readRate(model.fields, "rate", default: nil)
    try model.append(DropoutLayer(rate: rate, name: model.name, shape: try model.values()))
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    var plan = Carver()
    if mode.keepsTape { _ = plan.take(steps, batch, outputWidth) }
    return plan.count
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    guard pass.part.isFirst else { return }
    guard pass.mode.keepsTape else { return y.values.copy(from: x.values, count: x.count) }
    drawDropout(pass.workspace, count: x.count, rate: pass.mode == .train ? rate : 0, pass.random)
    pass.kernels.multiply(x.count, x.values, pass.workspace, y.values)
  }

  override var allowsGradientInPlace: Bool { true }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    let own = pass.part.range(of: x.count)
    pass.kernels.multiply(
      own.count, dy + own.lowerBound, pass.workspace + own.lowerBound, dx + own.lowerBound)
  }
}
