internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// In training each feature of a row is zero at all timesteps with probability `rate`, the others are scaled by
/// 1 / (1 - rate); else y = x.
///
/// Shapes: x, y [batch, timesteps, features].
/// - Source: Tompson et al. 2015; Keras's `SpatialDropout1D`.
final class SpatialDropoutLayer: Layer {
  private let rate: Double

  private init(rate: Double, name: String, shape: Shape) {
    self.rate = rate
    super.init(name: name, outputShape: shape)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let rate = try readRate(model.fields, "rate", default: nil)
    try model.append(SpatialDropoutLayer(rate: rate, name: model.name, shape: try model.sequence()))
  }

  /// Factors, the same at all steps.
  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    mode.keepsTape ? Carver.product(batch, outputWidth) : 0
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    guard pass.mode.keepsTape else {
      let own = pass.part.range(of: x.count)
      return (y.values + own.lowerBound).copy(from: x.values + own.lowerBound, count: own.count)
    }
    if pass.part.isFirst {
      drawDropout(
        pass.workspace, count: x.batch * x.width, rate: pass.mode == .train ? rate : 0, pass.random)
    }
    pass.part.meet()
    multiply(x, x.values, into: y.values, pass)
  }

  override var allowsGradientInPlace: Bool { true }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    if let dx { multiply(x, dy, into: dx, pass) }
  }

  private func multiply(_ x: Signal, _ from: Floats, into to: MutableFloats, _ pass: Pass) {
    for step in pass.part.range(of: x.steps) {
      let first = x.first(step) * x.width
      pass.kernels.multiply(x.rows(at: step) * x.width, from + first, pass.workspace, to + first)
    }
  }
}

/// In training noise of a normal distribution, added to each number or multiplied with it; else y = x.
///
/// Shapes: any. What is drawn follows from the seed, the layer's place and the step, not from threads.
/// - Source: Keras's `GaussianNoise`, and `GaussianDropout` of Srivastava et al. 2014.
final class NoiseLayer: Layer {
  private let deviation: Float
  /// Numbers are multiplied with 1 + noise.
  private let multiplies: Bool

  private init(deviation: Float, multiplies: Bool, name: String, shape: Shape) {
    (self.deviation, self.multiplies) = (deviation, multiplies)
    super.init(name: name, outputShape: shape)
  }

  static func makeNoise(_ model: inout Construction) throws(LSTMError) {
    let deviation = try model.fields.number("stddev", default: nil, expected: "a number of at least 0") { $0 >= 0 }
    try model.append(
      NoiseLayer(deviation: Float(deviation), multiplies: false, name: model.name, shape: try model.values()))
  }

  static func makeDropout(_ model: inout Construction) throws(LSTMError) {
    let rate = try readRate(model.fields, "rate", default: nil)
    try model.append(
      NoiseLayer(
        deviation: Float(shim_sqrt(rate / (1 - rate))), multiplies: true, name: model.name, shape: try model.values()))
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    var plan = Carver()
    if mode.keepsTape { _ = plan.take(steps, batch, outputWidth) }
    return plan.count
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    guard pass.part.isFirst else { return }
    y.values.copy(from: x.values, count: x.count)
    guard pass.mode == .train else {
      if pass.mode == .differentiate { pass.workspace.update(repeating: 1, count: x.count) }
      return
    }
    var random = pass.random
    normal(pass.workspace, count: x.count, &random)
    if multiplies {
      for i in 0..<x.count { pass.workspace[i] = 1 + deviation * pass.workspace[i] }
      pass.kernels.multiply(x.count, y.values, pass.workspace, y.values)
    } else {
      pass.kernels.add(x.count, deviation, times: pass.workspace, to: y.values)
    }
  }

  override var allowsGradientInPlace: Bool { true }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    let own = pass.part.range(of: x.count)
    if multiplies {
      pass.kernels.multiply(own.count, dy + own.lowerBound, pass.workspace + own.lowerBound, dx + own.lowerBound)
    } else {
      (dx + own.lowerBound).copy(from: dy + own.lowerBound, count: own.count)
    }
  }
}
