import Foundation
import LSTMKernels
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// One weight under an optimizer, in float64, as keras/src/optimizers has it.
private struct Reference {
  var w: Double
  var m = 0.0
  var v: Double
  var extra = 0.0

  init(_ w: Float, accumulator: Double = 0) { (self.w, v) = (Double(w), accumulator) }

  mutating func sgd(_ g: Double, _ rate: Double, momentum: Double = 0, nesterov: Bool = false) {
    m = momentum * m - rate * g
    w += nesterov ? momentum * m - rate * g : m
  }

  mutating func rmsprop(
    _ g: Double, _ rate: Double, rho: Double = 0.9, momentum: Double = 0, epsilon: Double = 1e-7, centered: Bool = false
  ) {
    v = rho * v + (1 - rho) * g * g
    extra = rho * extra + (1 - rho) * g
    m = momentum * m + rate * g / (v - (centered ? extra * extra : 0) + epsilon).squareRoot()
    w -= m
  }

  mutating func adam(
    _ g: Double, _ rate: Double, step: Int, _ beta1: Double = 0.9, _ beta2: Double = 0.999, epsilon: Double = 1e-7,
    amsgrad: Bool = false
  ) {
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    extra = max(extra, v)
    let alpha = rate * (1 - pow(beta2, Double(step))).squareRoot() / (1 - pow(beta1, Double(step)))
    w -= alpha * m / ((amsgrad ? extra : v).squareRoot() + epsilon)
  }

  mutating func adagrad(_ g: Double, _ rate: Double, epsilon: Double = 1e-7) {
    v += g * g
    w -= rate * g / (v + epsilon).squareRoot()
  }

  mutating func adamax(_ g: Double, _ rate: Double, step: Int, _ beta1: Double = 0.9, _ beta2: Double = 0.999) {
    m = beta1 * m + (1 - beta1) * g
    v = max(beta2 * v, g.magnitude)
    w -= rate / (1 - pow(beta1, Double(step))) * m / (v + 1e-7)
  }

  mutating func nadam(
    _ g: Double, _ rate: Double, step: Int, _ beta1: Double = 0.9, _ beta2: Double = 0.999, epsilon: Double = 1e-7
  ) {
    func u(_ step: Int) -> Double { beta1 * (1 - 0.5 * pow(0.96, Double(step))) }
    let product = (1...step).reduce(1) { $0 * u($1) }
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    let mean = u(step + 1) * m / (1 - product * u(step + 1)) + (1 - u(step)) * g / (1 - product)
    w -= rate * mean / ((v / (1 - pow(beta2, Double(step)))).squareRoot() + epsilon)
  }

  mutating func adadelta(_ g: Double, _ rate: Double, rho: Double = 0.95, epsilon: Double = 1e-7) {
    v = rho * v + (1 - rho) * g * g
    let step = (m + epsilon).squareRoot() / (v + epsilon).squareRoot() * g
    m = rho * m + (1 - rho) * step * step
    w -= rate * step
  }

  mutating func ftrl(
    _ g: Double, _ rate: Double, l1: Double = 0, l2: Double = 0, shrinkage: Double = 0, beta: Double = 0
  ) {
    let before = v.squareRoot()
    v += g * g
    m += g + 2 * shrinkage * w - (v.squareRoot() - before) / rate * w
    let curve = v.squareRoot() / rate + 2 * (l2 + beta / (2 * rate))
    w = (min(max(m, -l1), l1) - m) / curve
  }

  mutating func lion(_ g: Double, _ rate: Double, _ beta1: Double = 0.9, _ beta2: Double = 0.99) {
    let way = beta1 * m + (1 - beta1) * g
    w -= rate * (way > 0 ? 1 : way < 0 ? -1 : 0)
    m = beta2 * m + (1 - beta2) * g
  }

  mutating func decay(_ weightDecay: Double, _ rate: Double) { w -= w * weightDecay * rate }
}

private let names =
  "sgd, rmsprop, adam, adamw, adagrad, adamax, nadam, adadelta, ftrl, lion or adafactor"

private struct Case: CustomTestStringConvertible, Sendable {
  let json: String
  let slots: Int
  var accumulator = 0.0
  let step: @Sendable (_ r: inout Reference, _ g: Double, _ rate: Double, _ step: Int) -> Void

  var testDescription: String { json }

  init(
    _ json: String, slots: Int, accumulator: Double = 0,
    _ step: @escaping @Sendable (_ r: inout Reference, _ g: Double, _ rate: Double, _ step: Int) -> Void
  ) {
    (self.json, self.slots, self.accumulator, self.step) = (json, slots, accumulator, step)
  }
}

private let cases = [
  Case("'sgd'", slots: 0) { r, g, rate, _ in r.sgd(g, rate) },
  Case("{'type': 'sgd', 'weight_decay': 0.3}", slots: 0) { r, g, rate, _ in
    r.decay(0.3, rate)
    r.sgd(g, rate)
  },
  Case("{'type': 'sgd', 'momentum': 0.8}", slots: 1) { r, g, rate, _ in r.sgd(g, rate, momentum: 0.8) },
  Case("{'type': 'sgd', 'momentum': 0.8, 'nesterov': true}", slots: 1) { r, g, rate, _ in
    r.sgd(g, rate, momentum: 0.8, nesterov: true)
  },
  Case("'rmsprop'", slots: 1) { r, g, rate, _ in r.rmsprop(g, rate) },
  Case("{'type': 'rmsprop', 'rho': 0.7, 'momentum': 0.5, 'epsilon': 0.01}", slots: 2) { r, g, rate, _ in
    r.rmsprop(g, rate, rho: 0.7, momentum: 0.5, epsilon: 0.01)
  },
  Case("{'type': 'rmsprop', 'centered': true}", slots: 2) { r, g, rate, _ in r.rmsprop(g, rate, centered: true) },
  Case("{'type': 'rmsprop', 'momentum': 0.5, 'centered': true, 'weight_decay': 0.1}", slots: 3) { r, g, rate, _ in
    r.decay(0.1, rate)
    r.rmsprop(g, rate, momentum: 0.5, centered: true)
  },
  Case("'adam'", slots: 2) { r, g, rate, step in r.adam(g, rate, step: step) },
  Case("{'type': 'adam', 'beta_1': 0.5, 'beta_2': 0.9, 'epsilon': 0.1}", slots: 2) { r, g, rate, step in
    r.adam(g, rate, step: step, 0.5, 0.9, epsilon: 0.1)
  },
  Case("{'type': 'adam', 'amsgrad': true, 'beta_2': 0.6}", slots: 3) { r, g, rate, step in
    r.adam(g, rate, step: step, 0.9, 0.6, amsgrad: true)
  },
  Case("'adamw'", slots: 2) { r, g, rate, step in
    r.decay(0.004, rate)
    r.adam(g, rate, step: step)
  },
  Case("{'type': 'adamw', 'weight_decay': 0.5, 'amsgrad': true}", slots: 3) { r, g, rate, step in
    r.decay(0.5, rate)
    r.adam(g, rate, step: step, amsgrad: true)
  },
  Case("'adagrad'", slots: 1, accumulator: 0.1) { r, g, rate, _ in r.adagrad(g, rate) },
  Case(
    "{'type': 'adagrad', 'initial_accumulator_value': 0.5, 'epsilon': 0.2, 'weight_decay': 0.2}", slots: 1,
    accumulator: 0.5
  ) { r, g, rate, _ in
    r.decay(0.2, rate)
    r.adagrad(g, rate, epsilon: 0.2)
  },
  Case("'adamax'", slots: 2) { r, g, rate, step in r.adamax(g, rate, step: step) },
  Case("{'type': 'adamax', 'beta_1': 0.5, 'beta_2': 0.6, 'weight_decay': 0.3}", slots: 2) { r, g, rate, step in
    r.decay(0.3, rate)
    r.adamax(g, rate, step: step, 0.5, 0.6)
  },
  Case("'nadam'", slots: 2) { r, g, rate, step in r.nadam(g, rate, step: step) },
  Case("{'type': 'nadam', 'beta_1': 0.5, 'beta_2': 0.9, 'epsilon': 0.1}", slots: 2) { r, g, rate, step in
    r.nadam(g, rate, step: step, 0.5, 0.9, epsilon: 0.1)
  },
  Case("'adadelta'", slots: 2) { r, g, rate, _ in r.adadelta(g, rate) },
  Case("{'type': 'adadelta', 'rho': 0.5, 'epsilon': 0.01, 'weight_decay': 0.3}", slots: 2) { r, g, rate, _ in
    r.decay(0.3, rate)
    r.adadelta(g, rate, rho: 0.5, epsilon: 0.01)
  },
  Case("'ftrl'", slots: 2, accumulator: 0.1) { r, g, rate, _ in r.ftrl(g, rate) },
  Case(
    "{'type': 'ftrl', 'initial_accumulator_value': 0.5, 'l1_regularization_strength': 0.2, 'beta': 0.1,"
      + "'l2_regularization_strength': 0.3, 'l2_shrinkage_regularization_strength': 0.05}", slots: 2, accumulator: 0.5
  ) { r, g, rate, _ in r.ftrl(g, rate, l1: 0.2, l2: 0.3, shrinkage: 0.05, beta: 0.1) },
  Case("'lion'", slots: 1) { r, g, rate, _ in r.lion(g, rate) },
  Case("{'type': 'lion', 'beta_1': 0.5, 'beta_2': 0.7, 'weight_decay': 0.3}", slots: 1) { r, g, rate, _ in
    r.decay(0.3, rate)
    r.lion(g, rate, 0.5, 0.7)
  },
]

@Suite struct OptimizerTests {
  /// Gradients of ten steps for 37 weights: enough for whole vectors of each kind and a rest.
  private static let count = 37
  private static func gradients() -> [[Float]] {
    var random = Generator(7)
    return (0..<10).map { _ in random.floats(count, in: -1...1) }
  }

  @Test(arguments: cases) fileprivate func tenStepsAreTheDefinition(_ test: Case) throws {
    let optimizer = try optimizer(test.json)
    #expect(optimizer.ruleSlots == test.slots)
    let count = OptimizerTests.count
    var random = Generator(8)
    let start = random.floats(count, in: -2...2)
    for kernels in kernelSets() {
      var reference = start.map { Reference($0, accumulator: test.accumulator) }
      // Behind the last number stands one that nothing may touch.
      var weights = start + [77]
      var state = (0..<3).map { [Float](repeating: optimizer.initialSlotValue($0), count: count) + [77] }
      for (index, gradient) in OptimizerTests.gradients().enumerated() {
        let rate = index < 5 ? 0.05 : 0.02
        update(optimizer, &weights, gradient, &state, count, step: UInt64(index + 1), rate: rate, kernels)
        for i in 0..<count {
          test.step(&reference[i], Double(gradient[i]), rate, index + 1)
          let actual = Double(weights[i])
          #expect(isClose(actual, reference[i].w, 2e-6), "step \(index + 1): \(actual), expected \(reference[i].w)")
        }
      }
      #expect(weights[count] == 77 && state.allSatisfy { $0[count] == 77 })
    }
  }

  private func update(
    _ optimizer: Optimizer, _ weights: inout [Float], _ gradient: [Float], _ state: inout [[Float]], _ count: Int,
    step: UInt64, rate: Double, _ kernels: Kernels
  ) {
    let (w, g, s) = (Numbers(weights), Numbers(gradient), state.map { Numbers($0) })
    var slots = InlineArray<3, MutableFloats?>(repeating: nil)
    for slot in 0..<optimizer.ruleSlots { slots[slot] = s[slot].start }
    let parameter = ParameterUpdate(count: count, weights: w.start, gradient: g.start, slots: slots)
    optimizer.update(parameter, optimizer.prepare(step: step, rate: rate), kernels)
    (weights, state) = (w.values, s.map { $0.values })
    withExtendedLifetime(g) {}
  }

  /// The bias correction of a late step, where 1 - beta^step is 1 and of a first one, where it is small.
  @Test(arguments: [1, 2, 1000, 1 << 40] as [UInt64]) func biasCorrection(_ step: UInt64) throws {
    let optimizer = try optimizer("{'type': 'adam', 'beta_1': 0.99, 'beta_2': 0.9999}")
    for kernels in kernelSets() {
      var weights: [Float] = [0]
      var state: [[Float]] = [[0], [0], [0]]
      update(optimizer, &weights, [1], &state, 1, step: step, rate: 1, kernels)
      let first = 1 - pow(0.99, Double(step))
      let second = (1 - pow(0.9999, Double(step))).squareRoot()
      let expected = -(second / first) * 0.01 / (0.0001.squareRoot() + 1e-7)
      #expect((Double(weights[0]) / expected - 1).magnitude < 1e-3)
    }
  }

  /// Nadam's product of momenta of a late step, most of which no longer change.
  @Test(arguments: [999, 1000, 1001, 5000]) func lateMomenta(_ step: Int) throws {
    let optimizer = try optimizer("{'type': 'nadam', 'beta_1': 0.999}")
    let beta = Double(Float(0.999))
    func u(_ step: Int) -> Double { beta * (1 - 0.5 * pow(0.96, Double(step))) }
    let product = (1...step).reduce(1) { $0 * u($1) }
    let update = optimizer.prepare(step: UInt64(step), rate: 1)
    #expect(isClose(Double(update.rate), u(step + 1) / (1 - product * u(step + 1)), 1e-6))
    #expect(isClose(Double(update.blend) * 1000, (1 - u(step)) / (1 - product) * 1000, 1e-6))
  }

  /// Without a rate ftrl would divide by zero; without gradients and an accumulator too.
  @Test func ftrlWithoutRate() throws {
    for (options, gradient, rate) in [("", Float(1), 0.0), (", 'initial_accumulator_value': 0", 0, 0.1)] {
      let optimizer = try optimizer("{'type': 'ftrl'\(options)}")
      for kernels in kernelSets() {
        var weights: [Float] = [0.5, -2]
        var state: [[Float]] = (0..<3).map { [Float](repeating: optimizer.initialSlotValue($0), count: 2) }
        update(optimizer, &weights, [gradient, gradient], &state, 2, step: 1, rate: rate, kernels)
        #expect(weights == [0.5, -2])
      }
    }
  }

  @Test func defaults() throws {
    let others = ["rmsprop", "adam", "adamw", "adagrad", "adamax", "nadam", "adadelta", "ftrl", "lion", "adafactor"]
    for (name, rate) in [("sgd", 0.01)] + others.map({ ($0, 0.001) }) {
      #expect(try optimizer("'\(name)'").learningRate == rate)
    }
    #expect(try optimizer("{'type': 'adam', 'learning_rate': 0.25}").learningRate == 0.25)
    #expect(try optimizer("'adagrad'").initialSlotValue(0) == 0.1)
    for name in ["sgd", "rmsprop", "adam", "adamw"] { #expect(try optimizer("'\(name)'").initialSlotValue(0) == 0) }
  }

  private let none = "\"clipvalue\": null, \"clipnorm\": null, \"global_clipnorm\": null, \"weight_decay\": "
  private let rest =
    ", \"use_ema\": false, \"ema_momentum\": 0.99, \"ema_overwrite_frequency\": null, \"average_from\": null, "
    + "\"gradient_accumulation_steps\": null"

  @Test func recordsItsOptions() throws {
    for (json, expected) in [
      ("'sgd'", "\"type\": \"sgd\", \"learning_rate\": 0.01, \"momentum\": 0, \"nesterov\": false, " + none + "null"),
      (
        "'rmsprop'",
        "\"type\": \"rmsprop\", \"learning_rate\": 0.001, \"rho\": 0.9, \"momentum\": 0, \"epsilon\": 1e-07, "
          + "\"centered\": false, " + none + "null"
      ),
      (
        "'adamw'",
        "\"type\": \"adamw\", \"learning_rate\": 0.001, \"beta_1\": 0.9, \"beta_2\": 0.999, \"epsilon\": 1e-07, "
          + "\"amsgrad\": false, " + none + "0.004"
      ),
      (
        "{'type': 'adagrad', 'clipnorm': 2, 'weight_decay': 0}",
        "\"type\": \"adagrad\", \"learning_rate\": 0.001, \"initial_accumulator_value\": 0.1, \"epsilon\": 1e-07, "
          + "\"clipvalue\": null, \"clipnorm\": 2, \"global_clipnorm\": null, \"weight_decay\": 0"
      ),
    ] {
      let written = text(try optimizer(json).record)
      #expect(written == expected + rest)
      #expect(text(try optimizer("{\(written)}").record) == written)
    }
  }

  @Test(arguments: [
    ("'rprop'", "optimizer: expected \(names), got \"rprop\""),
    ("{'learning_rate': 1}", "optimizer.type: expected \(names), got nothing"),
    (
      "{'type': 'sgd', 'learning_rate': -1}",
      "optimizer.learning_rate: expected a number of at least 0 or a schedule, got -1"
    ),
    (
      "{'type': 'sgd', 'learning_rate': 1e39}",
      "optimizer.learning_rate: expected a number of at least 0 or a schedule, got 1e+39"
    ),
    ("{'type': 'sgd', 'momentum': 1.5}", "optimizer.momentum: expected a number from 0 to 1, got 1.5"),
    ("{'type': 'sgd', 'nesterov': 'yes'}", "optimizer.nesterov: expected true or false, got \"yes\""),
    ("{'type': 'rmsprop', 'rho': 1}", "optimizer.rho: expected a number from 0 to below 1, got 1"),
    ("{'type': 'rmsprop', 'epsilon': 0}", "optimizer.epsilon: expected a positive number, got 0"),
    ("{'type': 'adam', 'epsilon': 1e-60}", "optimizer.epsilon: expected a positive number, got 1e-60"),
    (
      "{'type': 'adam', 'beta_2': 0.99999999999}",
      "optimizer.beta_2: expected a number from 0 to below 1, got 0.99999999999"
    ),
    ("{'type': 'adam', 'beta_1': -0.1}", "optimizer.beta_1: expected a number from 0 to below 1, got -0.1"),
    (
      "{'type': 'adagrad', 'initial_accumulator_value': -1}",
      "optimizer.initial_accumulator_value: expected a number of at least 0, got -1"
    ),
    ("{'type': 'adam', 'weight_decay': -1}", "optimizer.weight_decay: expected a number of at least 0 or null, got -1"),
    ("{'type': 'adamw', 'weight_decay': -1}", "optimizer.weight_decay: expected a number of at least 0, got -1"),
    ("{'type': 'lion', 'beta_2': 1}", "optimizer.beta_2: expected a number from 0 to below 1, got 1"),
    (
      "{'type': 'ftrl', 'beta': -1}", "optimizer.beta: expected a number of at least 0, got -1"
    ),
    (
      "{'type': 'adafactor', 'beta_2_decay': 0}",
      "optimizer.beta_2_decay: expected a number from -1 to below 0, got 0"
    ),
    ("{'type': 'adafactor', 'clip_threshold': 0}", "optimizer.clip_threshold: expected a positive number, got 0"),
    ("{'type': 'sgd', 'ema_momentum': 2}", "optimizer.ema_momentum: expected a number from 0 to 1, got 2"),
    ("{'type': 'sgd', 'average_from': 0}", "optimizer.average_from: expected a positive integer, got 0"),
    (
      "{'type': 'sgd', 'use_ema': true, 'average_from': 1}",
      "optimizer: expected at most one of use_ema and average_from, got both"
    ),
    (
      "{'type': 'sgd', 'gradient_accumulation_steps': 1}",
      "optimizer.gradient_accumulation_steps: expected an integer from 2 to 2147483647, got 1"
    ),
    ("{'type': 'sgd', 'clipnorm': 0}", "optimizer.clipnorm: expected a positive number or null, got 0"),
    ("{'type': 'sgd', 'clipvalue': true}", "optimizer.clipvalue: expected a positive number or null, got true"),
    (
      "{'type': 'sgd', 'clipnorm': 1, 'global_clipnorm': 1}",
      "optimizer: expected at most one of clipvalue, clipnorm and global_clipnorm, got several"
    ),
    (
      "{'type': 'sgd', 'rho': 0.5}",
      "optimizer: unknown field \"rho\", expected type, learning_rate, momentum, nesterov, clipvalue, clipnorm, "
        + "global_clipnorm, weight_decay, use_ema, ema_momentum, ema_overwrite_frequency, average_from or "
        + "gradient_accumulation_steps"
    ),
  ]) func refuses(_ json: String, _ expected: String) {
    #expect(argumentError { _ = try optimizer(json) } == expected)
  }
}
