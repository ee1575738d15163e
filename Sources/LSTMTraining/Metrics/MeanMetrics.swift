internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The mean of a number for each element.
class MeanMetric: Metric {
  init(_ setting: MetricSetting) { super.init(setting, stateCount: 2) }

  override final func update(_ batch: MetricInput) {
    for element in 0..<batch.elements where batch.mask[element] != 0 {
      state[0] += value(element, batch)
      state[1] += 1
    }
  }

  func value(_ element: Int, _ batch: MetricInput) -> Double { 0 }
  /// What becomes of the mean, when there is one.
  func figure(_ mean: Double) -> Double { mean }

  override final var result: Double { state[1] == 0 ? 0 : figure(state[0] / state[1]) }
}

/// The share of right decisions.
final class AccuracyMetric: MeanMetric {
  private enum Form {
    /// Of each output, by whether it is over a threshold.
    case binary(Float)
    /// The largest output is that of the class.
    case categorical
    /// The class's output is among so many of the largest.
    case top(Int)
  }

  private let form: Form

  private init(_ setting: MetricSetting, _ form: Form) {
    self.form = form
    super.init(setting)
  }

  /// The form that fits loss and outputs.
  static func make(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    if setting.loss.usesClasses || setting.width > 1 { return AccuracyMetric(setting, .categorical) }
    return AccuracyMetric(setting, .binary(Float(setting.loss.traits.threshold)))
  }

  static func makeBinary(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    try setting.needsValues()
    return AccuracyMetric(setting, .binary(try setting.threshold()))
  }

  static func makeCategorical(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    try setting.needsValues()
    return AccuracyMetric(setting, .categorical)
  }

  static func makeSparse(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    if !setting.loss.usesClasses {
      throw setting.refused("another metric unless the targets of the loss are class indices")
    }
    return AccuracyMetric(setting, .categorical)
  }

  static func makeTop(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    AccuracyMetric(setting, .top(try setting.fields.integer("k", 1...Fields.unlimited, default: 5)))
  }

  override func value(_ element: Int, _ batch: MetricInput) -> Double {
    let y = batch.outputs(element)
    switch form {
    case .binary(let threshold):
      let t = batch.values(element)
      var right = 0
      // Hinge losses say no by -1.
      for j in 0..<batch.width where max(t[j], 0) == (y[j] > threshold ? 1 : 0) { right += 1 }
      return Double(right) / Double(batch.width)
    case .categorical: return firstLargest(y, batch.width) == batch.label(element) ? 1 : 0
    case .top(let k):
      let own = y[batch.label(element)]
      var ahead = own.isNaN ? k : 0
      for j in 0..<batch.width where y[j] > own { ahead += 1 }
      return ahead < k ? 1 : 0
    }
  }
}

/// A loss, or a figure made of its mean.
final class LossMetric: MeanMetric {
  private enum Figure { case mean, root, exponential, negative }

  private let loss: Loss
  private let form: Figure
  /// `[outputs]`.
  private let scratch: Buffer

  private init(_ setting: MetricSetting, _ loss: Loss, _ form: Figure, _ scratch: Buffer) {
    (self.loss, self.form, self.scratch) = (loss, form, scratch)
    super.init(setting)
  }

  /// The loss of the metric's name, with the options that its description gives.
  static func make(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    try make(setting, try LossRegistry.make(setting.column.name, setting.fields), .mean)
  }

  static func makeSimilarity(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    try make(setting, CosineLoss.make(setting.fields), .negative)
  }

  static func makeRoot(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    try make(setting, ErrorLoss.makeSquared(setting.fields), .root)
  }

  /// exp of the mean cross-entropy, from logits if the loss takes them.
  static func makePerplexity(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    try setting.needsClasses()
    return try make(setting, CategoricalLoss.crossentropy(setting.fields, like: setting.loss), .exponential)
  }

  private static func make(_ setting: MetricSetting, _ loss: Loss, _ form: Figure) throws(LSTMError) -> Metric {
    if loss.usesClasses != setting.loss.usesClasses {
      throw setting.refused("a metric of the same targets as the loss")
    }
    try loss.check(outputWidth: setting.width)
    return LossMetric(setting, loss, form, try Buffer.make(.system, setting.width, of: Float.self))
  }

  override func value(_ element: Int, _ batch: MetricInput) -> Double {
    loss.evaluate(
      LossRow(
        outputs: batch.outputs(element), width: batch.width,
        targets: batch.targets.element(element, width: batch.width),
        weight: 1, gradient: nil, areLogits: loss.traits.readsLogits, kernels: batch.kernels, scratch: scratch.floats))
  }

  override func figure(_ mean: Double) -> Double {
    switch form {
    case .mean: mean
    case .root: mean.squareRoot()
    case .exponential: shim_exp(mean)
    case .negative: -mean
    }
  }
}

/// 1 - Σ(t - y)²/Σ(t - mean t)² of each output, and the mean of that over the outputs. Of targets that are all the same it
/// is 1 where they were hit and 0 where not.
///
/// - Source: sklearn.metrics.r2_score; Welford 1962 for the sums.
final class R2: Metric {
  static func make(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    try setting.needsValues()
    return R2(setting, stateCount: try Size.sum(1, try Size.product(3, setting.width)))
  }

  private var width: Int { stateCount / 3 }
  /// After the number of elements, of each output: the mean of the targets, Σ(t - mean)² and Σ(t - y)², `[3, width]`.
  private var sums: UnsafeMutablePointer<Double> { state + 1 }

  override func update(_ batch: MetricInput) {
    let means = sums
    let (squares, errors) = (means + width, means + 2 * width)
    for element in 0..<batch.elements where batch.mask[element] != 0 {
      let (y, t) = (batch.outputs(element), batch.values(element))
      state[0] += 1
      for j in 0..<width {
        let (t, error) = (Double(t[j]), Double(t[j]) - Double(y[j]))
        let distance = t - means[j]
        means[j] += distance / state[0]
        squares[j] += distance * (t - means[j])
        errors[j] += error * error
      }
    }
  }

  override var result: Double {
    if state[0] == 0 { return 0 }
    let squares = sums + width
    let errors = squares + width
    var total = 0.0
    for j in 0..<width { total += squares[j] > 0 ? 1 - errors[j] / squares[j] : errors[j] == 0 ? 1 : 0 }
    return total / Double(width)
  }
}
