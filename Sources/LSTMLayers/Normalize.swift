internal import CLSTMShim
internal import LSTMKernels
internal import LSTMTensors

/// y = (x - mean) / max(√variance, 1e-7) for each feature of the last axis, with mean and variance learned from data.
///
/// Shapes: x, y [..., features]; mean, variance [features], not trainable. Until it has learned, mean 0 and variance 1.
/// - Source: Keras's `Normalization`.
final class NormalizeLayer: Layer {
  private let features: Int

  private init(name: String, shape: Shape, parameters: [Parameter]) {
    features = shape.last
    super.init(name: name, outputShape: shape, parameters: parameters)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let shape = try model.values()
    let parameters = [
      try model.parameter("mean", Shape(shape.last), isTrainable: false),
      try model.parameter("variance", Shape(shape.last), isTrainable: false),
    ]
    try model.append(NormalizeLayer(name: model.name, shape: shape, parameters: parameters))
  }

  /// Deviations, to divide by.
  override func packedCount(_ kernels: Kernels) -> Int { features }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let variance = weights + parameters[1].offset
    for i in part.range(of: features) { packed[i] = max(variance[i].squareRoot(), 1e-7) }
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let mean = pass.weights + parameters[0].offset
    for row in pass.part.range(of: x.count / features) {
      let from = x.values + row * features
      let to = y.values + row * features
      for i in 0..<features { to[i] = (from[i] - mean[i]) / pass.packed[i] }
    }
  }

  override var allowsGradientInPlace: Bool { true }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    for row in pass.part.range(of: x.count / features) {
      for i in row * features..<(row + 1) * features { dx[i] = dy[i] / pass.packed[i - row * features] }
    }
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    (weights + parameters[1].offset).update(repeating: 1, count: features)
  }

  override func makeAdapter() throws(LSTMError) -> Adapter? {
    let moments = try Buffer.make(.system, try Size.product(2, features), of: Double.self)
    return Moments(moments, features, mean: parameters[0].offset, variance: parameters[1].offset)
  }

  /// Running mean and sum of squared deviations (Welford 1962), in float64.
  private final class Moments: Adapter {
    private let moments: Buffer
    private let features: Int
    private let places: (mean: Int, variance: Int)
    private var seen = 0.0

    init(_ moments: Buffer, _ features: Int, mean: Int, variance: Int) {
      (self.moments, self.features, places) = (moments, features, (mean, variance))
      super.init()
    }

    override func accumulate(_ x: Signal) {
      let mean = moments.pointer(to: Double.self)
      let deviation = mean + features
      for row in 0..<x.count / features {
        if let mask = x.mask, mask[row * features / x.width] == 0 { continue }
        seen += 1
        for i in 0..<features {
          let value = Double(x.values[row * features + i])
          let difference = value - mean[i]
          mean[i] += difference / seen
          deviation[i] += difference * (value - mean[i])
        }
      }
    }

    override func finish(_ weights: MutableFloats) {
      guard seen > 0 else { return }
      let mean = moments.pointer(to: Double.self)
      for i in 0..<features {
        weights[places.mean + i] = Float(mean[i])
        weights[places.variance + i] = Float(mean[features + i] / seen)
      }
    }
  }
}
