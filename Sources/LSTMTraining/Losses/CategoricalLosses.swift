internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// A sum over classes of a function of the target's share t and the probability p that the model gives the class:
///
///     cross-entropy  -t·ln p
///     focal          -α·t·(1 - p)ᵞ·ln p
///     divergence     t·ln(t/p), of t and p of at least 1e-7
///
/// Of the first two, outputs become probabilities by division by their sum; all of them can be had from logits.
/// - Source of the focal form: Lin et al. 2017, "Focal Loss for Dense Object Detection".
final class CategoricalLoss: Loss {
  private enum Form { case crossentropy, focal, divergence }

  private let form: Form
  private let smoothing: Double
  private let alpha: Double
  private let gamma: Double

  private init(
    _ fields: Fields, _ form: Form, takesClasses: Bool = false, fromLogits: Bool, smoothing: Double = 0,
    alpha: Double = 1, gamma: Double = 0
  ) {
    (self.form, self.smoothing, self.alpha, self.gamma) = (form, smoothing, alpha, gamma)
    super.init(
      fields,
      LossTraits(
        usesClasses: takesClasses, isCategorical: true, targets: .probabilities, leastOutputs: 2, activation: .softmax,
        readsLogits: fromLogits))
  }

  static func makeCrossentropy(_ fields: Fields) throws(LSTMError) -> Loss {
    CategoricalLoss(
      fields, .crossentropy, fromLogits: try fields.fromLogits(), smoothing: try fields.labelSmoothing())
  }

  static func makeSparseCrossentropy(_ fields: Fields) throws(LSTMError) -> Loss {
    CategoricalLoss(
      fields, .crossentropy, takesClasses: true, fromLogits: try fields.fromLogits(),
      smoothing: try fields.labelSmoothing())
  }

  /// The plain cross-entropy of what another loss takes.
  static func crossentropy(_ fields: Fields, like loss: Loss) -> Loss {
    CategoricalLoss(fields, .crossentropy, takesClasses: loss.usesClasses, fromLogits: loss.traits.readsLogits)
  }

  static func makeDivergence(_ fields: Fields) throws(LSTMError) -> Loss {
    CategoricalLoss(fields, .divergence, fromLogits: try fields.fromLogits())
  }

  static func makeFocal(_ fields: Fields) throws(LSTMError) -> Loss {
    let alpha = try fields.number("alpha", default: 0.25, .positive)
    return CategoricalLoss(
      fields, .focal, fromLogits: try fields.fromLogits(), smoothing: try fields.labelSmoothing(), alpha: alpha,
      gamma: try fields.gamma())
  }

  override func evaluate(
    _ input: LossInput, fromLogits: Bool, gradient: MutableFloats?, _ kernels: Kernels, scratch: MutableFloats
  ) -> Double {
    guard fromLogits || traits.readsLogits, form == .crossentropy, case .classes(let classes) = input.targets else {
      return super.evaluate(input, fromLogits: fromLogits, gradient: gradient, kernels, scratch: scratch)
    }
    return ofLogits(input, classes, gradient, kernels)
  }

  override func evaluate(_ row: LossRow) -> Double { row.areLogits ? ofLogits(row) : ofProbabilities(row) }

  /// The share of class `j`.
  private func target(_ j: Int, _ row: LossRow) -> Double {
    let t: Double
    switch row.targets {
    case .values(let values): t = Double(values[j])
    case .classes(let label): t = Int(label[0]) == j ? 1 : 0
    }
    if form == .divergence { return max(1e-7, t) }
    return t * (1 - smoothing) + smoothing / Double(row.width)
  }

  /// The term of a class of probability p, where q is 1 - p; and its derivative by ln p.
  private func term(_ t: Double, p: Double, q: Double, logarithm: Double) -> (loss: Double, slope: Double) {
    switch form {
    case .crossentropy: return (-t * logarithm, -t)
    case .divergence: return (t * (shim_log(t) - logarithm), -t)
    case .focal:
      if t == 0 { return (0, 0) }
      let factor = alpha * t * shim_pow(q, gamma)
      // ln p is -q where q is nothing.
      let ratio = q > 0 ? logarithm / q : -1
      return (-factor * logarithm, -factor * (1 - gamma * p * ratio))
    }
  }

  // MARK: Of probabilities

  private func probability(_ y: Double) -> (p: Double, isClipped: Bool) {
    if form != .divergence { return clipped(y) }
    return y < 1e-7 ? (1e-7, true) : y > 1 ? (1, true) : (y, false)
  }

  private func ofProbabilities(_ row: LossRow) -> Double {
    func term(_ j: Int, _ sum: Double) -> (loss: Double, slope: Double, p: Double, isClipped: Bool) {
      let (p, isClipped) = probability(Double(row.outputs[j]) / sum)
      let one = self.term(target(j, row), p: p, q: 1 - p, logarithm: shim_log(p))
      return (one.loss, isClipped ? 0 : one.slope, p, isClipped)
    }
    var sum = 1.0
    if form != .divergence {
      sum = 0
      for j in 0..<row.width { sum += Double(row.outputs[j]) }
    }
    var loss = 0.0
    /// What the gradient of the sum gathers.
    var slopes = 0.0
    for j in 0..<row.width {
      let one = term(j, sum)
      loss += one.loss
      if form != .divergence { slopes += one.slope }
    }
    if let gradient = row.gradient {
      for j in 0..<row.width {
        let one = term(j, sum)
        gradient[j] = Float(row.weight * (one.slope / one.p - slopes) / sum)
      }
    }
    return loss
  }

  // MARK: Of logits

  private func ofLogits(_ row: LossRow) -> Double {
    let p = row.gradient ?? row.scratch
    row.kernels.softmax(rows: 1, width: row.width, row.outputs, p)
    let top = firstLargest(row.outputs, row.width)
    // As 1 + the rest, so that a loss near 0 keeps its digits.
    var rest = 0.0
    for j in 0..<row.width where j != top { rest += Double(p[j]) }
    rest /= Double(p[top])
    let (largest, logSum) = (Double(row.outputs[top]), shim_log1p(rest))
    func term(_ j: Int) -> (loss: Double, slope: Double) {
      self.term(
        target(j, row), p: Double(p[j]), q: j == top ? rest / (1 + rest) : 1 - Double(p[j]),
        logarithm: Double(row.outputs[j]) - largest - logSum)
    }
    var loss = 0.0
    var slopes = 0.0
    for j in 0..<row.width {
      let one = term(j)
      loss += one.loss
      slopes += one.slope
    }
    if let gradient = row.gradient {
      for j in 0..<row.width { gradient[j] = Float(row.weight * (term(j).slope - Double(p[j]) * slopes)) }
    }
    return loss
  }

  /// The cross-entropy of a batch of classes, for which there is a kernel.
  private func ofLogits(
    _ input: LossInput, _ classes: UnsafePointer<Int32>, _ gradient: MutableFloats?, _ kernels: Kernels
  ) -> Double {
    let width = input.width
    var total = 0.0
    let rowsAtOnce = 64
    withUnsafeTemporaryAllocation(of: Double.self, capacity: rowsAtOnce) { losses in
      guard let losses = losses.baseAddress else { return }
      for first in stride(from: 0, to: input.elements, by: rowsAtOnce) {
        let rows = min(rowsAtOnce, input.elements - first)
        kernels.softmaxCrossEntropy(
          rows: rows, width: width, input.outputs + first * width, classes + first, weights: input.weights + first,
          dx: gradient.map { $0 + first * width }, losses: losses)
        for row in first..<first + rows where input.weights[row] != 0 {
          let weight = Double(input.weights[row])
          total += weight * losses[row - first]
          if smoothing == 0 { continue }
          total +=
            weight
            * smooth(
              input.outputs + row * width, label: Int(classes[row]), width, weight, gradient.map { $0 + row * width })
        }
      }
    }
    return total
  }

  /// What smoothing adds to the cross-entropy of an element: α(z[label] - the mean of z), for -Σ t·ln p is
  /// ln Σ exp(z) - Σ t·z.
  private func smooth(_ z: Floats, label: Int, _ width: Int, _ weight: Double, _ gradient: MutableFloats?) -> Double {
    var sum = 0.0
    for j in 0..<width { sum += Double(z[j]) }
    if let gradient {
      let share = Float(weight * smoothing / Double(width))
      for j in 0..<width { gradient[j] -= share }
      gradient[label] += Float(weight * smoothing)
    }
    return smoothing * (Double(z[label]) - sum / Double(width))
  }
}

/// max(the largest (1 - t)·y - Σ t·y + 1, 0).
///
/// - Source: Weston & Watkins 1999, in the form of Crammer & Singer 2001.
final class CategoricalHinge: Loss {
  static func make(_ fields: Fields) -> Loss {
    CategoricalHinge(fields, LossTraits(isCategorical: true, targets: .probabilities, leastOutputs: 2))
  }

  override func evaluate(_ row: LossRow) -> Double {
    let t = row.targets.values
    func wrong(_ j: Int) -> Double { (1 - Double(t[j])) * Double(row.outputs[j]) }
    var right = 0.0
    var worst = 0
    for j in 0..<row.width {
      right += Double(t[j]) * Double(row.outputs[j])
      if wrong(j) > wrong(worst) { worst = j }
    }
    let loss = wrong(worst) - right + 1
    if let gradient = row.gradient {
      for j in 0..<row.width {
        let slope = (j == worst ? 1 - Double(t[j]) : 0) - Double(t[j])
        gradient[j] = loss <= 0 ? 0 : Float(row.weight * slope)
      }
    }
    return loss <= 0 ? 0 : loss
  }
}

/// The place of the largest number, of the first if there are several.
func firstLargest(_ x: Floats, _ count: Int) -> Int {
  var best = 0
  for i in 0..<count where x[i] > x[best] { best = i }
  return best
}
