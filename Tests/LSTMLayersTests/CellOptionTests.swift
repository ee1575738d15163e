import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

/// What is by chance in recurrent layers, and which options do not go together.
@Suite struct CellOptionTests {
  private let units = 7
  private let steps = 5
  private let rows = 41

  private func sample(_ value: (Int) -> Float) -> Sample {
    Sample.numbers((0..<rows * steps * units).map(value), Shape(rows, steps, units))
  }

  private func model(_ layer: String) throws -> Model {
    try makeRandomModel(
      "{'input_shape': [null, \(units)], 'layers': [{'units': \(units), 'return_sequences': true, \(layer)}]}")
  }

  /// With these weights h' = 1 + m h, where m is 0 or 1 / (1 - rate): of each unit of each sequence the same at all steps.
  @Test func stateDropoutIsTheSameAtAllSteps() throws {
    let model = try model("'type': 'simple_rnn', 'recurrent_dropout': 0.4, 'activation': 'linear', 'use_bias': false")
    var weights = [Float](repeating: 0, count: model.plan.count)
    for entry in model.plan.entries { for unit in 0..<units { weights[entry.offset + unit * (units + 1)] = 1 } }
    model.setWeights(weights)
    let ones = sample { _ in 1 }
    let y = try Chain(model, ones).forward()
    let (keep, plane) = (Float(1 / (1 - 0.4)), rows * units)
    var kept = 0
    for i in 0..<plane {
      let factor = y[plane + i] == 1 ? 0 : keep
      kept += factor == 0 ? 0 : 1
      var h: Float = 0
      for step in 0..<steps {
        h = 1 + factor * h
        #expect(y[step * plane + i] == h)
      }
    }
    let count = Double(plane)
    #expect(abs(Double(kept) - 0.6 * count) <= 5 * (0.24 * count).squareRoot())
    #expect(Set(try model.predicted(ones)) == Set((1...steps).map { Float($0) }))
  }

  /// The share of states that stay to the last bit from one step to the next, within five deviations.
  @Test(arguments: ["lstm", "gru"]) func zoneoutKeepsAShareOfStates(_ type: String) throws {
    let model = try model("'type': '\(type)', 'zoneout_hidden': 0.3")
    let x = sample { Float($0 % 101) / 51 - 1 }
    let y = try Chain(model, x).forward()
    let plane = rows * units
    let count = Double(y.count - plane)
    let stayed = Double((plane..<y.count).count { y[$0] == y[$0 - plane] })
    #expect(abs(stayed - 0.3 * count) <= 5 * (0.21 * count).squareRoot())
    // The choice is another at each step, and there is none when predicting.
    #expect((0..<plane).contains { y[plane + $0] == y[$0] && y[2 * plane + $0] != y[plane + $0] })
    #expect(Set(try model.predicted(x)).count > y.count / 2)
  }

  @Test func whatDoesNotGoTogetherIsRefused() {
    for (fields, message) in [
      ("'lstm', 'projection': 2, 'zoneout_hidden': 0.1", "zoneout_hidden: expected 0 with a projection, got 0.1"),
      ("'lstm', 'projection': 4", "projection: expected an integer from 1 to 3, got 4"),
      ("'lstm', 'cell_clip': 0", "cell_clip: expected a positive number or null, got 0"),
      ("'lstm', 'zoneout_memory': 1", "zoneout_memory: expected a number of at least 0 and less than 1, got 1"),
      ("'lstm', 'initial_state': 'ones'", "initial_state: expected zeros or learned, got \"ones\""),
      ("'lstm', 'norm_epsilon': 2", "norm_epsilon: expected null without layer_normalization, got 2"),
      ("'gru', 'layer_normalization': 1", "layer_normalization: expected true or false, got 1"),
      ("'gru', 'layer_normalization': true, 'norm_epsilon': 0", "norm_epsilon: expected a positive number, got 0"),
      (
        "'gru', 'reset_after': false, 'layer_normalization': true",
        "layer_normalization: expected false without reset_after, got true"
      ),
      ("'gru', 'reset_after': false, 'gate_clip': 2", "gate_clip: expected null without reset_after, got 2"),
      ("'gru', 'reset_after': false, 'zoneout_hidden': 0.1", "zoneout_hidden: expected 0 without reset_after, got 0.1"),
    ] {
      let json = "{'input_shape': [null, 2], 'layers': [{'units': 3, 'type': \(fields)}]}"
      #expect(argumentError { _ = try makeModel(json) }?.hasSuffix("].\(message)") ?? false, "\(fields)")
    }
    let unknown = "{'input_shape': [null, 2], 'layers': [{'units': 3, 'type': 'simple_rnn', 'peepholes': true}]}"
    #expect(argumentError { _ = try makeModel(unknown) }?.contains("unknown field \"peepholes\"") ?? false)
  }
}
