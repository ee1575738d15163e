import LSTMKernels
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// The number of workers decides how fast a result comes, not one bit of it.
@Suite struct ThreadTests {
  /// What two steps on so many rows make of a model's weights, and their losses.
  private func trained(
    _ example: Example, _ kernels: Kernels, rows: Int, threads: Int
  ) throws -> (weights: [UInt32], losses: [Double]) {
    let model = try example.model(.wide, kernels)
    let sample = Sample.make(for: model, rows: rows, steps: 6, padding: example.canPad ? .ends : .none)
    let data = try TrainingData(model, sample)
    let trainer = try Trainer.make(model, Workers(threads: threads, areKept: true))
    let losses = try (0..<2).map { _ in try trainer.step(data.examples) }
    withExtendedLifetime(data) {}
    return (bits(model.weights), losses)
  }

  /// Thirteen rows are parts that go their own way, five are one that all workers make together.
  @Test(arguments: examples, [13, 5])
  func training(_ example: Example, _ rows: Int) throws {
    for kernels in [kernelSets()[0], fastestKernels] {
      let alone = try trained(example, kernels, rows: rows, threads: 1)
      for threads in [2, 3, 8] {
        let together = try trained(example, kernels, rows: rows, threads: threads)
        #expect(together.weights == alone.weights, "\(threads) threads")
        #expect(together.losses == alone.losses, "\(threads) threads")
      }
    }
  }

  @Test(arguments: examples, [13, 5])
  func prediction(_ example: Example, _ rows: Int) throws {
    let model = try example.model(.wide, kernelSets()[0])
    let sample = Sample.make(for: model, rows: rows, steps: 6, padding: example.canPad ? .lengths : .none)
    let alone = bits(try model.predicted(sample))
    for threads in [2, 3, 8] {
      #expect(bits(try model.predicted(sample, threads: threads)) == alone, "\(threads) threads")
    }
  }

  /// Parameters of several slices, with all that comes beside an optimizer.
  @Test(arguments: [
    "'adamax'", "'nadam'", "'adadelta'", "'ftrl'", "'lion'", "{'type': 'adafactor', 'learning_rate': 0.1}",
    "{'type': 'sgd', 'use_ema': true, 'ema_overwrite_frequency': 2, 'gradient_accumulation_steps': 2, 'clipnorm': 0.1}",
    "{'type': 'adam', 'average_from': 1, 'learning_rate': {'type': 'one_cycle', 'max_learning_rate': 0.1,"
      + "'total_steps': 10}}",
  ])
  func optimizers(_ optimizer: String) throws {
    let json =
      "{'layers': [{'type': 'embedding', 'vocabulary': 5000, 'units': 20, 'regularizers': {'weights': 'l2'}},"
      + "{'type': 'lstm', 'units': 70, 'regularizers': {'recurrent_weights': 'l1_l2'}, 'constraints':"
      + "{'input_weights': 'max_norm', 'recurrent_weights': {'type': 'min_max_norm', 'axis': 1}, 'bias': 'unit_norm'}},"
      + "{'type': 'dense', 'units': 300, 'constraints': {'weights': 'non_neg'}}],"
      + "'training': {'loss': 'mse', 'optimizer': \(optimizer)}}"
    func trained(_ threads: Int) throws -> (weights: [UInt32], losses: [UInt64]) {
      let model = try makeModel(json)
      let data = try TrainingData(model, Sample.make(for: model, rows: 13, steps: 4, padding: .ends))
      let trainer = try Trainer.make(model, Workers(threads: threads, areKept: true))
      let losses = try (0..<4).map { _ in try trainer.step(data.examples).bitPattern }
      withExtendedLifetime(data) {}
      return (bits(model.weights), losses)
    }
    let alone = try trained(1)
    for threads in [2, 3, 8] {
      let together = try trained(threads)
      #expect(together == alone, "\(threads) threads")
    }
  }

  /// A large model, whose passes all workers make together whatever the batch.
  @Test func largeLayers() throws {
    let json =
      "{'input_shape': [null, 200], 'layers': [{'type': 'lstm', 'units': 600, 'return_sequences': true},"
      + "{'type': 'bidirectional', 'layer': {'type': 'gru', 'units': 130}}, {'type': 'dense', 'units': 70}],"
      + "'training': {'loss': 'mse'}}"
    func trained(_ threads: Int) throws -> [UInt32] {
      let model = try makeModel(json)
      #expect(Division(model, rows: 40).isTogether)
      let data = try TrainingData(model, Sample.make(for: model, rows: 40, steps: 3, padding: .ends))
      let trainer = try Trainer.make(model, Workers(threads: threads, areKept: true))
      for _ in 0..<2 { _ = try trainer.step(data.examples) }
      withExtendedLifetime(data) {}
      return bits(model.weights)
    }
    let alone = try trained(1)
    for threads in [2, 3, 8] { #expect(try trained(threads) == alone, "\(threads) threads") }
  }
}
