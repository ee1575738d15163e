import Foundation
import LSTMKernels
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// Outputs `[elements, width]`, targets `[elements, targetWidth]`, classes and weights `[elements]`.
private struct Batch {
  var width: Int
  var targetWidth: Int
  var outputs: [Float] = []
  var targets: [Float] = []
  var classes: [Int32] = []
  var weights: [Float] = []

  var elements: Int { weights.count }
}

extension Batch {
  /// Random data for one loss; probabilities do not sum to 1, neither outputs nor targets. Elements of weight 0 hold
  /// NaN, and labels far out of range.
  fileprivate init(_ test: LossCase, width: Int, seed: UInt64) {
    let (width, targetWidth) = test.widths(width)
    self.init(width: width, targetWidth: targetWidth)
    var random = Generator(seed)
    for element in 0..<9 {
      if element % 4 == 2 {
        outputs += [Float](repeating: .nan, count: width)
        targets += [Float](repeating: .nan, count: targetWidth)
        classes.append(.max)
        weights.append(0)
        continue
      }
      outputs += test.draw(test.outputs, width, &random)
      weights.append(Float.random(in: 0.1...2, using: &random))
      classes.append(Int32.random(in: 0..<Int32(width), using: &random))
      let t = test.draw(test.targets, targetWidth, &random)
      targets += test.usesClasses ? (0..<width).map { $0 == Int(classes[element]) ? 1 : 0 } : t
    }
  }

  /// The loss, and its gradient if that is asked for: what is not written stays NaN.
  fileprivate func evaluate(
    _ loss: Loss, _ kernels: Kernels, fromLogits: Bool = false, withGradient: Bool = true
  ) -> (loss: Double, gradient: [Float]) {
    let (y, t, c, w) = (Numbers(outputs), Numbers(targets), Numbers(classes), Numbers(weights))
    let gradient = Numbers([Float](repeating: .nan, count: outputs.count))
    let scratch = Numbers([Float](repeating: .nan, count: width))
    let input = LossInput(
      outputs: y.start, targets: loss.usesClasses ? .classes(c.start) : .values(t.start), elements: weights.count,
      width: width, weights: w.start)
    return withExtendedLifetime((y, t, c, w)) {
      let total = loss.evaluate(
        input, fromLogits: fromLogits, gradient: withGradient ? gradient.start : nil, kernels, scratch: scratch.start)
      return (total, gradient.values)
    }
  }

  /// The definition's value when output `j` of `element` is moved by `step`; without the weight.
  fileprivate func definition(_ test: LossCase, _ element: Int, moving j: Int = 0, by step: Double = 0) -> Double {
    let range = element * width..<(element + 1) * width
    var y = outputs[range].map { Double($0) }
    y[j] += step
    return test.definition(y, targets[element * targetWidth..<(element + 1) * targetWidth].map { Double($0) })
  }
}

@Suite struct LossTests {
  @Test(arguments: lossCases, [1, 3, 37]) fileprivate func valueIsTheDefinition(_ test: LossCase, _ width: Int) throws {
    let loss = try loss(test.json)
    let batch = Batch(test, width: width, seed: 1)
    var expected = 0.0
    for element in 0..<batch.elements where batch.weights[element] != 0 {
      expected += Double(batch.weights[element]) * batch.definition(test, element)
    }
    for kernels in kernelSets() {
      let alone = batch.evaluate(loss, kernels, withGradient: false).loss
      #expect(isClose(alone, expected, 1e-6), "\(alone), expected \(expected)")
      #expect(batch.evaluate(loss, kernels).loss == alone)
    }
  }

  @Test(arguments: lossCases, [1, 3, 37]) fileprivate func gradientIsTheSlope(_ test: LossCase, _ width: Int) throws {
    let loss = try loss(test.json)
    let batch = Batch(test, width: width, seed: 2)
    for kernels in kernelSets() {
      let gradient = batch.evaluate(loss, kernels).gradient
      for element in 0..<batch.elements {
        for j in 0..<batch.width {
          let actual = Double(gradient[element * batch.width + j])
          if batch.weights[element] == 0 {
            #expect(actual == 0)
            continue
          }
          let step = 1e-5
          let rise =
            batch.definition(test, element, moving: j, by: step) - batch.definition(test, element, moving: j, by: -step)
          let expected = Double(batch.weights[element]) * rise / (2 * step)
          #expect(isClose(actual, expected, 2e-6), "element \(element), output \(j): \(actual), expected \(expected)")
        }
      }
    }
  }

  @Test(arguments: lossCases) fileprivate func nanInAnElementThatCountsShows(_ test: LossCase) throws {
    var batch = Batch(test, width: 3, seed: 3)
    batch.outputs[1] = .nan
    for kernels in kernelSets() { #expect(try batch.evaluate(loss(test.json), kernels).loss.isNaN) }
  }

  /// One element of weight 1.
  private func single(
    _ json: String, _ outputs: [Float], _ target: [Float], label: Int32 = 0, fromLogits: Bool = false
  ) throws -> (loss: Double, gradient: [Float]) {
    let batch = Batch(
      width: outputs.count, targetWidth: target.count, outputs: outputs, targets: target, classes: [label],
      weights: [1])
    return batch.evaluate(try loss(json), try #require(kernelSets().first), fromLogits: fromLogits)
  }

  @Test func logitsOfAThousand() throws {
    for (logit, target, expected, slope) in [
      (1000, 1, 0, 0), (1000, 0, 1000, 1), (-1000, 1, 1000, -1), (-1000, 0, 0, 0),
    ] as [(Float, Float, Double, Float)] {
      let result = try single("'binary_crossentropy'", [logit], [target], fromLogits: true)
      #expect(result.loss == expected && result.gradient == [slope])
    }
    let logits: [Float] = [1000, -1000, 0]
    for (label, expected, slopes) in [
      (0, 0, [0, 0, 0]), (1, 2000, [1, -1, 0]), (2, 1000, [1, 0, -1]),
    ] as [(Int32, Double, [Float])] {
      let sparse = try single("'sparse_categorical_crossentropy'", logits, [], label: label, fromLogits: true)
      #expect(sparse.loss == expected && sparse.gradient == slopes)
      let oneHot: [Float] = (0..<3).map { $0 == Int(label) ? 1 : 0 }
      let dense = try single("'categorical_crossentropy'", logits, oneHot, fromLogits: true)
      #expect(dense.loss == expected && dense.gradient == slopes)
    }
  }

  @Test func smallLossesKeepTheirDigits() throws {
    let sparse = try single("'sparse_categorical_crossentropy'", [30, 0], [], label: 0, fromLogits: true)
    #expect((sparse.loss / log1p(exp(-30)) - 1).magnitude < 1e-6)
    let binary = try single("'binary_crossentropy'", [30], [1], fromLogits: true)
    #expect((binary.loss / log1p(exp(-30)) - 1).magnitude < 1e-6)
    #expect((Double(binary.gradient[0]) / (-1 / (1 + exp(30))) - 1).magnitude < 1e-6)
  }

  @Test func certainProbabilitiesAreClippedAndHaveNoSlope() throws {
    // -ln 1e-7 and -ln(1 - 0.99999988), as Keras gives them.
    for (p, target, expected) in [(0, 1, 16.118095), (1, 0, 15.942385)] as [(Float, Float, Double)] {
      let binary = try single("'binary_crossentropy'", [p], [target])
      #expect(isClose(binary.loss, expected, 1e-7) && binary.gradient == [0])
    }
    let sparse = try single("'sparse_categorical_crossentropy'", [0, 2], [], label: 0)
    #expect(isClose(sparse.loss, 16.118095, 1e-7) && sparse.gradient == [0, 0])
    let dense = try single("'categorical_crossentropy'", [0, 2], [1, 0])
    #expect(isClose(dense.loss, 16.118095, 1e-7) && dense.gradient == [0, 0])
  }

  @Test func absoluteErrorHasNoSlopeAtTheTarget() throws {
    #expect(try single("'mae'", [3, 1, 5], [3, 3, 3]).gradient == [0, -1 / 3, 1 / 3])
  }

  /// Where the scale is nothing, everything or far from it, and the degrees of freedom are all but infinite.
  @Test func extremeLikelihoods() throws {
    let half = 0.5 * log(2 * Double.pi)
    for (outputs, expected, slopes) in [
      ([1, -3e38], half + 0.5 * log(1e-6), [0, 0]), ([1, 3e38], half + 1.5e38, [0, 0.5]),
      ([1, 0], half + 0.5 * log1p(1e-6), [0, Float(0.5 / (1 + 1e-6))]),
    ] as [([Float], Double, [Float])] {
      let gaussian = try single("'gaussian_nll'", outputs, [1])
      #expect(isClose(gaussian.loss, expected, 1e-7) && gaussian.gradient == slopes)
      // With degrees of freedom without end it is the same distribution.
      let student = try single("'student_t_nll'", outputs + [3e38], [1])
      #expect(isClose(student.loss, expected, 1e-7))
      #expect(zip(student.gradient, slopes + [0]).allSatisfy { abs($0 - $1) < 1e-6 })
    }
    let far = try single("'student_t_nll'", [-3e38, -50, -3e38], [3e38])
    #expect(far.loss.isFinite && far.gradient.allSatisfy { $0.isFinite })
    // ln Γ(n/2) - ln Γ((n + 1)/2) over all sizes of n.
    for exponent in stride(from: -6.0, through: 6, by: 0.25) {
      let n = pow(10, exponent)
      let result = try single("{'type': 'student_t_nll', 'degrees_of_freedom': \(n)}", [0, 0], [0])
      let expected = lgamma(n / 2) - lgamma((n + 1) / 2) + 0.5 * log(n * Double.pi * (1 + 1e-6))
      // The digits that the difference of lgamma loses.
      #expect(abs(result.loss - expected) < 1e-12 * max(1, lgamma(n / 2).magnitude))
    }
  }

  @Test func cosineOfVectorsWithoutALength() throws {
    for (outputs, targets, expected) in [
      ([0, 0], [1, 2], 0), ([1, 2], [0, 0], 0), ([3e-8, 4e-8], [3, 4], -0.5), ([3, 4], [3e30, 4e30], -1),
    ] as [([Float], [Float], Double)] {
      let result = try single("'cosine_similarity'", outputs, targets)
      #expect(isClose(result.loss, expected, 1e-7))
      #expect(result.gradient.allSatisfy { $0.isFinite })
    }
    // Shorter than 1e-7 a vector is divided by that, so that its slope is -t/(|t|·1e-7).
    for outputs in [[0, 0], [3e-8, 4e-8]] as [[Float]] {
      let slopes = try single("'cosine_similarity'", outputs, [3, 4]).gradient
      #expect(isClose(Double(slopes[0]), -6e6, 1e-6) && isClose(Double(slopes[1]), -8e6, 1e-6))
    }
  }

  /// Where a logarithm or a quotient would be infinite, there is 1e-7 in its place, as in Keras.
  @Test func whatKerasKeepsFromZero() throws {
    for (json, output, target, expected, slope) in [
      ("'mape'", 0.5, 0, 5e8, 1e9), ("'msle'", -1, 3, pow(log1p(1e-7) - log1p(3), 2), 0),
      ("'poisson'", 0, 2, -2 * log(1e-7), 1 - 2e7),
    ] as [(String, Float, Float, Double, Double)] {
      let result = try single(json, [output], [target])
      #expect(isClose(result.loss, expected, 1e-12) && isClose(Double(result.gradient[0]), slope, 1e-7))
    }
    let divergence = try single("'kl_divergence'", [0, 2], [1, 0])
    #expect(isClose(divergence.loss, -log(1e-7) + 1e-7 * log(1e-7), 1e-12) && divergence.gradient == [0, 0])
  }

  @Test func pairsInOnePlaceHaveNoDirection() throws {
    let json = "{'type': 'contrastive', 'pairs': true}"
    let apart = try single(json, [1, 2, 1, 2], [0])
    #expect(apart.loss == 1 && apart.gradient == [0, 0, 0, 0])
    let together = try single(json, [1, 2, 1, 2], [1])
    #expect(together.loss == 0 && together.gradient == [0, 0, 0, 0])
  }

  @Test func focalLossesOfCertainAnswers() throws {
    // Nothing is left of a right answer, and all of a wrong one.
    for (logit, target, expected, slope) in [
      (1000, 1, 0, 0), (1000, 0, 1000, 1), (-1000, 1, 1000, -1), (-1000, 0, 0, 0),
    ] as [(Float, Float, Double, Float)] {
      for gamma in ["0.5", "2"] {
        let json = "{'type': 'binary_focal_crossentropy', 'gamma': \(gamma)}"
        let result = try single(json, [logit], [target], fromLogits: true)
        #expect(result.loss == expected && result.gradient == [slope])
        let several = "{'type': 'categorical_focal_crossentropy', 'alpha': 1, 'gamma': \(gamma)}"
        let both = try single(several, [logit, 0], [target, 1 - target], fromLogits: true)
        #expect(both.loss == expected && both.gradient == [slope, -slope])
      }
    }
  }

  @Test func canonicalActivations() throws {
    for name in ["binary_focal_crossentropy"] { #expect(try loss("'\(name)'").canonicalActivation == .sigmoid) }
    for name in ["categorical_focal_crossentropy", "kl_divergence"] {
      #expect(try loss("'\(name)'").canonicalActivation == .softmax)
    }
    #expect(try loss("'binary_crossentropy'").canonicalActivation == .sigmoid)
    #expect(try loss("'categorical_crossentropy'").canonicalActivation == .softmax)
    #expect(try loss("'sparse_categorical_crossentropy'").canonicalActivation == .softmax)
    for json in ["'mse'", "'mae'", "'huber'"] { #expect(try loss(json).canonicalActivation == nil) }
    for name in ["binary", "categorical", "sparse_categorical"] {
      let json = "{'type': '\(name)_crossentropy', 'from_logits': true}"
      #expect(try loss(json).canonicalActivation == nil)
    }
  }

  @Test func onlySparseLossesUseClasses() throws {
    for test in lossCases { #expect(try loss(test.json).usesClasses == test.usesClasses) }
  }

  @Test func everyLossHasACase() {
    for entry in LossRegistry.entries {
      let names = lossCases.map(\.lossName) + sequenceLosses
      #expect(names.contains(entry.name.text), "\(entry.name)")
    }
  }

  @Test func lossesRefuseWidthsThatTheyCannotTeach() throws {
    for test in lossCases {
      let loss = try loss(test.json)
      for width in 1...4 {
        let (outputs, targets) = test.widths(width)
        let error = argumentError { try loss.check(outputWidth: outputs) }
        #expect((error == nil) == (outputs > 1 || !test.needsSeveral))
        #expect(loss.targetWidth(of: outputs) == targets)
        if test.blocks > 1 || test.takesPairs {
          #expect(argumentError { try loss.check(outputWidth: outputs + 1) } != nil)
        }
      }
    }
    for (json, width, expected) in [
      ("'categorical_crossentropy'", 1, "at least 2 outputs, got 1"),
      ("{'type': 'contrastive', 'pairs': true}", 3, "a multiple of 2 outputs, got 3"),
      (
        "{'type': 'quantile', 'quantiles': [0.1, 0.5, 0.9]}", 4,
        "a multiple of 3 outputs, got 4"
      ),
      ("'gaussian_nll'", 3, "a multiple of 2 outputs, got 3"),
    ] {
      #expect(
        argumentError { try loss(json).check(outputWidth: width) } == "loss: expected a model of " + expected)
    }
  }

  /// Metrics see the median, the location, or the outputs themselves.
  @Test func forecasts() throws {
    for (json, width, expected) in [
      ("'mse'", 6, 0), ("{'type': 'quantile', 'quantiles': 0.9}", 6, 0),
      ("{'type': 'quantile', 'quantiles': [0.1, 0.45, 0.9]}", 6, 2),
      ("{'type': 'quantile', 'quantiles': [0.4, 0.6, 0.9]}", 6, 0), ("'gaussian_nll'", 6, 0),
      ("{'type': 'contrastive', 'pairs': true}", 6, nil),
    ] as [(String, Int, Int?)] { #expect(try loss(json).forecastPlace(width) == expected) }
  }

  @Test(arguments: [
    ("'mse'", "\"type\": \"mse\""),
    ("{'type': 'mean_absolute_error'}", "\"type\": \"mean_absolute_error\""),
    ("'huber'", "\"type\": \"huber\", \"delta\": 1"),
    ("{'delta': 2.5, 'type': 'huber'}", "\"type\": \"huber\", \"delta\": 2.5"),
    (
      "'binary_crossentropy'", "\"type\": \"binary_crossentropy\", \"from_logits\": false, \"label_smoothing\": 0"
    ),
    ("{'type': 'quantile', 'quantiles': 0.5}", "\"type\": \"quantile\", \"quantiles\": [0.5]"),
    (
      "{'type': 'quantile', 'quantiles': [0.1, 0.5]}", "\"type\": \"quantile\", \"quantiles\": [0.1, 0.5]"
    ),
    ("'poisson'", "\"type\": \"poisson\", \"log_input\": false"),
    ("'contrastive'", "\"type\": \"contrastive\", \"margin\": 1, \"pairs\": false"),
    ("'student_t_nll'", "\"type\": \"student_t_nll\", \"degrees_of_freedom\": null, \"min_variance\": 1e-06"),
    ("'kl_divergence'", "\"type\": \"kl_divergence\", \"from_logits\": false"),
  ]) func recordsItsOptions(_ json: String, _ expected: String) throws {
    #expect(text(try loss(json).record) == expected)
  }

  @Test func refusesAnUnknownName() {
    let names = LossRegistry.entries.map { $0.name.text }
    let listing = names.dropLast().joined(separator: ", ") + " or " + names.last!
    #expect(argumentError { _ = try loss("'mes'") } == "loss: expected \(listing), got \"mes\"")
  }

  @Test(arguments: [
    ("3", "loss: expected a name or an object, got 3"),
    ("{'type': 'huber', 'delta': 0}", "loss.delta: expected a positive number, got 0"),
    ("{'type': 'huber', 'delta': 'big'}", "loss.delta: expected a positive number, got \"big\""),
    ("{'type': 'binary_crossentropy', 'from_logits': 1}", "loss.from_logits: expected true or false, got 1"),
    (
      "{'type': 'binary_crossentropy', 'label_smoothing': 1.5}",
      "loss.label_smoothing: expected a number from 0 to 1, got 1.5"
    ),
    ("{'type': 'binary_focal_crossentropy', 'gamma': -1}", "loss.gamma: expected a number of at least 0, got -1"),
    ("{'type': 'contrastive', 'margin': 0}", "loss.margin: expected a positive number, got 0"),
    (
      "{'type': 'student_t_nll', 'degrees_of_freedom': 0}",
      "loss.degrees_of_freedom: expected a positive number or null, got 0"
    ),
    ("{'type': 'gaussian_nll', 'min_variance': 0}", "loss.min_variance: expected a positive number, got 0"),
    (
      "'quantile'",
      "loss.quantiles: expected a number between 0 and 1, or a list of such in rising order, got nothing"
    ),
    (
      "{'type': 'quantile', 'quantiles': [0.5, 0.5]}",
      "loss.quantiles: expected a number between 0 and 1, or a list of such in rising order, got a list"
    ),
    (
      "{'type': 'quantile', 'quantiles': []}",
      "loss.quantiles: expected a number between 0 and 1, or a list of such in rising order, got a list"
    ),
    (
      "{'type': 'quantile', 'quantiles': 1}",
      "loss.quantiles: expected a number between 0 and 1, or a list of such in rising order, got 1"
    ),
    ("{'type': 'mse', 'delta': 1}", "loss: unknown field \"delta\", expected type"),
  ]) func refuses(_ json: String, _ expected: String) {
    #expect(argumentError { _ = try loss(json) } == expected)
  }
}
