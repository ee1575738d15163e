import LSTMKernels
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

/// Predictors that look up the products of tokens, after they have seen enough of them.
@Suite struct TokenTableTests {
  private static let layers = [
    "{'type': 'lstm', 'units': 37}",
    "{'type': 'lstm', 'units': 13, 'return_sequences': true}",
    "{'type': 'lstm', 'units': 37, 'go_backwards': true, 'return_sequences': true}",
    "{'type': 'lstm', 'units': 20, 'activation': 'relu', 'initial_state': 'learned'}",
    "{'type': 'gru', 'units': 37, 'return_sequences': true}",
    "{'type': 'gru', 'units': 9, 'go_backwards': true}",
    // Layers that make no such products, or in which they are made differently.
    "{'type': 'gru', 'units': 9, 'reset_after': false}",
    "{'type': 'lstm', 'units': 20, 'peepholes': true}",
    "{'type': 'bidirectional', 'layer': {'type': 'lstm', 'units': 9}}",
  ]
  private static let (rows, steps, vocabulary) = (11, 9, 31)

  private func model(_ layer: String, masksZero: Bool, _ kernels: Kernels) throws -> Model {
    try makeRandomModel(
      "{'layers': [{'type': 'embedding', 'vocabulary': \(Self.vocabulary), 'units': 5, 'mask_zero': \(masksZero)},"
        + "\(layer), {'type': 'dense', 'units': 2}]}", kernels, seed: 3)
  }

  /// A batch gives the bits of its rows alone, of which each has too few tokens for a table, before and after a change of
  /// the weights.
  @Test(arguments: layers, kernelSets())
  func resultsAreTheSame(_ layer: String, _ kernels: Kernels) throws {
    for (masksZero, padding) in [(false, Padding.none), (false, .ends), (true, .ends), (true, .gaps)] {
      let model = try model(layer, masksZero: masksZero, kernels)
      let sample = try Sample.make(for: model, rows: Self.rows, steps: Self.steps, padding: padding)
      let predictor = Predictor(model, Workers(threads: 2, areKept: true))
      for _ in 0..<2 {
        let y = Numbers([Float](repeating: .nan, count: try predictor.take(Arrays(sample.view))))
        try predictor.predict(rows: Self.rows, batchSize: 7, into: y.start)
        let alone = try (0..<Self.rows).flatMap { try model.predicted(sample, rows: $0..<$0 + 1) }
        #expect(bits(y.values) == bits(alone), "\(masksZero) \(padding)")
        model.setWeights(model.weights.map { 0.5 - $0 })
      }
    }
  }
}
