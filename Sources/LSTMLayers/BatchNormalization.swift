internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// y = (x - mean) / √(variance + epsilon) · gamma + beta for each feature of the last axis. In training mean and variance are
/// those of all steps of the batch that are no padding, else those that training has gathered: moving = momentum·moving +
/// (1 - momentum)·batch.
///
/// - Shapes: x, y [..., features]; gamma, beta, movingMean, movingVariance [features], the latter two not trainable.
/// - A batch cannot be trained on in parts, each of which would have statistics of its own: it goes through the model
///   together. Each worker makes the sums of some features, in the order of the rows, so that their number changes no bit.
/// - Source: Ioffe & Szegedy 2015; Keras's `BatchNormalization` with axis -1.
final class BatchNormalizationLayer: Layer {
  private let features: Int
  private let momentum: Float
  private let epsilon: Float
  private let gamma: Parameter?
  private let beta: Parameter?
  private let moving: (mean: Parameter, variance: Parameter)

  private init(
    name: String, shape: Shape, momentum: Float, epsilon: Float, gamma: Parameter?, beta: Parameter?,
    moving: (mean: Parameter, variance: Parameter), all: [Parameter]
  ) {
    features = shape.last
    (self.momentum, self.epsilon, self.gamma, self.beta, self.moving) = (momentum, epsilon, gamma, beta, moving)
    super.init(name: name, outputShape: shape, parameters: all)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let momentum = try model.fields.number("momentum", default: 0.99, .share)
    let epsilon = try readEpsilon(model.fields)
    let center = try model.fields.boolean("center", default: true)
    let scale = try model.fields.boolean("scale", default: true)
    let shape = try model.values()
    let own = Shape(shape.last)
    let gamma = scale ? try model.parameter("gamma", own) : nil
    let beta = center ? try model.parameter("beta", own) : nil
    let moving = (
      mean: try model.parameter("moving_mean", own, isTrainable: false),
      variance: try model.parameter("moving_variance", own, isTrainable: false)
    )
    var all: [Parameter] = []
    if let gamma { all.append(gamma) }
    if let beta { all.append(beta) }
    all += [moving.mean, moving.variance]
    try model.append(
      BatchNormalizationLayer(
        name: model.name, shape: shape, momentum: Float(momentum), epsilon: epsilon, gamma: gamma, beta: beta,
        moving: moving, all: all))
  }

  override var needsWholeBatch: Bool { true }

  /// gamma, then beta, then what predictions multiply with.
  override func packedCount(_ kernels: Kernels) -> Int { Carver.product(3, features) }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    for i in part.range(of: features) {
      packed[i] = gamma.map { weights[$0.offset + i] } ?? 1
      packed[features + i] = beta.map { weights[$0.offset + i] } ?? 0
      packed[2 * features + i] = packed[i] * factor(weights[moving.variance.offset + i])
    }
  }

  private func factor(_ variance: Float) -> Float { 1 / (max(0, variance) + epsilon).squareRoot() }

  /// Places in the workspace of training: rows before gamma and beta, their products with others, and of each feature mean,
  /// variance, factor and two sums.
  private struct Plan {
    let unit, products, mean, variance, factor, sums, alongs, count: Int

    init(_ features: Int, rows: Int) {
      var plan = Carver()
      unit = plan.take(rows, features)
      products = plan.take(rows, features)
      mean = plan.take(features)
      variance = plan.take(features)
      factor = plan.take(features)
      sums = plan.take(features)
      alongs = plan.take(features)
      count = plan.count
    }
  }

  private func plan(_ steps: Int, _ batch: Int) -> Plan {
    Plan(features, rows: Carver.product(Carver.product(steps, batch), outputWidth / features))
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    mode == .train ? plan(steps, batch).count : 0
  }

  /// Rows of features that are no padding.
  private func validRows(_ x: Signal) -> Int {
    guard let mask = x.mask else { return x.count / features }
    var count = 0
    for row in 0..<x.rows { count += mask[row] == 0 ? 0 : 1 }
    return count * (x.width / features)
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let (kernels, own) = (pass.kernels, pass.part.range(of: x.rows))
    let (first, count, lines) = (own.lowerBound * x.width, own.count * x.width, own.count * (x.width / features))
    let (gamma, beta) = (pass.packed, pass.packed + features)
    guard pass.mode == .train else {
      let to = y.values + first
      to.copy(from: x.values + first, count: count)
      for line in 0..<lines {
        kernels.add(features, -1, times: pass.weights + moving.mean.offset, to: to + line * features)
        kernels.multiply(features, to + line * features, pass.packed + 2 * features, to + line * features)
        kernels.add(features, beta, to: to + line * features)
      }
      return
    }
    let plan = plan(x.steps, x.batch)
    let unit = pass.workspace + plan.unit
    (unit + first).copy(from: x.values + first, count: count)
    clearPadding(unit, width: x.width, x.mask, own)
    measure(x, unit, into: pass.workspace + plan.mean, pass)
    for line in 0..<lines {
      kernels.add(features, -1, times: pass.workspace + plan.mean, to: unit + first + line * features)
    }
    clearPadding(unit, width: x.width, x.mask, own)
    let products = pass.workspace + plan.products
    kernels.multiply(count, unit + first, unit + first, products + first)
    measure(x, products, into: pass.workspace + plan.variance, pass)
    for i in pass.part.range(of: features) {
      pass.workspace[plan.factor + i] = factor(pass.workspace[plan.variance + i])
    }
    pass.part.meet()
    for line in 0..<lines {
      let (at, to) = (unit + first + line * features, y.values + first + line * features)
      kernels.multiply(features, at, pass.workspace + plan.factor, at)
      kernels.multiply(features, at, gamma, to)
      kernels.add(features, beta, to: to)
    }
  }

  /// The mean of each feature over the rows that count, the others being zero.
  private func measure(_ x: Signal, _ values: Floats, into means: MutableFloats, _ pass: Pass) {
    let columns = pass.part.range(of: features, by: pass.kernels.lanes)
    sum(x, values, columns, into: means, pass)
    pass.kernels.scale(columns.count, by: 1 / Float(max(1, validRows(x))), means + columns.lowerBound)
    pass.part.meet()
  }

  /// The sums of a worker's columns, when all have made their rows.
  private func sum(_ x: Signal, _ values: Floats, _ columns: Range<Int>, into sums: MutableFloats, _ pass: Pass) {
    pass.part.meet()
    (sums + columns.lowerBound).clear(columns.count)
    pass.kernels.addColumnSums(
      rows: x.count / features, width: columns.count, values + columns.lowerBound, rowStride: features,
      to: sums + columns.lowerBound)
  }

  override func adjust(_ weights: MutableFloats, _ workspace: MutableFloats, steps: Int, batch: Int) {
    let plan = plan(steps, batch)
    for i in 0..<features {
      let (mean, variance) = (moving.mean.offset + i, moving.variance.offset + i)
      weights[mean] = weights[mean] * momentum + workspace[plan.mean + i] * (1 - momentum)
      weights[variance] = weights[variance] * momentum + workspace[plan.variance + i] * (1 - momentum)
    }
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard pass.mode == .train else { return backThroughLearned(x, dy: dy, into: dx, pass) }
    let (kernels, plan, own) = (pass.kernels, plan(x.steps, x.batch), pass.part.range(of: x.rows))
    let (first, count, lines) = (own.lowerBound * x.width, own.count * x.width, own.count * (x.width / features))
    let (unit, products) = (pass.workspace + plan.unit, pass.workspace + plan.products)
    let (sums, alongs) = (pass.workspace + plan.sums, pass.workspace + plan.alongs)
    clearPadding(dy, width: x.width, x.mask, own)
    kernels.multiply(count, dy + first, unit + first, products + first)
    let columns = pass.part.range(of: features, by: kernels.lanes)
    sum(x, dy, columns, into: sums, pass)
    sum(x, products, columns, into: alongs, pass)
    let from = columns.lowerBound
    if let beta { kernels.add(columns.count, sums + from, to: gradients + beta.offset + from) }
    if let gamma { kernels.add(columns.count, alongs + from, to: gradients + gamma.offset + from) }
    guard let dx else { return }
    // dx = gamma·factor·(dy - mean of dy - unit·mean of dy·unit).
    let share = -1 / Float(max(1, validRows(x)))
    kernels.scale(columns.count, by: share, sums + from)
    kernels.scale(columns.count, by: share, alongs + from)
    let factor = pass.workspace + plan.factor
    kernels.multiply(columns.count, factor + from, pass.packed + from, factor + from)
    pass.part.meet()
    for line in 0..<lines {
      let (at, to) = (unit + first + line * features, dx + first + line * features)
      kernels.multiply(features, at, alongs, at)
      kernels.add(features, sums, to: at)
      kernels.add(features, dy + first + line * features, to: at)
      kernels.multiply(features, at, factor, to)
    }
    clearPadding(dx, width: x.width, x.mask, own)
  }

  /// The gradient of the input alone, where mean and variance are those learned.
  private func backThroughLearned(_ x: Signal, dy: Floats, into dx: MutableFloats?, _ pass: Pass) {
    guard let dx else { return }
    let own = pass.part.range(of: x.count / features)
    for line in own {
      pass.kernels.multiply(features, dy + line * features, pass.packed + 2 * features, dx + line * features)
    }
    clearPadding(dx, width: x.width, x.mask, pass.part.range(of: x.rows))
  }

  override var allowsGradientInPlace: Bool { true }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    if let gamma { (weights + gamma.offset).update(repeating: 1, count: features) }
    (weights + moving.variance.offset).update(repeating: 1, count: features)
  }
}
