internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// How outputs become decisions.
enum Decision {
  /// The class of the largest output.
  case largest
  /// One output: class 1 if it is over the threshold, else class 0; targets are 1, or 0 or -1.
  case two(Float)
  /// Each output by itself in the same way.
  case each(Float)

  /// The decision and the truth, where there is one for an element.
  func classes(_ element: Int, _ batch: MetricInput) -> (predicted: Int, actual: Int) {
    let y = batch.outputs(element)
    switch self {
    case .largest: return (firstLargest(y, batch.width), batch.label(element))
    case .two(let threshold), .each(let threshold):
      return (y[0] > threshold ? 1 : 0, batch.values(element)[0] > 0 ? 1 : 0)
    }
  }
}

/// Precision, recall and their harmonic mean F1. With an average: of each class, then the mean over classes (macro), the
/// mean weighted by how often each occurs (weighted), or of the counts of all classes together (micro). Without one: of
/// all outputs together, each a yes or no; of two classes, that of the second.
///
/// - Source: sklearn.metrics.f1_score with zero_division=0; Keras's Precision and Recall.
final class ScoreMetric: Metric {
  private enum Score { case precision, recall, f1 }
  fileprivate enum Average { case none, macro, micro, weighted }

  private let score: Score
  private let average: Average
  private let decision: Decision
  private let classes: Int

  private init(
    _ setting: MetricSetting, _ score: Score, _ average: Average, _ decision: Decision, classes: Int, stateCount: Int
  ) {
    (self.score, self.average, self.decision, self.classes) = (score, average, decision, classes)
    super.init(setting, stateCount: stateCount)
  }

  static func makePrecision(_ setting: MetricSetting) throws(LSTMError) -> Metric { try make(setting, .precision) }
  static func makeRecall(_ setting: MetricSetting) throws(LSTMError) -> Metric { try make(setting, .recall) }
  static func makeF1(_ setting: MetricSetting) throws(LSTMError) -> Metric { try make(setting, .f1) }

  private static func make(_ setting: MetricSetting, _ score: Score) throws(LSTMError) -> Metric {
    let average = Average(endOf: setting.column.name)
    let decision: Decision
    var classes = setting.width
    if setting.loss.usesClasses || (average != .none && setting.isOfClasses) {
      decision = .largest
      if average == .none, classes != 2 {
        throw setting.refused("one that ends in _macro, _micro or _weighted for \(classes) classes")
      }
    } else if average == .none || classes > 1 {
      decision = .each(try setting.threshold())
      if average == .none { classes = 1 }
    } else {
      decision = .two(try setting.threshold())
      classes = 2
    }
    return ScoreMetric(
      setting, score, average, decision, classes: classes, stateCount: try Size.product(3, classes))
  }

  /// Of each class: decisions for it that are right, all decisions for it, and how often it is true; `[classes, 3]`.
  private func counts(_ i: Int) -> UnsafeMutablePointer<Double> { state + 3 * i }

  override func update(_ batch: MetricInput) {
    for element in 0..<batch.elements where batch.mask[element] != 0 {
      guard case .each(let threshold) = decision else {
        let (predicted, actual) = decision.classes(element, batch)
        count(predicted, true, predicted == actual)
        if predicted != actual { count(actual, false, true) }
        continue
      }
      let (y, t) = (batch.outputs(element), batch.values(element))
      for j in 0..<batch.width { count(classes == 1 ? 0 : j, y[j] > threshold, t[j] > 0) }
    }
  }

  private func count(_ i: Int, _ isPredicted: Bool, _ isActual: Bool) {
    let counts = counts(i)
    if isPredicted, isActual { counts[0] += 1 }
    if isPredicted { counts[1] += 1 }
    if isActual { counts[2] += 1 }
  }

  /// 0 where there is nothing to divide by.
  private func score(right: Double, predicted: Double, actual: Double) -> Double {
    switch score {
    case .precision: ratio(right, predicted)
    case .recall: ratio(right, actual)
    case .f1: ratio(2 * right, predicted + actual)
    }
  }

  private func ratio(_ part: Double, _ whole: Double) -> Double { whole == 0 ? 0 : part / whole }

  override var result: Double {
    var (right, predicted, actual) = (0.0, 0.0, 0.0)
    var (sum, weighted, last) = (0.0, 0.0, 0.0)
    for i in 0..<classes {
      let counts = counts(i)
      last = score(right: counts[0], predicted: counts[1], actual: counts[2])
      right += counts[0]
      predicted += counts[1]
      actual += counts[2]
      sum += last
      weighted += counts[2] * last
    }
    switch average {
    case .none: return last
    case .macro: return sum / Double(classes)
    case .micro: return score(right: right, predicted: predicted, actual: actual)
    case .weighted: return ratio(weighted, actual)
    }
  }
}

extension ScoreMetric.Average {
  /// That of the name of a metric.
  fileprivate init(endOf name: StaticString) {
    func ends(_ end: StaticString) -> Bool {
      let (count, all) = (end.utf8CodeUnitCount, name.utf8CodeUnitCount)
      return all > count
        && end.matches(UnsafeBufferPointer(start: name.utf8Start + (all - count), count: count))
    }
    self = ends("_macro") ? .macro : ends("_micro") ? .micro : ends("_weighted") ? .weighted : .none
  }
}

/// How often each class was taken for each, `[actual, predicted]`. No column of a history: `Evaluation` reads it.
public final class ConfusionMatrix {
  private let classes: Int
  private let decision: Decision
  private let counts: Buffer

  private init(classes: Int, _ decision: Decision, _ counts: Buffer) {
    (self.classes, self.decision, self.counts) = (classes, decision, counts)
  }

  static func make(_ loss: Loss, outputWidth: Int) throws(LSTMError) -> ConfusionMatrix {
    var (classes, decision) = (outputWidth, Decision.largest)
    let traits = loss.traits
    if !traits.isCategorical {
      guard traits.isBinary, outputWidth == 1 else {
        throw .unsupported("model: expected a loss over classes, or of yes or no with one output, got another")
      }
      (classes, decision) = (2, .two(traits.readsLogits ? 0 : Float(traits.threshold)))
    }
    let counts = try Buffer.make(.system, try Size.product(classes, classes), of: Int64.self)
    return ConfusionMatrix(classes: classes, decision, counts)
  }

  /// Of all entries.
  public var count: Int { classes * classes }
  /// `[classes, classes]`.
  public var values: UnsafeMutablePointer<Int64> { counts.pointer(to: Int64.self) }

  func update(_ batch: MetricInput) {
    let counts = values
    for element in 0..<batch.elements where batch.mask[element] != 0 {
      let (predicted, actual) = decision.classes(element, batch)
      counts[actual * classes + predicted] += 1
    }
  }
}

/// The area under the curve of true over false positive rate, by trapezoids between 200 thresholds.
final class AUC: Metric {
  /// Spaces between the thresholds; the outermost two lie just outside of 0 and 1.
  private static let intervals = 199

  static func make(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    try setting.needsValues()
    return AUC(setting, stateCount: 2 * intervals)
  }

  /// The numbers of positive and of negative entries with an output between two thresholds, `[2, intervals]`.
  private var counts: UnsafeMutablePointer<Double> { state }

  override func update(_ batch: MetricInput) {
    let counts = counts
    for element in 0..<batch.elements where batch.mask[element] != 0 {
      let (y, t) = (batch.outputs(element), batch.values(element))
      for j in 0..<batch.width { counts[(t[j] > 0 ? 0 : AUC.intervals) + AUC.interval(of: y[j])] += 1 }
    }
  }

  /// Above which threshold an output lies, in Keras's arithmetic; one that is a threshold lies below it.
  private static func interval(of y: Float) -> Int {
    // Not `max` and `min`: NaN must become a number before it becomes an Int.
    let inside: Float = y > 0 ? (y < 1 ? y : 1) : 0
    return max(0, Int((inside * Float(intervals)).rounded(.up)) - 1)
  }

  override var result: Double {
    var positives = 0.0
    var negatives = 0.0
    var area = 0.0
    for i in (0..<AUC.intervals).reversed() {
      let (above, here) = (positives, counts[i])
      let width = counts[AUC.intervals + i]
      area += width * (above + here / 2)
      positives += here
      negatives += width
    }
    return positives == 0 || negatives == 0 ? 0 : area / positives / negatives
  }
}
