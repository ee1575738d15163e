internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// y = (x - mean) / √(variance + epsilon) · gamma + beta, mean and variance those of a group of features over all steps of a
/// sequence, and all axes between, that are no padding. What stands at padding is zero.
///
/// - Shapes: x, y [..., features]; gamma, beta [features], either of them possibly left out.
/// - Layout: the features of a sequence as rows, `[features][steps]`, so that a group is one row of numbers.
/// - Source: Wu & He 2018; Keras's `GroupNormalization` with axis -1.
final class GroupNormalizationLayer: Layer {
  private let features: Int
  private let groups: Int
  private let epsilon: Float
  private let gamma: Parameter?
  private let beta: Parameter?

  private init(
    name: String, shape: Shape, groups: Int, epsilon: Float, gamma: Parameter?, beta: Parameter?, all: [Parameter]
  ) {
    features = shape.last
    (self.groups, self.epsilon, self.gamma, self.beta) = (groups, epsilon, gamma, beta)
    super.init(name: name, outputShape: shape, parameters: all)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let given = try fields.integer("groups", -1...Fields.unlimited, default: 32)
    let epsilon = try readEpsilon(fields)
    let center = try fields.boolean("center", default: true)
    let scale = try fields.boolean("scale", default: true)
    let shape = try model.values()
    let groups = given == -1 ? shape.last : given
    guard groups > 0, shape.last % groups == 0 else {
      throw .argument("\(fields.path).groups: expected -1 or a divisor of the \(shape.last) features, got \(given)")
    }
    let gamma = scale ? try model.parameter("gamma", Shape(shape.last)) : nil
    let beta = center ? try model.parameter("beta", Shape(shape.last)) : nil
    var all: [Parameter] = []
    if let gamma { all.append(gamma) }
    if let beta { all.append(beta) }
    try model.append(
      GroupNormalizationLayer(
        name: model.name, shape: shape, groups: groups, epsilon: epsilon, gamma: gamma, beta: beta, all: all))
  }

  override var needsFuture: StaticString? { outputShape.rank > 1 ? "group_normalization" : nil }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    if let gamma { (weights + gamma.offset).update(repeating: 1, count: features) }
  }

  /// Places in the workspace: of the valid steps; of all sequences before gamma and beta, with the factors that made their
  /// groups so, and behind them or on their way back; gradients of gamma and beta of each sequence; and what a group is
  /// normalized with: ones, then zeros.
  private struct Plan {
    let valid, unit, scales, passing, dGamma, dBeta, ones, zeros, count: Int

    init(_ layer: GroupNormalizationLayer, steps: Int, batch: Int, _ mode: Mode) {
      let training = mode.keepsTape
      let numbers = Carver.product(steps, layer.outputWidth)
      var plan = Carver()
      valid = plan.take(ValidSteps.count(steps: steps, batch: batch))
      passing = plan.take(batch, numbers)
      unit = training ? plan.take(batch, numbers) : passing
      scales = plan.take(batch, layer.groups)
      dGamma = plan.take(training ? batch : 0, layer.features)
      dBeta = plan.take(training ? batch : 0, layer.features)
      ones = plan.take(numbers / layer.groups)
      zeros = plan.take(numbers / layer.groups)
      count = plan.count
    }
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode).count
  }

  /// One sequence, and where it lies.
  private struct Sequence {
    let x: Signal
    let valid: ValidSteps
    let row: Int
    let features: Int
    /// Numbers of a feature.
    let length: Int
    let unit, passing, scales: MutableFloats

    init(_ layer: GroupNormalizationLayer, _ plan: Plan, _ x: Signal, _ valid: ValidSteps, row: Int, _ pass: Pass) {
      (self.x, self.valid, self.row, features) = (x, valid, row, layer.features)
      length = valid.count(row) * (x.width / layer.features)
      unit = pass.workspace + plan.unit + row * x.steps * x.width
      passing = pass.workspace + plan.passing + row * x.steps * x.width
      scales = pass.workspace + plan.scales + row * layer.groups
    }

    /// Calls `body` with the places of as many lines of features as can be had at once: the first, how many there are, how
    /// far apart, and the first one's number in the sequence.
    private func forEachPiece(_ body: (_ place: Int, _ lines: Int, _ stride: Int, _ number: Int) -> Void) {
      let lines = x.width / features
      if valid.isWhole, lines == 1 { return body(row * features, length, x.batch * features, 0) }
      for i in 0..<valid.count(row) { body(valid.place(row, i) * x.width, lines, features, i * lines) }
    }

    /// The features of valid steps as rows.
    func gather(_ from: Floats, into rows: MutableFloats, _ kernels: Kernels) {
      forEachPiece { (place, lines, stride, number) in
        kernels.transpose(
          rows: lines, columns: features, from + place, inRow: stride, rows + number, outRow: length)
      }
    }

    /// The reverse; padding becomes zero.
    func scatter(_ rows: Floats, into to: MutableFloats, _ kernels: Kernels) {
      forEachPiece { (place, lines, stride, number) in
        kernels.transpose(
          rows: features, columns: lines, rows + number, inRow: length, to + place, outRow: stride)
      }
      guard let mask = x.mask else { return }
      for step in 0..<x.steps where row < x.rows(at: step) {
        let place = x.first(step) + row
        if mask[place] == 0 { (to + place * x.width).clear(x.width) }
      }
    }
  }

  /// This worker's sequences.
  private func forEachSequence(_ plan: Plan, _ x: Signal, _ pass: Pass, _ body: (Sequence) -> Void) {
    let valid = ValidSteps(x, pass.workspace + plan.valid)
    let own = pass.part.range(of: x.batch)
    valid.find(own)
    for row in own { body(Sequence(self, plan, x, valid, row: row, pass)) }
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let (plan, kernels) = (Plan(self, steps: x.steps, batch: x.batch, pass.mode), pass.kernels)
    let (ones, zeros) = (pass.workspace + plan.ones, pass.workspace + plan.zeros)
    if pass.part.isFirst {
      ones.update(repeating: 1, count: x.steps * x.width / groups)
      zeros.clear(x.steps * x.width / groups)
    }
    pass.part.meet()
    forEachSequence(plan, x, pass) { sequence in
      let (unit, passing, length) = (sequence.unit, sequence.passing, sequence.length)
      sequence.gather(x.values, into: unit, kernels)
      let size = features / groups * length
      for group in 0..<(size == 0 ? 0 : groups) {
        kernels.normalize(
          rows: 1, width: size, epsilon: epsilon, unit + group * size, gamma: ones, beta: zeros,
          unit: unit + group * size, scales: sequence.scales + group, passing + group * size)
      }
      for feature in 0..<features {
        let at = passing + feature * length
        if let gamma { kernels.scale(length, by: pass.weights[gamma.offset + feature], at) }
        if let beta { kernels.add(length, pass.weights[beta.offset + feature], times: ones, to: at) }
      }
      sequence.scatter(passing, into: y.values, kernels)
    }
  }

  override var allowsGradientInPlace: Bool { true }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    let (plan, kernels) = (Plan(self, steps: x.steps, batch: x.batch, pass.mode), pass.kernels)
    let ones = pass.workspace + plan.ones
    let (dGamma, dBeta) = (pass.workspace + plan.dGamma, pass.workspace + plan.dBeta)
    forEachSequence(plan, x, pass) { sequence in
      let (unit, passing, length) = (sequence.unit, sequence.passing, sequence.length)
      sequence.gather(dy, into: passing, kernels)
      for feature in 0..<features {
        let (at, place) = (passing + feature * length, sequence.row * features + feature)
        dGamma[place] = kernels.dot(length, at, unit + feature * length)
        dBeta[place] = kernels.dot(length, at, ones)
        if let gamma { kernels.scale(length, by: pass.weights[gamma.offset + feature], at) }
      }
      guard let dx else { return }
      let size = features / groups * length
      for group in 0..<(size == 0 ? 0 : groups) {
        let at = passing + group * size
        kernels.normalizeBackward(
          rows: 1, width: size, unit: unit + group * size, scales: sequence.scales + group, gamma: ones, dy: at, dx: at)
      }
      sequence.scatter(passing, into: dx, kernels)
    }
    pass.part.meet()
    // Each column by one worker, in the order of the sequences.
    let own = pass.part.range(of: features, by: kernels.lanes)
    func add(_ parameter: Parameter?, _ sums: MutableFloats) {
      guard let parameter else { return }
      kernels.addColumnSums(
        rows: x.batch, width: own.count, sums + own.lowerBound, rowStride: features,
        to: gradients + parameter.offset + own.lowerBound)
    }
    add(gamma, dGamma)
    add(beta, dBeta)
  }
}
