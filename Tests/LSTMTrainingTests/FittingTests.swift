import LSTMDescription
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// y = w·x + b with w = b = 0 and x = 1, 2, 3, ...: the mean squared error tells which samples made a batch.
private func line(_ training: String = "{'loss': 'mse', 'optimizer': {'type': 'sgd', 'learning_rate': 0}}") throws
  -> Model
{
  let model = try makeModel("{'input_shape': [1], 'layers': [{'type': 'dense', 'units': 1}], 'training': \(training)}")
  model.setWeights([Float](repeating: 0, count: model.plan.count))
  return model
}

/// Targets are powers of two, so that each sum of losses tells its samples.
private func powers(_ count: Int, weights: [Float]? = nil, classWeights: [Double]? = nil) -> TrainingData {
  let y = (0..<count).map { Float(sign: .plus, exponent: $0, significand: 1).squareRoot() }
  return TrainingData(
    Sample.numbers((0..<count).map { Float($0) }, Shape(count, 1)), Sample.numbers(y, Shape(count, 1)),
    weights: weights,
    classWeights: classWeights)
}

@Suite struct FittingTests {
  /// The samples of each batch, in bits, as the loss so far tells them.
  private func batches(
    _ model: Model, _ data: TrainingData, epochs: Int, size: Int, _ change: (inout FitOptions) -> Void = { _ in }
  )
    throws -> [[Int]]
  {
    var result: [[Int]] = []
    var sum = 0.0
    try fit(model, data, epochs: epochs) { options in
      options.batchSize = size
      options.progress = { progress in
        if progress.event == .epochBegin { (sum, _) = (0, result.append([])) }
        if progress.event == .batchEnd {
          let total = (progress.columns.values[0] * Double(progress.samples)).rounded()
          result[result.count - 1].append(Int(total - sum))
          sum = total
        }
        return true
      }
      change(&options)
    }
    return result
  }

  @Test func batchesAreInOrderWithoutShuffling() throws {
    let seen = try batches(line(), powers(7), epochs: 2, size: 3) { $0.shuffles = false }
    #expect(seen == [[0b111, 0b111_000, 0b1_000_000], [0b111, 0b111_000, 0b1_000_000]])
  }

  /// Each epoch takes each sample once, in an order that follows from seed and epoch alone.
  @Test func shufflingFollowsSeedAndEpoch() throws {
    let data = powers(16)
    let seen = try batches(line(), data, epochs: 4, size: 1)
    for epoch in seen { #expect(epoch.sorted() == (0..<16).map { 1 << $0 }) }
    #expect(Set(seen).count == 4)
    #expect(try batches(line(), data, epochs: 4, size: 1) == seen)
    #expect(try batches(line("{'loss': 'mae', 'optimizer': 'adam'}"), data, epochs: 1, size: 16)[0].count == 1)
    // Batches of another size hold the same order.
    let pairs = try batches(line(), data, epochs: 4, size: 2)
    for (pair, single) in zip(pairs, seen) {
      #expect(pair == stride(from: 0, to: 16, by: 2).map { single[$0] + single[$0 + 1] })
    }
    // Two calls are as one; another seed is another order.
    let model = try line()
    #expect(try batches(model, data, epochs: 1, size: 1) + batches(model, data, epochs: 3, size: 1) == seen)
    #expect(try batches(line(), data, epochs: 1, size: 1) { $0.seed = 0 } == [seen[0]])
    #expect(try batches(line(), data, epochs: 1, size: 1) { $0.seed = 1 } != [seen[0]])
  }

  /// Over many orders each sample stands in each place as often as the next: chi squared of 15·15 degrees of freedom.
  @Test func ordersAreFair() throws {
    let epochs = 800
    var counts = [[Double]](repeating: [Double](repeating: 0, count: 16), count: 16)
    for epoch in try batches(line(), powers(16), epochs: epochs, size: 1) {
      for (place, sample) in epoch.enumerated() { counts[place][sample.trailingZeroBitCount] += 1 }
    }
    let expected = Double(epochs) / 16
    let chi = counts.joined().reduce(0) { $0 + ($1 - expected) * ($1 - expected) / expected }
    // 225 give or take five deviations of √450.
    #expect(abs(chi - 225) < 5 * 450.0.squareRoot())
  }

  /// As in Keras, the first floor(n·(1 - split)) samples train and the others, the last, validate.
  @Test(arguments: [(10, 0.2, 8), (10, 0.25, 7), (7, 0.5, 3), (10, 0.3, 7), (3, 0.1, 2), (10, 0.99, 0), (10, 1e-9, 9)])
  func validationIsTheLastShare(_ count: Int, _ split: Double, _ kept: Int) throws {
    func run() throws -> History { try fit(line(), powers(count), epochs: 1) { $0.validationSplit = split } }
    if kept == 0 {
      #expect(
        argumentError { _ = try run() }
          == "options.validation_split: expected a share that leaves samples on both sides, got \(split) of \(count) samples"
      )
      return
    }
    let history = try run()
    let training = Double((1 << kept) - 1)
    let validation = Double((1 << count) - (1 << kept))
    #expect(isClose(history.column("loss")[0], training / Double(kept), 1e-6))
    #expect(isClose(history.column("val_loss")[0], validation / Double(count - kept), 1e-6))
  }

  /// Sample weights multiply an element's loss, which is then divided by the number of elements, not by the weights' sum.
  /// Class weights are those of the label; both multiply.
  @Test func weightsMultiplyLosses() throws {
    let weights: [Float] = [0.5, 2, 0, 1, 3]
    let history = try fit(line(), powers(5, weights: weights), epochs: 1)
    let expected = (0..<5).reduce(0) { $0 + Double(weights[$1]) * Double(1 << $1) } / 5
    #expect(isClose(history.column("loss")[0], expected, 1e-6))

    let labels: [Float] = [0, 1, 2, 1, 0]
    let x = Sample.numbers(labels, Shape(5, 1))
    let classWeights = [7, 0.25, 5]
    for sampleWeights in [nil, weights] {
      let data = TrainingData(
        x, Sample.numbers(labels, Shape(5, 1)), weights: sampleWeights, classWeights: classWeights)
      let total = (0..<5).reduce(0.0) { sum, i in
        sum + Double(sampleWeights?[i] ?? 1) * classWeights[Int(labels[i])] * Double(labels[i] * labels[i])
      }
      #expect(isClose(try fit(line(), data, epochs: 1).column("loss")[0], total / 5, 1e-6))
    }
    // Of one-hot targets the label is the place of the one; of classes the class.
    for loss in ["categorical_crossentropy", "sparse_categorical_crossentropy"] {
      let model = try makeModel(
        "{'input_shape': [1], 'layers': [{'type': 'dense', 'units': 3, 'activation': 'softmax', 'use_bias': false}],"
          + "'training': {'loss': '\(loss)', 'optimizer': {'type': 'sgd', 'learning_rate': 0}}}")
      model.setWeights([Float](repeating: 0, count: model.plan.count))
      let oneHot = Sample.numbers(labels.flatMap { label in (0..<3).map { Float($0) == label ? 1 : 0 } }, Shape(5, 3))
      let y = loss.hasPrefix("sparse") ? Sample.numbers(labels, Shape(5)) : oneHot
      let history = try fit(model, TrainingData(x, y, classWeights: classWeights), epochs: 1)
      #expect(isClose(history.column("loss")[0], (7 + 0.25 + 5 + 0.25 + 7) / 5 * 1.0986122886681098, 1e-6))
    }
    let few = TrainingData(x, Sample.numbers(labels, Shape(5, 1)), classWeights: [1, 2])
    #expect(
      argumentError { try fit(line(), few, epochs: 1) { $0.shuffles = false } }
        == "class_weights: expected labels from 0 to 1, got 2 in x[2]")
  }

  /// Two epochs of gradient descent with momentum against the same in float64: each weight has a momentum of its own.
  @Test func stepsAreThoseOfTheOptimizer() throws {
    let (rate, momentum) = (0.001, 0.9)
    let model = try line(
      "{'loss': 'mse', 'optimizer': {'type': 'sgd', 'learning_rate': \(rate), 'momentum': \(momentum)}}")
    try fit(model, powers(8), epochs: 2) { $0.shuffles = false }
    var (w, b, momentumOfW, momentumOfB) = (0.0, 0.0, 0.0, 0.0)
    for first in [0, 4, 0, 4] {
      var (slopeOfW, slopeOfB) = (0.0, 0.0)
      for i in first..<first + 4 {
        let error = w * Double(i) + b - Double(1 << i).squareRoot()
        slopeOfW += 2 * error * Double(i) / 4
        slopeOfB += 2 * error / 4
      }
      momentumOfW = momentum * momentumOfW - rate * slopeOfW
      momentumOfB = momentum * momentumOfB - rate * slopeOfB
      (w, b) = (w + momentumOfW, b + momentumOfB)
    }
    for (entry, expected) in zip(model.plan.entries, [w, b]) {
      #expect(isClose(Double(model.weights[entry.offset]), expected, 1e-6), "\(entry.name)")
    }
  }

  /// Padding has no loss and does not count in the mean; its targets are not read.
  @Test(arguments: [Padding.lengths, .gaps])
  func lossIsTheMeanOverValidSteps(_ padding: Padding) throws {
    let (rows, steps) = (3, 4)
    let model = try makeModel(
      "{'input_shape': [null, 1], 'layers': [{'type': 'dense', 'units': 1}],"
        + "'training': {'loss': 'mse', 'optimizer': {'type': 'sgd', 'learning_rate': 0}}}")
    model.setWeights([Float](repeating: 0, count: model.plan.count))
    let x = Sample.make(for: model, rows: rows, steps: steps, padding: padding)
    var (targets, total, count): ([Float], Double, Double) = ([], 0, 0)
    for place in 0..<rows * steps {
      let isValid = padding.isValid(row: place / steps, of: rows, step: place % steps, of: steps)
      targets.append(isValid ? Float(place + 1) : .nan)
      if isValid { (total, count) = (total + Double((place + 1) * (place + 1)), count + 1) }
    }
    let data = TrainingData(x, Sample.numbers(targets, Shape(rows, steps, 1)))
    #expect(isClose(try fit(model, data, epochs: 1).column("loss")[0], total / count, 1e-6))
  }

  /// Weights and optimizer go back to the beginning of the epoch in which the loss or a gradient was not finite.
  @Test(arguments: [0, 0.9])
  func divergenceRestoresTheEpochsBeginning(_ momentum: Double) throws {
    let training = "{'loss': 'mse', 'optimizer': {'type': 'sgd', 'learning_rate': 0.01, 'momentum': \(momentum)}}"
    let data = powers(8)
    let expected = try line(training)
    try fit(expected, data, epochs: 2)

    let model = try line(training)
    var atBegin: [[UInt8]] = []
    let error = spokenError {
      try fit(model, data, epochs: 5) { options in
        options.progress = { progress in
          if progress.event == .epochBegin { atBegin.append((try? model.saved()) ?? []) }
          // The third epoch's second batch, which is its last, makes weights that are not finite.
          if progress.event == .batchEnd, progress.epoch == 2, progress.batch == 1 {
            model.training.learningRate = 3.4e38
          }
          return true
        }
      }
    }
    #expect(error?.hasPrefix("diverged: training: expected finite") == true)
    #expect(error?.hasSuffix("in epoch 2, batch 2: the weights are those of its beginning") == true)
    #expect(atBegin.count == 3)
    #expect(try model.saved() == atBegin[2])
    #expect(bits(model.weights) == bits(expected.weights))
    // The model is free for another training, which goes on as if that epoch had not been.
    try fit(model, data, epochs: 1)
    try fit(expected, data, epochs: 1)
    #expect(bits(model.weights) == bits(expected.weights))
  }

  /// Asked to stop, training ends after the step under way, with its weights.
  @Test func callbackStops() throws {
    let training = "{'loss': 'mse', 'optimizer': 'sgd'}"
    let data = powers(12)
    var events: [Progress.Event] = []
    let model = try line(training)
    var stopped = false
    let history = try fit(model, data, epochs: 5) { options in
      options.shuffles = false
      options.progress = { progress in
        events.append(progress.event)
        stopped = progress.epoch == 1 && progress.event == .batchEnd && progress.batch == 2
        return !stopped
      }
    }
    #expect(!history.finished)
    let epoch: [Progress.Event] = [.epochBegin, .batchEnd, .batchEnd]
    #expect(Array(events.prefix(5)) == [.trainBegin] + epoch + [.batchEnd])
    #expect(events.last == .trainEnd)
    #expect(model.training.step == 5)
    #expect(model.training.epoch == 1)
    // The same five steps, as an epoch of all samples and one of the first eight.
    let five = try line(training)
    #expect(try fit(five, data, epochs: 1) { $0.shuffles = false }.finished)
    try fit(five, powers(8), epochs: 1) { $0.shuffles = false }
    #expect(bits(model.weights) == bits(five.weights))
  }

  /// Columns, in order: the loss, the metrics, and the same of validation; the loss is the mean over samples.
  @Test func historyHoldsAllColumns() throws {
    let model = try line(
      "{'loss': 'mse', 'optimizer': {'type': 'sgd', 'learning_rate': 0}, 'metrics': ['mae', 'mse']}")
    let history = try fit(model, powers(10), epochs: 2) { $0.validationSplit = 0.3 }
    #expect(history.epochs.count == 2)
    for epoch in history.epochs {
      #expect(epoch.map(\.name) == ["loss", "mae", "mse", "val_loss", "val_mae", "val_mse"])
      #expect(isClose(epoch[0].value, 127.0 / 7, 1e-6))
      #expect(isClose(epoch[2].value, 127.0 / 7, 1e-6))
      #expect(isClose(epoch[3].value, 896.0 / 3, 1e-6))
    }
    let columns = try Evaluation.evaluate(model, powers(10).examplesKept, batchSize: 3, threads: 1)
    #expect(isClose(columns.values[0], 102.3, 1e-6))
  }

  @Test func whatCannotBeTrainedIsRefused() throws {
    let data = powers(4)
    let model = try line()
    let trainer = try Trainer.make(model, Workers(threads: 1, areKept: true))
    #expect(
      argumentError { try fit(model, data, epochs: 1) }
        == "model: expected one that is not being trained, got one that is")
    withExtendedLifetime(trainer) {}
    let untrained = try makeModel("{'input_shape': [1], 'layers': [{'type': 'dense', 'units': 1}]}")
    #expect(
      argumentError { try fit(untrained, data, epochs: 1) }?.hasPrefix("model: expected one with 'training'") == true)
    let empty = try makeModel(
      "{'input_shape': [1], 'layers': [{'type': 'dropout', 'rate': 0}], 'training': {'loss': 'mse'}}")
    #expect(argumentError { try fit(empty, data, epochs: 1) } == "model: expected trainable parameters, got none")
    let nan = TrainingData(Sample.numbers([1, .nan], Shape(2, 1)), Sample.numbers([1, 1], Shape(2, 1)))
    #expect(
      argumentError { try fit(line(), nan, epochs: 1) { $0.shuffles = false } }
        == "x[1]: expected finite numbers, got nan as value 0")
    let badTarget = TrainingData(Sample.numbers([1, 1], Shape(2, 1)), Sample.numbers([1, .nan], Shape(2, 1)))
    #expect(
      argumentError { try fit(line(), badTarget, epochs: 1) }?.hasSuffix("[1]: expected a finite number, got nan")
        == true)
  }
}

extension TrainingData {
  /// For data that are never freed.
  fileprivate var examplesKept: Examples {
    _ = Unmanaged.passRetained(self)
    return examples
  }
}
