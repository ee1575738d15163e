import Foundation
import LSTMKernels
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// What Keras clips probabilities to, in float32.
private let smallest = Double(Float(1e-7))
private let largest = Double(Float(0.9999999))

private func clip(_ p: Double) -> Double { min(max(p, smallest), largest) }

private func softmax(_ z: [Double]) -> [Double] {
  let e = z.map { exp($0 - z.max()!) }
  return e.map { $0 / e.reduce(0, +) }
}

private func mean(_ y: [Double], _ t: [Double], _ f: (Double, Double) -> Double) -> Double {
  zip(y, t).map(f).reduce(0, +) / Double(y.count)
}

/// A loss, its definition for one element, and data that it is made for.
private struct Case: CustomTestStringConvertible, Sendable {
  enum Domain { case numbers, logits, probabilities }

  let json: String
  let outputs: Domain
  let targets: Domain
  let definition: @Sendable (_ y: [Double], _ t: [Double]) -> Double

  var testDescription: String { json }
  var usesClasses: Bool { json.contains("sparse") }
}

private let binary: @Sendable ([Double], [Double]) -> Double = { y, t in
  mean(y, t) { y, t in -(t * log(clip(y)) + (1 - t) * log(1 - clip(y))) }
}
private let categorical: @Sendable ([Double], [Double]) -> Double = { y, t in
  -zip(y, t).map { p, t in t * log(clip(p / y.reduce(0, +))) }.reduce(0, +)
}

private let cases = [
  Case(json: "'mse'", outputs: .numbers, targets: .numbers) { y, t in mean(y, t) { pow($0 - $1, 2) } },
  Case(json: "'mae'", outputs: .numbers, targets: .numbers) { y, t in mean(y, t) { abs($0 - $1) } },
  Case(json: "{'type': 'huber', 'delta': 0.7}", outputs: .numbers, targets: .numbers) { y, t in
    mean(y, t) { abs($0 - $1) <= 0.7 ? pow($0 - $1, 2) / 2 : 0.7 * abs($0 - $1) - 0.245 }
  },
  Case(json: "'binary_crossentropy'", outputs: .probabilities, targets: .probabilities, definition: binary),
  Case(json: "{'type': 'binary_crossentropy', 'from_logits': true}", outputs: .logits, targets: .probabilities) {
    z, t in
    mean(z, t) { z, t in -(t * log(1 / (1 + exp(-z))) + (1 - t) * log(1 - 1 / (1 + exp(-z)))) }
  },
  Case(json: "'categorical_crossentropy'", outputs: .probabilities, targets: .probabilities, definition: categorical),
  Case(
    json: "{'type': 'categorical_crossentropy', 'from_logits': true}", outputs: .logits, targets: .probabilities
  ) { z, t in -zip(softmax(z), t).map { $1 * log($0) }.reduce(0, +) },
  Case(
    json: "'sparse_categorical_crossentropy'", outputs: .probabilities, targets: .probabilities, definition: categorical
  ),
  Case(
    json: "{'type': 'sparse_categorical_crossentropy', 'from_logits': true}", outputs: .logits, targets: .probabilities
  ) { z, t in -zip(softmax(z), t).map { $1 * log($0) }.reduce(0, +) },
]

/// Outputs and targets `[elements, width]`, classes and weights `[elements]`.
private struct Batch {
  var width: Int
  var outputs: [Float] = []
  var targets: [Float] = []
  var classes: [Int32] = []
  var weights: [Float] = []

  var elements: Int { weights.count }
}

extension Batch {
  /// Random data for one loss; probabilities do not sum to 1, neither outputs nor targets. Elements of weight 0 hold
  /// NaN, and labels far out of range.
  fileprivate init(_ test: Case, width: Int, seed: UInt64) {
    self.init(width: width)
    var random = Generator(seed)
    for element in 0..<9 {
      if element % 4 == 2 {
        outputs += [Float](repeating: .nan, count: width)
        targets += [Float](repeating: .nan, count: width)
        classes.append(.max)
        weights.append(0)
        continue
      }
      outputs += Batch.draw(test.outputs, width, &random)
      weights.append(Float.random(in: 0.1...2, using: &random))
      classes.append(Int32.random(in: 0..<Int32(width), using: &random))
      var t = Batch.draw(test.targets, width, &random)
      if test.usesClasses { t = (0..<width).map { $0 == Int(classes[element]) ? 1 : 0 } }
      targets += t
    }
  }

  private static func draw(_ domain: Case.Domain, _ width: Int, _ random: inout Generator) -> [Float] {
    switch domain {
    case .numbers: return random.floats(width, in: -2...2)
    case .logits: return random.floats(width, in: -8...8)
    case .probabilities: return random.floats(width, in: 0.05...0.95)
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
  fileprivate func definition(_ test: Case, _ element: Int, moving j: Int = 0, by step: Double = 0) -> Double {
    let range = element * width..<(element + 1) * width
    var y = outputs[range].map { Double($0) }
    y[j] += step
    return test.definition(y, targets[range].map { Double($0) })
  }
}

@Suite struct LossTests {
  @Test(arguments: cases, [1, 3, 37]) fileprivate func valueIsTheDefinition(_ test: Case, _ width: Int) throws {
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

  @Test(arguments: cases, [1, 3, 37]) fileprivate func gradientIsTheSlope(_ test: Case, _ width: Int) throws {
    let loss = try loss(test.json)
    let batch = Batch(test, width: width, seed: 2)
    for kernels in kernelSets() {
      let gradient = batch.evaluate(loss, kernels).gradient
      for element in 0..<batch.elements {
        for j in 0..<width {
          let actual = Double(gradient[element * width + j])
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

  @Test(arguments: cases) fileprivate func nanInAnElementThatCountsShows(_ test: Case) throws {
    var batch = Batch(test, width: 3, seed: 3)
    batch.outputs[1] = .nan
    for kernels in kernelSets() { #expect(try batch.evaluate(loss(test.json), kernels).loss.isNaN) }
  }

  /// One element of weight 1.
  private func single(
    _ json: String, _ outputs: [Float], _ target: [Float], label: Int32 = 0, fromLogits: Bool = false
  ) throws -> (loss: Double, gradient: [Float]) {
    let batch = Batch(width: outputs.count, outputs: outputs, targets: target, classes: [label], weights: [1])
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

  @Test func canonicalActivations() throws {
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
    for test in cases { #expect(try loss(test.json).usesClasses == test.usesClasses) }
  }

  @Test func lossesOverClassesWantSeveralOutputs() throws {
    for test in cases {
      let loss = try loss(test.json)
      #expect(argumentError { try loss.check(outputWidth: 2) } == nil)
      let error = argumentError { try loss.check(outputWidth: 1) }
      #expect((error != nil) == test.json.contains("categorical"))
    }
    #expect(
      argumentError { try loss("'categorical_crossentropy'").check(outputWidth: 1) }
        == "loss: expected a model of at least 2 outputs for categorical_crossentropy, got 1")
  }

  @Test(arguments: [
    ("'mse'", "\"type\": \"mse\""),
    ("{'type': 'mean_absolute_error'}", "\"type\": \"mean_absolute_error\""),
    ("'huber'", "\"type\": \"huber\", \"delta\": 1"),
    ("{'delta': 2.5, 'type': 'huber'}", "\"type\": \"huber\", \"delta\": 2.5"),
    ("'binary_crossentropy'", "\"type\": \"binary_crossentropy\", \"from_logits\": false"),
  ]) func recordsItsOptions(_ json: String, _ expected: String) throws {
    #expect(text(try loss(json).record) == expected)
  }

  @Test(arguments: [
    (
      "'mes'",
      "loss: expected binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy, mse, mae, huber, "
        + "mean_squared_error or mean_absolute_error, got \"mes\""
    ),
    ("3", "loss: expected a name or an object, got 3"),
    ("{'type': 'huber', 'delta': 0}", "loss.delta: expected a positive number, got 0"),
    ("{'type': 'huber', 'delta': 'big'}", "loss.delta: expected a positive number, got \"big\""),
    ("{'type': 'binary_crossentropy', 'from_logits': 1}", "loss.from_logits: expected true or false, got 1"),
    ("{'type': 'mse', 'delta': 1}", "loss: unknown field \"delta\", expected type"),
  ]) func refuses(_ json: String, _ expected: String) {
    #expect(argumentError { _ = try loss(json) } == expected)
  }
}
