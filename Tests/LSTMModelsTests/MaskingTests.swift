import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMModels

/// A masking layer is another way to say which steps are padding.
@Suite struct MaskingTests {
  private static let layers = "{'type': 'lstm', 'units': 5, 'return_sequences': true}, {'type': 'last'}"
  private let rows = 4
  private let steps = 6
  private let features = 3

  private func models(_ value: Int) throws -> (masking: Model, plain: Model) {
    let shape = "'input_shape': [null, \(features)], 'layers': ["
    let plain = try makeRandomModel("{\(shape)\(Self.layers)]}")
    let masking = try makeModel("{\(shape){'type': 'masking', 'mask_value': \(value)}, \(Self.layers)]}")
    masking.setWeights(plain.weights)
    return (masking, plain)
  }

  /// Padding behind, before and between, and a row of nothing else.
  @Test(arguments: [0, -2]) func valuesSayWhatAMaskSays(_ value: Int) throws {
    let (masking, plain) = try models(value)
    var random = Generator(3)
    var values = random.floats(rows * steps * features)
    let valid: [UInt8] = [1, 1, 1, 1, 0, 0] + [0, 1, 1, 1, 1, 1] + [1, 0, 1, 0, 1, 1] + [0, 0, 0, 0, 0, 0]
    for i in 0..<values.count where valid[i / features] == 0 { values[i] = Float(value) }
    // One number that is another makes a step valid.
    for i in 0..<features - 1 { values[2 * steps * features + i] = Float(value) }
    let shape = Shape(rows, steps, features)
    let (memory, mask) = (Numbers(values), Numbers(valid))
    let view = ArrayView(
      name: "x", element: .float32, data: memory.start, shape: shape, strides: rowMajorStrides(shape, 4),
      mask: UnsafePointer(mask.start))
    let expected = Numbers([Float](repeating: .nan, count: rows * 5))
    try plain.predict(view, batchSize: rows, into: expected.start)
    withExtendedLifetime((memory, mask)) {}
    #expect(bits(try masking.predicted(Sample.numbers(values, shape))) == bits(expected.values))

    // Step by step, with padding left out in the other model's stream.
    for row in 0..<rows {
      let (stream, short) = (try LSTMModels.Stream.make(masking), try LSTMModels.Stream.make(plain))
      let (y, z) = (Numbers([Float](repeating: 0, count: 5)), Numbers([Float](repeating: 0, count: 5)))
      for step in 0..<steps {
        let first = (row * steps + step) * features
        let x = Array(values[first..<first + features])
        stream.process(1, x, y.start)
        if valid[row * steps + step] != 0 { short.process(1, x, z.start) }
        #expect(bits(y.values) == bits(z.values), "row \(row), step \(step)")
      }
    }
  }

  @Test func stepsThatALayerRefuses() throws {
    let model = try makeModel(
      "{'input_shape': [null, 3], 'layers': [{'type': 'conv1d', 'filters': 2, 'kernel_size': 4},"
        + "{'type': 'position_embedding', 'length': 2}]}")
    func error(_ steps: Int) -> String? {
      argumentError { _ = try model.predicted(Sample.make(for: model, rows: 2, steps: steps)) }
    }
    #expect(error(3) == "x: expected at least 4 timesteps for layer \"conv1d\", got 3")
    #expect(error(4) == nil && error(5) == nil)
    #expect(error(6) == "x: expected at most 2 timesteps for layer \"position_embedding\", got 3")
  }
}
