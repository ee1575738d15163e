import LSTMModels
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// Penalties and constraints; what they do in training is compared with Keras in Tests/Golden.
@Suite struct RegulationTests {
  private func model(_ rules: String, _ optimizer: String = "{'type': 'sgd', 'learning_rate': 0}") throws -> Model {
    try makeModel(
      "{'input_shape': [3], 'layers': [{'type': 'dense', 'units': 2, \(rules)}],"
        + "'training': {'loss': 'mse', 'optimizer': \(optimizer)}}")
  }

  /// The weights [3, 2] and the bias [2] that a step of length 0 makes of these.
  private func constrained(_ rules: String, _ weights: [Float]) throws -> [Double] {
    let model = try model(rules)
    let (w, b) = (model.plan.entries[0], model.plan.entries[1])
    var all = model.weights
    all.replaceSubrange(w.offset..<w.offset + 6, with: weights[..<6])
    all.replaceSubrange(b.offset..<b.offset + 2, with: weights[6...])
    model.setWeights(all)
    let data = try TrainingData(model, Sample.make(for: model, rows: 2, steps: 1))
    let trainer = try Trainer.make(model, Workers(threads: 1, areKept: false))
    _ = try trainer.step(data.examples)
    withExtendedLifetime(data) {}
    let result = model.weights.map(Double.init)
    return Array(result[w.offset..<w.offset + 6] + result[b.offset..<b.offset + 2])
  }

  private static let weights: [Float] = [3, -1, 0, 2, 4, -2, -6, 8]

  private static let ten = 10.0.squareRoot()
  private static let twenty = 20.0.squareRoot()
  private static let constraintCases: [(String, [Double])] = [
    ("'weights': 'non_neg', 'bias': 'non_neg'", [3, 0, 0, 2, 4, 0, 0, 8]),
    // Columns of norm 5 and 3, a bias of norm 10.
    ("'weights': {'type': 'max_norm', 'max_value': 4}", [2.4, -1, 0, 2, 3.2, -2, -6, 8]),
    ("'weights': 'unit_norm', 'bias': 'unit_norm'", [0.6, -1.0 / 3, 0, 2.0 / 3, 0.8, -2.0 / 3, -0.6, 0.8]),
    (
      "'weights': {'type': 'min_max_norm', 'min_value': 4, 'max_value': 4, 'rate': 0.5}",
      [2.7, -3.5 / 3, 0, 7.0 / 3, 3.6, -7.0 / 3, -6, 8]
    ),
    // Rows of norm √10, 2 and √20.
    (
      "'weights': {'type': 'max_norm', 'max_value': 2, 'axis': 1}",
      [6 / ten, -2 / ten, 0, 2, 8 / twenty, -4 / twenty, -6, 8]
    ),
  ]

  @Test(arguments: constraintCases)
  func constraints(_ rules: String, _ expected: [Double]) throws {
    let result = try constrained("'constraints': {\(rules)}", RegulationTests.weights)
    #expect(zip(result, expected).allSatisfy { isClose($0, $1, 3e-7) }, "\(result)")
  }

  @Test func penaltiesAreInLossAndGradient() throws {
    let rules = "'regularizers': {'weights': {'type': 'l1_l2', 'l1': 0.5, 'l2': 0.25}, 'bias': {'type': 'l1', 'l1': 2}}"
    let (with, without) = (try model(rules), try model("'use_bias': true"))
    with.setWeights(without.weights)
    let data = try TrainingData(with, Sample.make(for: with, rows: 4, steps: 1))
    var penalty = 0.0
    let trainers = try [with, without].map { try Trainer.make($0, Workers(threads: 1, areKept: false)) }
    let losses = try trainers.map { try $0.step(data.examples) }
    for entry in with.plan.entries {
      let gradients = trainers.map { trainer in (0..<entry.count).map { Double(trainer.gradient(of: entry)[$0]) } }
      for i in 0..<entry.count {
        let w = Double(with.weights[entry.offset + i])
        let sign = w > 0 ? 1.0 : w < 0 ? -1 : 0
        let isBias = entry.name.hasSuffix("bias")
        penalty += isBias ? 2 * w.magnitude : 0.5 * w.magnitude + 0.25 * w * w
        let slope = isBias ? 2 * sign : 0.5 * sign + 0.5 * w
        #expect(isClose(gradients[0][i], gradients[1][i] + slope, 1e-6))
      }
    }
    #expect(isClose(losses[0], losses[1] + penalty, 1e-6) && penalty > 0.1)
    let evaluated = try Evaluation.evaluate(with, data.examples, batchSize: 3, threads: 1)
    #expect(isClose(evaluated.values[0], losses[0], 1e-6))
  }

  @Test func areRecorded() throws {
    let rules =
      "\"regularizers\": {\"bias\": {\"type\": \"l2\", \"l2\": 0.01}}, \"constraints\": {\"weights\": {\"type\": "
      + "\"max_norm\", \"max_value\": 2, \"axis\": 0}}"
    let model = try model("'regularizers': {'bias': 'l2'}, 'constraints': {'weights': 'max_norm'}")
    #expect(try model.described().contains(rules))
    #expect(try loadModel(try model.saved()).described() == model.described())
    #expect(try !self.model("'use_bias': true").described().contains("regularizers"))
  }

  @Test(arguments: [
    ("'regularizers': 'l2'", ".regularizers: expected an object with members for kinds of parameters, got \"l2\""),
    (
      "'regularizers': {'kernel': 'l2'}",
      ".regularizers: expected the kinds of trainable parameters of the layer, as weights, bias, got \"kernel\""
    ),
    ("'regularizers': {'bias': 'l3'}", ".regularizers.bias: expected l1, l2 or l1_l2, got \"l3\""),
    (
      "'regularizers': {'bias': {'type': 'l1', 'l1': -1}}",
      ".regularizers.bias.l1: expected a number of at least 0, got -1"
    ),
    (
      "'regularizers': {'bias': {'type': 'l1', 'l2': 1}}",
      ".regularizers.bias: unknown field \"l2\", expected type or l1"
    ),
    (
      "'constraints': {'bias': {'type': 'unit_norm', 'axis': 1}}",
      ".constraints.bias.axis: expected an integer from 0 to 0, got 1"
    ),
    (
      "'constraints': {'bias': {'type': 'min_max_norm', 'min_value': 2}}",
      ".constraints.bias.max_value: expected at least min_value, got nothing"
    ),
  ])
  func refuses(_ rules: String, _ expected: String) {
    #expect(argumentError { _ = try model(rules) } == "layers[0]" + expected)
  }

  @Test func layersWithoutParametersHaveNone() {
    let error = argumentError {
      _ = try makeModel("{'input_shape': [3], 'layers': [{'type': 'dropout', 'rate': 0.5, 'regularizers': {}}]}")
    }
    #expect(error == "layers[0]: unknown field \"regularizers\", expected type, name, inputs or rate")
  }
}
