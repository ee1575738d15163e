internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

// Losses of models that answer each target with several outputs. The outputs are blocks of as many numbers as there are
// targets: [first of each target, second of each target, ...].

/// The mean over targets and quantiles q of max(q·e, (q - 1)·e) with e = t - y: the least where y is the q-quantile.
///
/// - Source: Koenker & Bassett 1978; sklearn.metrics.mean_pinball_loss.
final class QuantileLoss: Loss {
  /// As many as there are blocks.
  private let quantiles: Buffer

  private init(_ fields: Fields, _ quantiles: Buffer, _ count: Int) {
    self.quantiles = quantiles
    let numbers = quantiles.pointer(to: Double.self)
    var median = 0
    for i in 0..<count where (numbers[i] - 0.5).magnitude < (numbers[median] - 0.5).magnitude { median = i }
    super.init(fields, LossTraits(blocks: count, forecast: median))
  }

  static func make(_ fields: Fields) throws(LSTMError) -> Loss {
    let given = fields.value("quantiles")
    let count = given.map { $0.isArray ? $0.count : 1 } ?? 0
    let quantiles = try Buffer.make(.system, count, of: Double.self)
    let numbers = quantiles.pointer(to: Double.self)
    var read = 0
    var last = 0.0
    func take(_ value: Value) {
      guard let number = value.number, number > last, number < 1 else { return }
      (numbers[read], last) = (number, number)
      read += 1
    }
    if let given, given.isArray {
      try given.forEach { (item) throws(LSTMError) in take(item) }
    } else if let given {
      take(given)
    }
    guard count > 0, read == count else {
      throw fields.error("quantiles", "a number between 0 and 1, or a list of such in rising order", given)
    }
    try fields.record.key("quantiles")
    try fields.record.open("[")
    for i in 0..<count { try fields.record.number(numbers[i]) }
    try fields.record.close("]")
    return QuantileLoss(fields, quantiles, count)
  }

  override func evaluate(_ row: LossRow) -> Double {
    let targets = row.targets.values
    let quantiles = quantiles.pointer(to: Double.self)
    let width = targetWidth(of: row.width)
    var total = 0.0
    for i in 0..<traits.blocks {
      for j in 0..<width {
        let error = Double(targets[j]) - Double(row.outputs[i * width + j])
        let slope = error > 0 ? -quantiles[i] : error < 0 ? 1 - quantiles[i] : 0
        total -= slope * error
        row.gradient?[i * width + j] = Float(row.weight * slope / Double(row.width))
      }
    }
    return total / Double(row.width)
  }
}

/// The negative logarithm of a target's likelihood under a distribution of which the outputs are the parameters, as mean
/// over the targets:
///
///     Gaussian     location m, s:     (ln v + (t - m)²/v + ln 2π) / 2
///     Student's t  location m, s, r:  (ln v + (n + 1)·ln(1 + (t - m)²/(n·v)) + ln(n·π)) / 2 - ln Γ((n + 1)/2) + ln Γ(n/2)
///
/// with v = exp(s) + min_variance and n = 2 + softplus(r) degrees of freedom, or a number of them that is given: then
/// there is no r. Any outputs make a distribution, and no gradient can grow past what min_variance allows, because s is
/// the logarithm of a (squared) scale that has a floor.
/// - Source: Nix & Weigend 1994; torch.nn.GaussianNLLLoss and torch.distributions.StudentT; the degrees of freedom as in
///   DeepAR (Salinas et al. 2020, GluonTS).
final class LikelihoodLoss: Loss {
  private enum Tail {
    case normal
    case freedom(Double)
    /// The third block of outputs.
    case learned
  }

  private let tail: Tail
  private let minVariance: Double

  private init(_ fields: Fields, _ tail: Tail, minVariance: Double) {
    (self.tail, self.minVariance) = (tail, minVariance)
    var traits = LossTraits(blocks: 2)
    if case .learned = tail { traits.blocks = 3 }
    super.init(fields, traits)
  }

  static func makeGaussian(_ fields: Fields) throws(LSTMError) -> Loss {
    LikelihoodLoss(fields, .normal, minVariance: try fields.minVariance())
  }

  static func makeStudent(_ fields: Fields) throws(LSTMError) -> Loss {
    let freedom = try fields.optionalNumber("degrees_of_freedom", .positive)
    return LikelihoodLoss(fields, freedom.map { .freedom($0) } ?? .learned, minVariance: try fields.minVariance())
  }

  override func evaluate(_ row: LossRow) -> Double {
    let targets = row.targets.values
    let width = targetWidth(of: row.width)
    let factor = row.weight / Double(width)
    var total = 0.0
    for j in 0..<width {
      let error = Double(targets[j]) - Double(row.outputs[j])
      let spread = spread(Double(row.outputs[width + j]))
      let one: Slopes
      switch tail {
      case .normal: one = gaussian(error, spread)
      case .freedom(let freedom): one = student(error, spread, freedom)
      case .learned:
        let raw = Double(row.outputs[2 * width + j])
        let e = shim_exp(-raw.magnitude)
        one = student(error, spread, 2 + max(raw, 0) + shim_log1p(e))
        row.gradient?[2 * width + j] = Float(factor * one.freedom * (raw < 0 ? e : 1) / (1 + e))
      }
      total += one.loss
      row.gradient?[j] = Float(factor * one.location)
      row.gradient?[width + j] = Float(factor * one.spread)
    }
    return total / Double(width)
  }

  /// A loss and its derivatives by location, s and degrees of freedom.
  private struct Slopes {
    var loss = 0.0
    var location = 0.0
    var spread = 0.0
    var freedom = 0.0
  }

  /// Of v = exp(s) + min_variance.
  private struct Spread {
    /// ln v.
    let logarithm: Double
    /// 1/v.
    let inverse: Double
    /// Of ln v by s.
    let slope: Double
  }

  /// Overflows for no s.
  private func spread(_ s: Double) -> Spread {
    if s < 0 {
      let v = shim_exp(s) + minVariance
      return Spread(logarithm: shim_log(v), inverse: 1 / v, slope: shim_exp(s) / v)
    }
    let e = shim_exp(-s)
    let rest = minVariance * e
    return Spread(logarithm: s + shim_log1p(rest), inverse: e / (1 + rest), slope: 1 / (1 + rest))
  }

  private func gaussian(_ error: Double, _ v: Spread) -> Slopes {
    let square = error * error * v.inverse
    return Slopes(
      loss: 0.5 * (v.logarithm + square + 1.8378770664093453), location: -error * v.inverse,
      spread: 0.5 * v.slope * (1 - square))
  }

  private func student(_ error: Double, _ v: Spread, _ n: Double) -> Slopes {
    let square = error * error * v.inverse / n
    let logarithm = shim_log1p(square)
    // square / (1 + square), of a square that may be infinite.
    let share = 1 - 1 / (1 + square)
    let gamma = gammaRatio(n / 2)
    return Slopes(
      loss: 0.5 * (v.logarithm + (n + 1) * logarithm + shim_log(n) + 1.1447298858494002) - gamma.logarithm,
      location: -(n + 1) / n * error * v.inverse / (1 + square),
      spread: 0.5 * v.slope * (1 - (n + 1) * share),
      freedom: 0.5 * (logarithm + (1 - (n + 1) * share) / n - gamma.slope))
  }

  /// ln Γ(x + 1/2) - ln Γ(x) and its derivative, x > 0: an asymptotic series where x is large, and below that by
  /// Γ(x + 1) = x·Γ(x). Unlike the difference of two values of lgamma it loses no digits as x grows.
  ///
  /// - Source: Tricomi & Erdélyi 1951; the remainder is below 3e-14 from 16 on.
  private func gammaRatio(_ x: Double) -> (logarithm: Double, slope: Double) {
    var (logarithm, slope, x) = (0.0, 0.0, x)
    while x < 16 {
      logarithm -= shim_log1p(0.5 / x)
      slope += 0.5 / (x * (x + 0.5))
      x += 1
    }
    let r = 1 / x
    let q = r * r
    logarithm += 0.5 * shim_log(x) - r * (1.0 / 8 - q * (1.0 / 192 - q * (1.0 / 640 - q * (17.0 / 14336))))
    slope += 0.5 * r + q * (1.0 / 8 - q * (1.0 / 64 - q * (1.0 / 128 - q * (17.0 / 2048))))
    return (logarithm, slope)
  }
}

extension Fields {
  fileprivate func minVariance() throws(LSTMError) -> Double {
    try number("min_variance", default: 1e-6, .positive)
  }
}
