internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// A loss that is the mean over an element's outputs of a function of output y and target t.
class PointwiseLoss: Loss {
  /// The function at one output, and its derivative by the output.
  func at(_ y: Double, _ t: Double, areLogits: Bool) -> (loss: Double, slope: Double) {
    preconditionFailure("a loss without an equation")
  }

  override func evaluate(_ row: LossRow) -> Double {
    let targets = row.targets.values
    var total = 0.0
    for j in 0..<row.width {
      let one = at(Double(row.outputs[j]), Double(targets[j]), areLogits: row.areLogits)
      total += one.loss
      row.gradient?[j] = Float(row.weight * one.slope / Double(row.width))
    }
    return total / Double(row.width)
  }
}

/// What Keras adds so that no logarithm or quotient is infinite.
private let epsilon = 1e-7

/// 0 at 0; NaN stays.
func sign(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : x }

/// Functions of the error y - t, or of the two numbers as they are.
final class ErrorLoss: PointwiseLoss {
  private enum Form { case squared, absolute, huber, logCosh, percentage, logarithmic }

  private let form: Form
  /// Where Huber's loss turns from a parabola to a line.
  private let delta: Double

  private init(_ fields: Fields, _ form: Form, delta: Double = 1) {
    (self.form, self.delta) = (form, delta)
    super.init(fields, LossTraits(targets: form == .logarithmic ? .nonnegative : .numbers))
  }

  static func makeSquared(_ fields: Fields) -> Loss { ErrorLoss(fields, .squared) }
  static func makeAbsolute(_ fields: Fields) -> Loss { ErrorLoss(fields, .absolute) }
  static func makeLogCosh(_ fields: Fields) -> Loss { ErrorLoss(fields, .logCosh) }
  static func makePercentage(_ fields: Fields) -> Loss { ErrorLoss(fields, .percentage) }
  static func makeLogarithmic(_ fields: Fields) -> Loss { ErrorLoss(fields, .logarithmic) }
  static func makeHuber(_ fields: Fields) throws(LSTMError) -> Loss {
    ErrorLoss(fields, .huber, delta: try fields.number("delta", default: 1, .positive))
  }

  /// Of the squared error with a gradient all outputs at once, as precise as that has to be.
  override func evaluate(_ row: LossRow) -> Double {
    guard form == .squared, let errors = row.gradient else { return super.evaluate(row) }
    errors.copy(from: row.outputs, count: row.width)
    row.kernels.add(row.width, -1, times: row.targets.values, to: errors)
    let total = row.kernels.sumOfSquares(row.width, errors)
    row.kernels.scale(row.width, by: Float(2 * row.weight / Double(row.width)), errors)
    return total / Double(row.width)
  }

  override func at(_ y: Double, _ t: Double, areLogits: Bool) -> (loss: Double, slope: Double) {
    let error = y - t
    switch form {
    case .squared: return (error * error, 2 * error)
    case .absolute: return (error.magnitude, sign(error))
    case .huber:
      return error.magnitude <= delta
        ? (0.5 * error * error, error) : (delta * error.magnitude - 0.5 * delta * delta, delta * sign(error))
    case .logCosh:
      // ln cosh x = |x| + ln(1 + exp(-2|x|)) - ln 2, which overflows for no x.
      let e = shim_exp(-2 * error.magnitude)
      return (error.magnitude + shim_log1p(e) - 0.6931471805599453, sign(error) * (1 - e) / (1 + e))
    case .percentage:
      let scale = 100 / max(t.magnitude, epsilon)
      return (scale * error.magnitude, scale * sign(error))
    case .logarithmic:
      // Below the least output there is no slope; a NaN stays one.
      let isLow = y < epsilon
      let difference = shim_log1p(isLow ? epsilon : y) - shim_log1p(max(t, epsilon))
      return (difference * difference, isLow ? 0 : 2 * difference / (1 + y))
    }
  }
}

/// y - t·ln(y + 1e-7) of rates y; with log_input exp(y) - t·y of their logarithms.
final class PoissonLoss: PointwiseLoss {
  private let takesLogarithms: Bool

  private init(_ fields: Fields, takesLogarithms: Bool) {
    self.takesLogarithms = takesLogarithms
    super.init(fields, LossTraits(targets: .nonnegative))
  }

  static func make(_ fields: Fields) throws(LSTMError) -> Loss {
    PoissonLoss(fields, takesLogarithms: try fields.boolean("log_input", default: false))
  }

  override func at(_ y: Double, _ t: Double, areLogits: Bool) -> (loss: Double, slope: Double) {
    if takesLogarithms {
      let rate = shim_exp(y)
      return (rate - t * y, rate - t)
    }
    return (y - t * shim_log(y + epsilon), 1 - t / (y + epsilon))
  }
}

/// max(1 - t·y, 0), or its square, of targets -1 and 1; a target of 0 stands for -1.
final class HingeLoss: PointwiseLoss {
  private let isSquared: Bool

  private init(_ fields: Fields, isSquared: Bool) {
    self.isSquared = isSquared
    super.init(fields, LossTraits(isBinary: true, threshold: 0, targets: .signs))
  }

  static func makePlain(_ fields: Fields) -> Loss { HingeLoss(fields, isSquared: false) }
  static func makeSquared(_ fields: Fields) -> Loss { HingeLoss(fields, isSquared: true) }

  override func at(_ y: Double, _ t: Double, areLogits: Bool) -> (loss: Double, slope: Double) {
    let t = t == 0 ? -1 : t
    let margin = 1 - t * y
    // Not `margin > 0`, which a NaN would pass by.
    if margin <= 0 { return (0, 0) }
    return isSquared ? (margin * margin, -2 * t * margin) : (margin, -t)
  }
}

/// -t·ln p - (1 - t)·ln(1 - p); the focal form multiplies it by uᵞ, where u = t(1 - p) + (1 - t)p is how far off p is,
/// and with class balancing by α where t is 1, by 1 - α where it is 0.
///
/// - Source: Lin et al. 2017, "Focal Loss for Dense Object Detection".
final class BinaryCrossentropy: PointwiseLoss {
  /// The share of each target that becomes 1/2.
  private let smoothing: Double
  private let gamma: Double
  /// nil: all weigh the same.
  private let alpha: Double?

  private init(_ fields: Fields, fromLogits: Bool, smoothing: Double, gamma: Double, alpha: Double?) {
    (self.smoothing, self.gamma, self.alpha) = (smoothing, gamma, alpha)
    super.init(
      fields, LossTraits(isBinary: true, targets: .probabilities, activation: .sigmoid, readsLogits: fromLogits))
  }

  static func make(_ fields: Fields) throws(LSTMError) -> Loss {
    BinaryCrossentropy(
      fields, fromLogits: try fields.fromLogits(), smoothing: try fields.labelSmoothing(), gamma: 0, alpha: nil)
  }

  static func makeFocal(_ fields: Fields) throws(LSTMError) -> Loss {
    let isBalanced = try fields.boolean("apply_class_balancing", default: false)
    let alpha = try fields.number("alpha", default: 0.25, .share)
    return BinaryCrossentropy(
      fields, fromLogits: try fields.fromLogits(), smoothing: try fields.labelSmoothing(),
      gamma: try fields.gamma(), alpha: isBalanced ? alpha : nil)
  }

  override func at(_ y: Double, _ t: Double, areLogits: Bool) -> (loss: Double, slope: Double) {
    let t = t * (1 - smoothing) + smoothing / 2
    let entropy = areLogits ? ofLogit(y, t) : ofProbability(y, t)
    if gamma == 0, alpha == nil { return entropy }
    let (p, q, slope) = areLogits ? sigmoid(y) : probabilities(y)
    // 1 - the probability of the right answer; neither p nor q is less than 0.
    let u = t * q + (1 - t) * p
    let balance = alpha.map { t * $0 + (1 - t) * (1 - $0) } ?? 1
    let factor = balance * shim_pow(u, gamma)
    // dlnu/dy; where u is 0, so is its factor.
    let growth = u > 0 ? (1 - 2 * t) * slope / u : 0
    return (factor * entropy.loss, factor * (gamma * growth * entropy.loss + entropy.slope))
  }

  /// p, 1 - p and dp/dz of p = σ(z), each with its digits.
  private func sigmoid(_ z: Double) -> (p: Double, q: Double, slope: Double) {
    let e = shim_exp(-z.magnitude)
    let (most, least) = (1 / (1 + e), e / (1 + e))
    return z < 0 ? (least, most, most * least) : (most, least, most * least)
  }

  private func probabilities(_ y: Double) -> (p: Double, q: Double, slope: Double) {
    let (p, isClipped) = clipped(y)
    return (p, 1 - p, isClipped ? 0 : 1)
  }

  private func ofProbability(_ y: Double, _ t: Double) -> (loss: Double, slope: Double) {
    let (p, isClipped) = clipped(y)
    return (-t * shim_log(p) - (1 - t) * shim_log(1 - p), isClipped ? 0 : (p - t) / (p * (1 - p)))
  }

  /// The same with p = σ(z), as max(z, 0) - t·z + ln(1 + exp(-|z|)), which overflows for no z.
  private func ofLogit(_ z: Double, _ t: Double) -> (loss: Double, slope: Double) {
    let e = shim_exp(-z.magnitude)
    // σ(z) - t over the common denominator, so that a small slope keeps its digits.
    return (max(z, 0) - t * z + shim_log1p(e), ((z < 0 ? e : 1) - t - t * e) / (1 + e))
  }
}

/// A probability kept 1e-7 away from 0 and 1. Where that moves it, the loss has no slope.
func clipped(_ p: Double) -> (p: Double, isClipped: Bool) {
  // Keras clips in float32, where 1 - 1e-7 is 0.99999988: the loss of a wrong certainty depends on it.
  let smallest = Double(Float(1e-7))
  let largest = Double(Float(1 - 1e-7))
  return p < smallest ? (smallest, true) : p > largest ? (largest, true) : (p, false)
}

extension Fields {
  func fromLogits() throws(LSTMError) -> Bool { try boolean("from_logits", default: false) }

  /// The share of a target that is spread over all classes alike.
  func labelSmoothing() throws(LSTMError) -> Double {
    try number("label_smoothing", default: 0, .share)
  }

  /// How much less a focal loss makes of answers that are nearly right.
  func gamma() throws(LSTMError) -> Double { try number("gamma", default: 2, .nonnegative) }
}
