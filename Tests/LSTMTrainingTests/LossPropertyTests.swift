import LSTMKernels
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// What holds for training with every loss: the bits do not depend on threads, padding is never read, and a saved
/// training goes on as if it had never stopped.
@Suite struct LossPropertyTests {
  private static let extents = Extents.wide
  private static let targets = 3

  /// Outputs for each timestep, of as many numbers as the loss needs, through an activation that fits it.
  private func model(_ test: LossCase) throws -> Model {
    let activation: String
    switch test.outputs {
    case .numbers, .logits: activation = "linear"
    case .probabilities: activation = test.needsSeveral ? "softmax" : "sigmoid"
    case .counts, .signs, .oneHot: activation = "softplus"
    }
    let outputs = test.widths(Self.targets).outputs
    let example = Example(
      "lstm", .series,
      "{'type': 'lstm', 'units': units, 'return_sequences': true, 'dropout': 0.1},"
        + "{'type': 'dense', 'units': \(outputs), 'activation': '\(activation)'}")
    let metric = test.usesClasses ? "'accuracy'" : "'mse'"
    return try example.model(
      Self.extents,
      training: "{'loss': \(test.json), 'optimizer': 'adam', 'metrics': [\(test.takesPairs ? "" : metric)]}")
  }

  /// Targets and weights for each timestep; what stands over padding is not a number.
  private func data(_ test: LossCase, _ model: Model, _ padding: Padding, fill: Float = .nan) -> TrainingData {
    var random = Generator(31)
    let (rows, steps) = (Self.extents.batch, Self.extents.steps)
    let width = test.usesClasses ? 1 : test.widths(Self.targets).targets
    var (y, weights): ([Float], [Float]) = ([], [])
    for place in 0..<rows * steps {
      let isValid = padding.isValid(row: place / steps, of: rows, step: place % steps, of: steps)
      let drawn =
        test.usesClasses
        ? [Float(Int.random(in: 0..<Self.targets, using: &random))] : test.draw(test.targets, width, &random)
      let weight = Float.random(in: 0...2, using: &random)
      y += isValid ? drawn : [Float](repeating: fill, count: width)
      weights.append(isValid ? weight : fill)
    }
    let x = Sample.make(for: model, rows: rows, steps: steps, padding: padding)
    return TrainingData(
      x, Sample.numbers(y, Shape(rows, steps, width)), weights: Sample.numbers(weights, Shape(rows, steps)))
  }

  private func trained(
    _ test: LossCase, _ padding: Padding, threads: Int = 1, fill: Float = .nan
  ) throws -> (weights: [UInt32], figures: [UInt64]) {
    let model = try model(test)
    let history = try fit(model, data(test, model, padding, fill: fill), epochs: 2) {
      ($0.threads, $0.batchSize) = (threads, 13)
    }
    #expect(history.epochs.joined().allSatisfy { $0.value.isFinite })
    return (bits(model.weights), bits(history.epochs.flatMap { $0.map(\.value) }))
  }

  @Test(arguments: lossCases, [Padding.ends, .gaps])
  func threadsAndPaddingDecideNoBit(_ test: LossCase, _ padding: Padding) throws {
    let alone = try trained(test, padding)
    #expect(bits(try model(test).weights) != alone.weights)
    for (threads, fill) in [(3, Float.nan), (1, 7e37), (8, -.infinity)] {
      let other = try trained(test, padding, threads: threads, fill: fill)
      #expect(other.weights == alone.weights && other.figures == alone.figures, "\(threads) threads, \(fill)")
    }
  }

  @Test(arguments: lossCases) func savedTrainingGoesOn(_ test: LossCase) throws {
    let whole = try model(test)
    let data = data(test, whole, .gaps)
    let history = try fit(whole, data, epochs: 3)
    let first = try model(test)
    let begun = try fit(first, data, epochs: 1)
    let resumed = try loadModel(try first.saved())
    let ended = try fit(resumed, data, epochs: 2)
    #expect(try resumed.saved() == whole.saved())
    #expect(
      bits((begun.epochs + ended.epochs).flatMap { $0.map(\.value) })
        == bits(history.epochs.flatMap { $0.map(\.value) }))
  }

  /// A row's loss depends on nothing but the row: the mean over batches of any size is that of one by one.
  @Test(arguments: lossCases) func batchesDecideNoLoss(_ test: LossCase) throws {
    let model = try model(test)
    let data = data(test, model, .none)
    let figures = try [1, 4, 13].map { size in
      let columns = try Evaluation.evaluate(model, data.examples, batchSize: size, threads: 1)
      return withExtendedLifetime(columns) { columns.values[0] }
    }
    withExtendedLifetime(data) {}
    for figure in figures { #expect(isClose(figure, figures[0], 1e-6)) }
  }
}
