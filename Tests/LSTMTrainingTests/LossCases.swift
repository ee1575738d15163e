import Foundation
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// A loss, its definition for one element, and data that it is made for.
struct LossCase: CustomTestStringConvertible, Sendable {
  enum Domain { case numbers, logits, probabilities, counts, signs, oneHot }

  let json: String
  let outputs: Domain
  let targets: Domain
  /// Outputs for each target.
  let blocks: Int
  /// Outputs are two vectors, with one target.
  let takesPairs: Bool
  let definition: @Sendable (_ y: [Double], _ t: [Double]) -> Double

  init(
    _ json: String, _ outputs: Domain, _ targets: Domain, blocks: Int = 1, pairs: Bool = false,
    _ definition: @escaping @Sendable (_ y: [Double], _ t: [Double]) -> Double
  ) {
    (self.json, self.outputs, self.targets, self.blocks) = (json, outputs, targets, blocks)
    (takesPairs, self.definition) = (pairs, definition)
  }

  var testDescription: String { json }
  var usesClasses: Bool { json.contains("'sparse_") }
  /// It needs two outputs or more.
  var needsSeveral: Bool {
    lossName.contains("categorical") || ["kl_divergence", "cosine_similarity"].contains(lossName)
  }

  /// Without the options.
  var lossName: String {
    let name = json.firstRange(of: "'type': '").map { json[$0.upperBound...] } ?? json.dropFirst()
    return String(name.prefix { $0 != "'" })
  }

  /// The numbers of an element, by the targets that it is to have.
  func widths(_ width: Int) -> (outputs: Int, targets: Int) {
    takesPairs ? (2 * width, 1) : (blocks * width, width)
  }

  func draw(_ domain: Domain, _ count: Int, _ random: inout Generator) -> [Float] {
    switch domain {
    case .numbers: return random.floats(count, in: -2...2)
    case .logits: return random.floats(count, in: -8...8)
    case .probabilities: return random.floats(count, in: 0.05...0.95)
    case .counts: return random.floats(count, in: 0...5)
    case .signs: return (0..<count).map { _ in [-1, 0, 1].randomElement(using: &random)! }
    case .oneHot:
      let one = Int.random(in: 0..<count, using: &random)
      return (0..<count).map { $0 == one ? 1 : 0 }
    }
  }
}

/// What Keras clips probabilities to, in float32.
private let smallest = Double(Float(1e-7))
private let largest = Double(Float(0.9999999))

private func clip(_ p: Double) -> Double { min(max(p, smallest), largest) }
private func sigmoid(_ z: Double) -> Double { 1 / (1 + exp(-z)) }

private func softmax(_ z: [Double]) -> [Double] {
  let e = z.map { exp($0 - z.max()!) }
  return e.map { $0 / e.reduce(0, +) }
}

private func mean(_ y: [Double], _ t: [Double], _ f: (Double, Double) -> Double) -> Double {
  sum(y, t, f) / Double(y.count)
}

private func sum(_ y: [Double], _ t: [Double], _ f: (Double, Double) -> Double) -> Double {
  zip(y, t).map(f).reduce(0, +)
}

private func normalised(_ y: [Double]) -> [Double] { y.map { clip($0 / y.reduce(0, +)) } }

private func smoothed(_ t: [Double], _ share: Double) -> [Double] {
  t.map { $0 * (1 - share) + share / Double(t.count) }
}

private func binaryEntropy(_ p: Double, _ t: Double) -> Double { -(t * log(p) + (1 - t) * log(1 - p)) }

private func binaryFocal(_ p: Double, _ t: Double, gamma: Double, alpha: Double? = nil) -> Double {
  let balance = alpha.map { t * $0 + (1 - t) * (1 - $0) } ?? 1
  return balance * pow(1 - (t * p + (1 - t) * (1 - p)), gamma) * binaryEntropy(p, t)
}

private func entropy(_ p: [Double], _ t: [Double]) -> Double { sum(p, t) { -$1 * log($0) } }

private func categoricalFocal(_ p: [Double], _ t: [Double], gamma: Double, alpha: Double) -> Double {
  sum(p, t) { -alpha * $1 * pow(1 - $0, gamma) * log($0) }
}

private func divergence(_ p: [Double], _ t: [Double]) -> Double {
  sum(p, t) { max($1, 1e-7) * log(max($1, 1e-7) / $0) }
}

private func block(_ i: Int, _ y: [Double], _ width: Int) -> [Double] { Array(y[i * width..<(i + 1) * width]) }

private func gaussian(_ y: [Double], _ t: [Double], least: Double) -> Double {
  (0..<t.count).map { j in
    let v = exp(y[t.count + j]) + least
    return 0.5 * (log(2 * Double.pi * v) + (t[j] - y[j]) * (t[j] - y[j]) / v)
  }.reduce(0, +) / Double(t.count)
}

/// With `freedom` degrees of freedom for each target.
private func student(_ y: [Double], _ t: [Double], least: Double, _ freedom: (Int) -> Double) -> Double {
  (0..<t.count).map { j in
    let (v, n) = (exp(y[t.count + j]) + least, freedom(j))
    let square = (t[j] - y[j]) * (t[j] - y[j]) / (n * v)
    return lgamma(n / 2) - lgamma((n + 1) / 2) + 0.5 * log(n * Double.pi * v) + (n + 1) / 2 * log1p(square)
  }.reduce(0, +) / Double(t.count)
}

private func pinball(_ y: [Double], _ t: [Double], _ quantiles: [Double]) -> Double {
  quantiles.enumerated().map { i, q in
    mean(block(i, y, t.count), t) { max(q * ($1 - $0), (q - 1) * ($1 - $0)) }
  }.reduce(0, +) / Double(quantiles.count)
}

private func contrast(_ d: Double, _ t: Double, _ margin: Double) -> Double {
  t * d * d + (1 - t) * pow(max(margin - d, 0), 2)
}

/// At least one for each line of the registry.
let lossCases: [LossCase] = errorCases + decisionCases + classCases + forecastCases

private let errorCases = [
  LossCase("'mse'", .numbers, .numbers) { mean($0, $1) { pow($0 - $1, 2) } },
  LossCase("'mean_squared_error'", .numbers, .numbers) { mean($0, $1) { pow($0 - $1, 2) } },
  LossCase("'mae'", .numbers, .numbers) { mean($0, $1) { abs($0 - $1) } },
  LossCase("'mean_absolute_error'", .numbers, .numbers) { mean($0, $1) { abs($0 - $1) } },
  LossCase("{'type': 'huber', 'delta': 0.7}", .numbers, .numbers) { y, t in
    mean(y, t) { abs($0 - $1) <= 0.7 ? pow($0 - $1, 2) / 2 : 0.7 * abs($0 - $1) - 0.245 }
  },
  LossCase("'log_cosh'", .logits, .numbers) { mean($0, $1) { log(cosh($0 - $1)) } },
  LossCase("'mape'", .numbers, .logits) { mean($0, $1) { 100 * abs(($0 - $1) / $1) } },
  LossCase("'msle'", .numbers, .counts) { mean($0, $1) { pow(log1p(max($0, 1e-7)) - log1p(max($1, 1e-7)), 2) } },
  LossCase("'poisson'", .probabilities, .counts) { mean($0, $1) { $0 - $1 * log($0 + 1e-7) } },
  LossCase("{'type': 'poisson', 'log_input': true}", .numbers, .counts) { mean($0, $1) { exp($0) - $1 * $0 } },
  LossCase("'cosine_similarity'", .numbers, .numbers) { y, t in
    -sum(y, t, *) / max((sum(y, y, *) * sum(t, t, *)).squareRoot(), 1e-14)
  },
]

private let decisionCases = [
  LossCase("'hinge'", .numbers, .signs) { mean($0, $1) { max(1 - ($1 == 1 ? 1 : -1) * $0, 0) } },
  LossCase("'squared_hinge'", .numbers, .signs) { mean($0, $1) { pow(max(1 - ($1 == 1 ? 1 : -1) * $0, 0), 2) } },
  LossCase("'binary_crossentropy'", .probabilities, .probabilities) {
    mean($0, $1) { binaryEntropy(clip($0), $1) }
  },
  LossCase("{'type': 'binary_crossentropy', 'from_logits': true}", .logits, .probabilities) {
    mean($0, $1) { binaryEntropy(sigmoid($0), $1) }
  },
  LossCase("{'type': 'binary_crossentropy', 'label_smoothing': 0.3}", .probabilities, .probabilities) {
    mean($0, $1) { binaryEntropy(clip($0), 0.7 * $1 + 0.15) }
  },
  LossCase(
    "{'type': 'binary_crossentropy', 'label_smoothing': 0.3, 'from_logits': true}", .logits, .probabilities
  ) { mean($0, $1) { binaryEntropy(sigmoid($0), 0.7 * $1 + 0.15) } },
  LossCase("'binary_focal_crossentropy'", .probabilities, .probabilities) {
    mean($0, $1) { binaryFocal(clip($0), $1, gamma: 2) }
  },
  LossCase(
    "{'type': 'binary_focal_crossentropy', 'gamma': 0.5, 'alpha': 0.4, 'apply_class_balancing': true}",
    .probabilities, .probabilities
  ) { mean($0, $1) { binaryFocal(clip($0), $1, gamma: 0.5, alpha: 0.4) } },
  LossCase(
    "{'type': 'binary_focal_crossentropy', 'gamma': 0.5, 'from_logits': true, 'apply_class_balancing': true}", .logits,
    .oneHot
  ) { mean($0, $1) { binaryFocal(sigmoid($0), $1, gamma: 0.5, alpha: 0.25) } },
  LossCase(
    "{'type': 'binary_focal_crossentropy', 'gamma': 3, 'from_logits': true, 'label_smoothing': 0.2}", .logits, .oneHot
  ) { mean($0, $1) { binaryFocal(sigmoid($0), 0.8 * $1 + 0.1, gamma: 3) } },
  LossCase("{'type': 'contrastive', 'margin': 1.5}", .counts, .probabilities) {
    mean($0, $1) { contrast($0, $1, 1.5) }
  },
  LossCase("{'type': 'contrastive', 'pairs': true, 'margin': 4}", .numbers, .probabilities, pairs: true) { y, t in
    let (a, b) = (y.prefix(y.count / 2), y.suffix(y.count / 2))
    return contrast(zip(a, b).map { pow($0 - $1, 2) }.reduce(0, +).squareRoot(), t[0], 4)
  },
]

private let classCases =
  ["categorical", "sparse_categorical"].flatMap { (kind: String) -> [LossCase] in
    let name = "'type': '\(kind)_crossentropy'"
    return [
      LossCase("'\(kind)_crossentropy'", .probabilities, .probabilities) { entropy(normalised($0), $1) },
      LossCase("{\(name), 'from_logits': true}", .logits, .probabilities) { entropy(softmax($0), $1) },
      LossCase("{\(name), 'label_smoothing': 0.3}", .probabilities, .oneHot) {
        entropy(normalised($0), smoothed($1, 0.3))
      },
      LossCase("{\(name), 'label_smoothing': 0.3, 'from_logits': true}", .logits, .oneHot) {
        entropy(softmax($0), smoothed($1, 0.3))
      },
    ]
  } + [
    LossCase("'kl_divergence'", .probabilities, .probabilities) { y, t in divergence(y.map { min(max($0, 1e-7), 1) }, t)
    },
    LossCase("{'type': 'kl_divergence', 'from_logits': true}", .logits, .oneHot) { divergence(softmax($0), $1) },
    LossCase("'categorical_focal_crossentropy'", .probabilities, .probabilities) {
      categoricalFocal(normalised($0), $1, gamma: 2, alpha: 0.25)
    },
    LossCase(
      "{'type': 'categorical_focal_crossentropy', 'gamma': 0.5, 'alpha': 0.7, 'label_smoothing': 0.2}", .probabilities,
      .oneHot
    ) { categoricalFocal(normalised($0), smoothed($1, 0.2), gamma: 0.5, alpha: 0.7) },
    LossCase(
      "{'type': 'categorical_focal_crossentropy', 'gamma': 1.5, 'alpha': 1, 'from_logits': true}", .logits,
      .probabilities
    ) { categoricalFocal(softmax($0), $1, gamma: 1.5, alpha: 1) },
    LossCase("'categorical_hinge'", .numbers, .oneHot) { y, t in
      max(zip(y, t).map { (1 - $1) * $0 }.max()! - sum(y, t, *) + 1, 0)
    },
  ]

private let forecastCases = [
  LossCase("{'type': 'quantile', 'quantiles': 0.3}", .numbers, .numbers) { pinball($0, $1, [0.3]) },
  LossCase("{'type': 'quantile', 'quantiles': [0.1, 0.5, 0.95]}", .numbers, .numbers, blocks: 3) {
    pinball($0, $1, [0.1, 0.5, 0.95])
  },
  LossCase("'gaussian_nll'", .numbers, .numbers, blocks: 2) { gaussian($0, $1, least: 1e-6) },
  LossCase("{'type': 'gaussian_nll', 'min_variance': 0.2}", .numbers, .numbers, blocks: 2) {
    gaussian($0, $1, least: 0.2)
  },
  LossCase("{'type': 'student_t_nll', 'degrees_of_freedom': 3.5}", .numbers, .numbers, blocks: 2) { y, t in
    student(y, t, least: 1e-6) { _ in 3.5 }
  },
  LossCase("{'type': 'student_t_nll', 'degrees_of_freedom': 0.4}", .numbers, .numbers, blocks: 2) { y, t in
    student(y, t, least: 1e-6) { _ in 0.4 }
  },
  LossCase("{'type': 'student_t_nll', 'min_variance': 0.1}", .numbers, .numbers, blocks: 3) { y, t in
    student(y, t, least: 0.1) { j in 2 + log1p(exp(y[2 * t.count + j])) }
  },
]
