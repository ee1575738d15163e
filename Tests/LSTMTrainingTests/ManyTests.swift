import LSTMKernels
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// Models of several inputs and outputs.
@Suite struct ManyTests {
  /// Two sequences, one of them tokens, and a vector; outputs with and without time, one of them read by layers too.
  private let json =
    "{'inputs': [{'name': 'x', 'shape': [null, 3]}, {'name': 'words'}, {'name': 'v', 'shape': [4]}],"
    + "'outputs': ['out', 'each', 'trunk'], 'layers': ["
    + "{'type': 'lstm', 'units': 7, 'return_sequences': true, 'dropout': 0.2, 'inputs': 'x', 'name': 'trunk'},"
    + "{'type': 'embedding', 'vocabulary': 9, 'units': 5, 'inputs': 'words'}, {'type': 'gru', 'units': 6},"
    + "{'type': 'lstm', 'units': 6, 'inputs': 'trunk'}, {'type': 'dense', 'units': 6, 'inputs': 'v'},"
    + "{'type': 'add', 'inputs': ['gru', 'lstm', 'dense']}, {'type': 'dense', 'units': 2, 'name': 'out'},"
    + "{'type': 'dense', 'units': 3, 'activation': 'softmax', 'inputs': 'trunk', 'name': 'each'}],"
    + "'training': {'loss': ['mse', 'categorical_crossentropy', 'mae'], 'loss_weights': {'each': 0.5},"
    + "'metrics': [null, 'accuracy', ['mse']]}}"

  /// The same inputs and outputs, with states that go from layer to layer; what the encoder gives beside them, nobody reads.
  private static let states =
    "{'inputs': [{'name': 'x', 'shape': [null, 3]}, {'name': 'words'}, {'name': 'v', 'shape': [4]}],"
    + "'outputs': ['out', 'each', 'trunk'], 'layers': ["
    + "{'type': 'embedding', 'vocabulary': 9, 'units': 5, 'inputs': 'words'},"
    + "{'type': 'lstm', 'units': 7, 'go_backwards': true, 'name': 'encoder'},"
    + "{'type': 'dense', 'units': 7, 'activation': 'tanh', 'inputs': 'v', 'name': 'first'},"
    + "{'type': 'lstm', 'units': 7, 'return_sequences': true, 'inputs': ['x', 'first', 'encoder.memory'],"
    + "'name': 'trunk'}, {'type': 'gru', 'units': 7, 'reset_after': false, 'inputs': ['trunk', 'encoder.hidden']},"
    + "{'type': 'add', 'inputs': ['gru', 'trunk.memory']}, {'type': 'dense', 'units': 2, 'name': 'out'},"
    + "{'type': 'dense', 'units': 3, 'activation': 'softmax', 'inputs': 'trunk', 'name': 'each'}],"
    + "'training': {'loss': ['mse', 'categorical_crossentropy', 'mae']}}"

  private final class Batch {
    let samples: [Sample]
    let examples: Examples

    init(rows: Int, padding: Padding) throws {
      var random = Generator(4)
      func floats(_ shape: Int...) -> Sample {
        var extents = Shape()
        for extent in shape { extents.append(extent) }
        return Sample.numbers(random.floats(shape.reduce(1, *), in: 0...1), extents)
      }
      let series = Sample.make(
        for: try makeModel("{'input_shape': [null, 3], 'layers': [{'type': 'lstm', 'units': 1}]}"), rows: rows,
        steps: 6,
        padding: padding)
      let words = Sample.make(
        for: try makeModel("{'layers': [{'type': 'embedding', 'vocabulary': 9, 'units': 1}]}"), rows: rows, steps: 4)
      let samples = [series, words, floats(rows, 4), floats(rows, 2), floats(rows, 6, 3), floats(rows, 6, 7)]
      func arrays(_ first: Int) throws -> Arrays {
        let others = List<ArrayView>()
        for i in first + 1..<first + 3 { try others.append(samples[i].view) }
        return Arrays(samples[first].view, others)
      }
      examples = Examples(x: try arrays(0), y: try arrays(3), weights: nil)
      self.samples = samples
    }
  }

  private func trained(
    _ json: String, _ kernels: Kernels, rows: Int, _ padding: Padding, threads: Int
  ) throws -> (weights: [UInt32], losses: [UInt64]) {
    let model = try makeRandomModel(json, kernels)
    let batch = try Batch(rows: rows, padding: padding)
    let trainer = try Trainer.make(model, Workers(threads: threads, areKept: true))
    let losses = try (0..<2).map { _ in try trainer.step(batch.examples).bitPattern }
    withExtendedLifetime(batch) {}
    return (bits(model.weights), losses)
  }

  /// The number of workers decides how fast a result comes, not one bit of it.
  @Test(arguments: [13, 5], [Padding.none, .ends, .gaps])
  func threadsGiveTheSameBits(_ rows: Int, _ padding: Padding) throws {
    for json in [json, ManyTests.states] {
      for kernels in [kernelSets()[0], fastestKernels] {
        let alone = try trained(json, kernels, rows: rows, padding, threads: 1)
        for threads in [2, 3, 8] {
          #expect(try trained(json, kernels, rows: rows, padding, threads: threads) == alone, "\(threads) threads")
        }
      }
    }
  }

  @Test func columnsAreNamedAsInKeras() throws {
    let model = try makeRandomModel(json)
    let batch = try Batch(rows: 13, padding: .ends)
    let columns = try Evaluation.evaluate(model, batch.examples, batchSize: 4, threads: 1)
    let names = (0..<columns.count).map { String(cString: columns.names[$0]!) }
    #expect(names == ["loss", "each_accuracy", "trunk_mse", "out_loss", "each_loss", "trunk_loss"])
    let values = columns.values
    #expect(isClose(values[0], values[3] + 0.5 * values[4] + values[5], 1e-12))
    withExtendedLifetime(batch) {}
  }

  /// What was trained comes back from a file and goes on with the same bits.
  @Test func filesHoldAll() throws {
    let model = try makeRandomModel(json)
    let batch = try Batch(rows: 13, padding: .none)
    var options = FitOptions()
    (options.epochs, options.batchSize) = (2, 4)
    _ = try Fit.run(model, batch.examples, options)
    let loaded = try loadModel(try model.saved())
    #expect(try loaded.described() == model.described())
    for one in [model, loaded] { _ = try Fit.run(one, batch.examples, options) }
    #expect(bits(loaded.weights) == bits(model.weights))
    withExtendedLifetime(batch) {}
  }

  @Test(arguments: [
    ("'inputs': []", "description.inputs: expected a list of 1 to 64 inputs, got a list"),
    ("'inputs': ['a']", "inputs[0]: expected an object with a name, got \"a\""),
    ("'inputs': [{'name': 'a'}, {'name': 'a'}]", "inputs[1].name: expected a name of its own, got \"a\""),
    (
      "'inputs': [{'name': 'a', 'shape': []}]",
      "inputs[0].shape: expected a list of 1 to 7 positive integers, the first of them possibly null, got a list"
    ),
    ("'inputs': [{'name': 'a', 'size': 3}]", "inputs[0]: unknown field \"size\", expected name or shape"),
    (
      "'inputs': [{'name': 'a'}], 'input_shape': [3]",
      "description.input_shape: expected none beside inputs, got a list"
    ),
    (
      "'inputs': [{'name': 'x', 'shape': [3]}, {'name': 'y', 'shape': [3]}]",
      "layers[0].inputs: expected names of the model's inputs, which are several, got nothing"
    ),
    ("'input_shape': [3], 'outputs': []", "outputs: expected a list of 1 to 64 names of layers, got a list"),
    ("'input_shape': [3], 'outputs': ['input']", "outputs: expected names of layers, got \"input\""),
    ("'input_shape': [3], 'outputs': ['b', 'b']", "outputs: expected each layer once, got \"b\" again"),
    (
      "'input_shape': [3], 'outputs': ['a']",
      "layers[1] (b): expected a layer that reads its output, or to be one of outputs, got neither"
    ),
  ])
  func badPortsAreRefused(_ ports: String, _ expected: String) {
    let layers = "[{'type': 'dense', 'units': 2, 'name': 'a'}, {'type': 'dense', 'units': 2, 'name': 'b'}]"
    #expect(argumentError { _ = try makeModel("{\(ports), 'layers': \(layers)}") } == expected)
  }

  @Test(arguments: [
    ("'loss': ['mse']", "training.loss: expected 3 entries, one for each output, got 1"),
    (
      "'loss': {'out': 'mse', 'far': 'mse'}",
      "training.loss: expected names of outputs, as out, each, trunk, got \"far\""
    ),
    ("'loss': {'out': 'mse'}", "training.loss.each: expected a loss, got nothing"),
    (
      "'loss': 'mse', 'loss_weights': 2",
      "training.loss_weights: expected a list or an object with an entry for each output, got 2"
    ),
    (
      "'loss': 'mse', 'loss_weights': [1, -1, 1]",
      "training.loss_weights[1]: expected a finite number of at least 0, got -1"
    ),
    (
      "'loss': 'mse', 'metrics': {'out': ['mse', 'mse']}",
      "training.metrics.out[1]: expected each metric once, got \"mse\" again"
    ),
    (
      "'loss': 'mse', 'metrics': [[\"mse\", \"mae\", \"rmse\", \"r2\", \"mape\"], [\"mse\", \"mae\", \"rmse\", \"r2\"],"
        + "[\"mse\", \"mae\", \"rmse\", \"r2\"]]",
      "training.metrics: expected at most 16 columns of losses and metrics, got 17"
    ),
  ])
  func badGoalsAreRefused(_ training: String, _ expected: String) throws {
    let model = try makeModel(json)
    let value = try parsed("{\(training)}")
    #expect(argumentError { try Compilation.compile(model, value) } == expected)
  }
}
