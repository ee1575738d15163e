internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// y = (x - mean) / √(variance + epsilon) · gamma + beta, mean and variance those of the last axis at each step of each row.
///
/// Shapes: x, y [..., features]; gamma, beta [features], either of them possibly left out.
/// - Source: Ba, Kiros & Hinton 2016; Keras's `LayerNormalization` with axis -1.
final class LayerNormalizationLayer: Layer {
  private let features: Int
  private let epsilon: Float
  private let gamma: Parameter?
  private let beta: Parameter?

  /// - Parameter shape: of one sample.
  init(name: String, shape: Shape, epsilon: Float, gamma: Parameter?, beta: Parameter?) {
    features = shape.last
    (self.epsilon, self.gamma, self.beta) = (epsilon, gamma, beta)
    var parameters: [Parameter] = []
    if let gamma { parameters.append(gamma) }
    if let beta { parameters.append(beta) }
    super.init(name: name, outputShape: shape, parameters: parameters)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let epsilon = try readEpsilon(model.fields)
    let center = try model.fields.boolean("center", default: true)
    let scale = try model.fields.boolean("scale", default: true)
    let shape = try model.values()
    let gamma = scale ? try model.parameter("gamma", Shape(shape.last)) : nil
    let beta = center ? try model.parameter("beta", Shape(shape.last)) : nil
    try model.append(
      LayerNormalizationLayer(name: model.name, shape: shape, epsilon: epsilon, gamma: gamma, beta: beta))
  }

  /// gamma, then beta.
  override func packedCount(_ kernels: Kernels) -> Int { Carver.product(2, features) }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    guard part.isFirst else { return }
    if let gamma {
      packed.copy(from: weights + gamma.offset, count: features)
    } else {
      packed.update(repeating: 1, count: features)
    }
    if let beta {
      (packed + features).copy(from: weights + beta.offset, count: features)
    } else {
      (packed + features).clear(features)
    }
  }

  /// Places in the workspace of training.
  private struct Plan {
    /// The rows before gamma and beta, and later their products with the gradient.
    let unit: Int
    let products: Int
    let scales: Int
    let count: Int

    init(_ width: Int, rows: Int) {
      var plan = Carver()
      unit = plan.take(rows, width)
      products = plan.take(rows, width)
      scales = plan.take(rows)
      count = plan.count
    }
  }

  private func plan(_ steps: Int, _ batch: Int) -> Plan {
    Plan(features, rows: Carver.product(Carver.product(steps, batch), outputWidth / features))
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    mode.keepsTape ? plan(steps, batch).count : 0
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let own = pass.part.range(of: x.count / features)
    let first = own.lowerBound * features
    var (unit, scales): (MutableFloats, MutableFloats?) = (y.values + first, nil)
    if pass.mode.keepsTape {
      let plan = plan(x.steps, x.batch)
      (unit, scales) = (pass.workspace + plan.unit + first, pass.workspace + plan.scales + own.lowerBound)
    }
    pass.kernels.normalize(
      rows: own.count, width: features, epsilon: epsilon, x.values + first, gamma: pass.packed,
      beta: pass.packed + features, unit: unit, scales: scales, y.values + first)
  }

  override var allowsGradientInPlace: Bool { true }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    let (kernels, plan) = (pass.kernels, plan(x.steps, x.batch))
    let rows = x.count / features
    let own = pass.part.range(of: rows)
    let (first, count) = (own.lowerBound * features, own.count * features)
    let (unit, products) = (pass.workspace + plan.unit, pass.workspace + plan.products)
    // Sums over all rows are made of columns, each by one worker, before dx may take the place of dy.
    let columns = pass.part.range(of: features, by: kernels.lanes)
    if let beta {
      kernels.addColumnSums(
        rows: rows, width: columns.count, dy + columns.lowerBound, rowStride: features,
        to: gradients + beta.offset + columns.lowerBound)
    }
    if let gamma {
      kernels.multiply(count, dy + first, unit + first, products + first)
      pass.part.meet()
      kernels.addColumnSums(
        rows: rows, width: columns.count, products + columns.lowerBound, rowStride: features,
        to: gradients + gamma.offset + columns.lowerBound)
    }
    guard let dx else { return }
    if gamma == nil { pass.part.meet() }
    kernels.normalizeBackward(
      rows: own.count, width: features, unit: unit + first, scales: pass.workspace + plan.scales + own.lowerBound,
      gamma: pass.packed, dy: dy + first, dx: dx + first)
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    if let gamma { (weights + gamma.offset).update(repeating: 1, count: features) }
  }
}

/// What is added to a variance: a positive number.
func readEpsilon(
  _ fields: Fields, _ key: StaticString = "epsilon", default standard: Double = 1e-3
) throws(LSTMError) -> Float {
  Float(try fields.number(key, default: standard, expected: "a positive number") { $0 > 0 && Float($0) > 0 })
}
