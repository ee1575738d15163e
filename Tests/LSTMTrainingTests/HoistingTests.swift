import LSTMKernels
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// Recurrent layers with so many weights that the products of the inputs are made for many timesteps at once.
@Suite struct HoistingTests {
  private static let features = 700
  private static let layers = [
    "{'type': 'lstm', 'units': 101, 'return_sequences': true}",
    "{'type': 'lstm', 'units': 101}",
    "{'type': 'lstm', 'units': 101, 'go_backwards': true}",
    "{'type': 'lstm', 'units': 131, 'peepholes': true, 'coupled_gates': true, 'return_sequences': true}",
    "{'type': 'gru', 'units': 131, 'return_sequences': true}",
    "{'type': 'simple_rnn', 'units': 401, 'return_sequences': true}",
    "{'type': 'bidirectional', 'layer': {'type': 'gru', 'units': 131}}",
  ]

  private func model(_ layer: String, _ kernels: Kernels) throws -> Model {
    let json =
      "{'input_shape': [null, \(Self.features)], 'layers': [\(layer), {'type': 'dense', 'units': 2}],"
      + "'training': {'loss': 'mse', 'optimizer': 'sgd'}}"
    return try makeRandomModel(json, kernels, seed: 3)
  }

  /// A batch gives the bits of streams, which multiply step by step.
  @Test(arguments: layers.filter { !$0.contains("back") && !$0.contains("bidir") }, kernelSets())
  func batchEqualsStreams(_ layer: String, _ kernels: Kernels) throws {
    let model = try model(layer, kernels)
    let (rows, steps, features) = (6, 5, Self.features)
    var random = Generator(1)
    let x = random.floats(rows * steps * features)
    let batch = try model.predicted(Sample.numbers(x, Shape(rows, steps, features)))
    for row in 0..<rows {
      let stream = try LSTMModels.Stream.make(model)
      let y = Numbers([Float](repeating: .nan, count: steps * 2))
      let own = Numbers(Array(x[row * steps * features..<(row + 1) * steps * features]))
      stream.process(steps, Floats(own.start), y.start)
      let expected = model.outputHasTime ? y.values : Array(y.values.suffix(2))
      #expect(bits(batch[row * expected.count..<(row + 1) * expected.count]) == bits(expected), "row \(row)")
    }
  }

  /// A batch of so many rows that nothing is made ahead has the gradients of the few that it repeats.
  @Test(arguments: layers, [Padding.none, .ends, .gaps])
  func gradientsAreThoseOfManyRows(_ layer: String, _ padding: Padding) throws {
    func gradients(repeated: Int) throws -> [Float] {
      let model = try model(layer, fastestKernels)
      let (rows, steps, features) = (6, 5, Self.features)
      var random = Generator(2)
      let values = random.floats(rows * steps * features)
      let mask = (0..<rows).flatMap { row in
        (0..<steps).map { padding.isValid(row: row, of: rows + 1, step: $0, of: steps) ? UInt8(1) : 0 }
      }
      let x = Sample.numbers((0..<repeated).flatMap { _ in values }, Shape(rows * repeated, steps, features))
      let masks = Numbers((0..<repeated).flatMap { _ in mask })
      let view = ArrayView(
        name: "x", element: .float32, data: x.view.data, shape: x.view.shape, strides: x.view.strides,
        mask: padding == .none ? nil : UnsafePointer(masks.start))
      let targets = random.floats(rows * (model.outputHasTime ? steps * 2 : 2))
      let shape = model.outputHasTime ? Shape(rows * repeated, steps, 2) : Shape(rows * repeated, 2)
      let y = Sample.numbers((0..<repeated).flatMap { _ in targets }, shape)
      let trainer = try Trainer.make(model, Workers(threads: 2, areKept: true))
      _ = try trainer.step(Examples(x: view, y: y.view, weights: nil))
      withExtendedLifetime((x, masks, y)) {}
      return model.plan.entries.flatMap { entry in
        (0..<entry.count).map { trainer.gradient(of: entry)[$0] }
      }
    }
    let (few, many) = (try gradients(repeated: 1), try gradients(repeated: 23))
    let largest = many.reduce(0) { max($0, $1.magnitude) }
    #expect(largest > 0)
    #expect(zip(few, many).allSatisfy { ($0 - $1).magnitude < 2e-5 * largest })
  }
}
