import LSTMKernels
import LSTMModels
import LSTMTestSupport
import LSTMTensors
import Testing

@testable import LSTMTraining

/// Training that was saved and loaded goes on as if it had never stopped, to the last bit.
@Suite struct ResumeTests {
  private static let optimizers = [
    "'sgd'", "{'type': 'sgd', 'momentum': 0.9, 'nesterov': true, 'weight_decay': 0.01}", "'rmsprop'",
    "{'type': 'rmsprop', 'momentum': 0.5, 'centered': true, 'clipnorm': 0.5}", "'adam'",
    "{'type': 'adam', 'amsgrad': true, 'global_clipnorm': 0.1}", "'adamw'", "'adagrad'", "'adamax'", "'nadam'",
    "'adadelta'", "'ftrl'", "'lion'", "{'type': 'adafactor', 'learning_rate': 0.1}",
    "{'type': 'adam', 'use_ema': true, 'ema_momentum': 0.9, 'ema_overwrite_frequency': 3}",
    "{'type': 'sgd', 'average_from': 4, 'gradient_accumulation_steps': 2}",
    "{'type': 'adafactor', 'use_ema': true, 'gradient_accumulation_steps': 3, 'learning_rate': {'type': 'warmup',"
      + "'warmup_steps': 5, 'learning_rate': {'type': 'cosine_decay', 'initial_learning_rate': 0.3, 'decay_steps': 6}}}",
  ]

  private func check(_ example: Example, _ kernels: Kernels, _ optimizer: String) throws {
    let metric = example.loss == "crf" ? "accuracy" : "mae"
    let training = "{'loss': '\(example.loss)', 'optimizer': \(optimizer), 'metrics': ['\(metric)']}"
    func model() throws -> Model { try example.model(.wide, kernels, training: training) }
    let whole = try model()
    let data = try TrainingData(whole, example.sample(.wide, for: whole, example.canPad ? .gaps : .none))
    let start = bits(whole.weights)
    let history = try fit(whole, data, epochs: 3)
    #expect(bits(whole.weights) != start)

    let first = try model()
    let begun = try fit(first, data, epochs: 2)
    let resumed = try loadModel(try first.saved(), kernels)
    let ended = try fit(resumed, data, epochs: 1)
    #expect(bits(resumed.weights) == bits(whole.weights))
    #expect(
      bits((begun.epochs + ended.epochs).flatMap { $0.map(\.value) })
        == bits(history.epochs.flatMap { $0.map(\.value) }))
    #expect(try resumed.saved() == whole.saved())
    // And the same model trained again from the start.
    let again = try model()
    try fit(again, data, epochs: 3)
    #expect(try again.saved() == whole.saved())
    // Without the optimizer's state it is another training.
    if optimizer.contains("adam") {
      let afresh = try loadModel(try first.saved(weightsOnly: true), kernels)
      #expect(bits(afresh.weights) == bits(first.weights))
      try fit(afresh, data, epochs: 1)
      #expect(bits(afresh.weights) != bits(whole.weights))
    }
  }

  @Test(arguments: optimizers, kernelSets())
  func everyOptimizer(_ optimizer: String, _ kernels: Kernels) throws {
    let example = Example(
      "lstm", .series,
      "{'type': 'lstm', 'units': units, 'dropout': 0.2}, {'type': 'dropout', 'rate': 0.3}, {'type': 'dense', 'units': 2}"
    )
    try check(example, kernels, optimizer)
  }

  /// Stopped and saved after each of eight batches of two epochs, and resumed in another model.
  @Test(arguments: [
    "'adam'", "{'type': 'sgd', 'momentum': 0.9, 'gradient_accumulation_steps': 3}",
    "{'type': 'nadam', 'average_from': 2, 'learning_rate': {'type': 'exponential_decay', 'initial_learning_rate': 0.1,"
      + "'decay_steps': 3, 'decay_rate': 0.5}}",
  ])
  func inTheMiddleOfAnEpoch(_ optimizer: String) throws {
    let example = Example(
      "lstm", .series,
      "{'type': 'lstm', 'units': units, 'dropout': 0.2}, {'type': 'dropout', 'rate': 0.3}, {'type': 'dense', 'units': 2,"
        + "'activation': 'sigmoid'}")
    let training =
      "{'loss': 'mse', 'optimizer': \(optimizer), 'metrics': ['mae', 'auc', 'precision', 'r2', 'f1_macro']}"
    func model() throws -> Model { try example.model(.wide, training: training) }
    let whole = try model()
    let data = try TrainingData(whole, example.sample(.wide, for: whole, .gaps))
    let history = try fit(whole, data, epochs: 2)
    for stop in 1...8 {
      let first = try model()
      var (seen, file) = (0, [UInt8]())
      let begun = try fit(first, data, epochs: 2) { options in
        options.progress = { progress in
          if progress.event == .batchEnd {
            seen += 1
            // As a program that is killed right after.
            if seen == stop { file = (try? first.saved()) ?? [] }
          }
          return seen < stop
        }
      }
      #expect(!begun.finished)
      let resumed = try loadModel(file)
      let epochs = stop <= 4 ? 2 : 1
      let ended = try fit(resumed, data, epochs: epochs) { $0.resumes = true }
      #expect(bits(resumed.weights) == bits(whole.weights), "after \(stop)")
      #expect(try resumed.saved() == whole.saved())
      for (mine, expected) in zip(ended.epochs.reversed(), history.epochs.reversed()) {
        #expect(bits(mine.map(\.value)) == bits(expected.map(\.value)), "after \(stop)")
      }
    }
  }

  @Test func resumingNeedsTheSameMetricsAndData() throws {
    let example = Example("dense", .vector, "{'type': 'dense', 'units': 2}")
    func begun(_ change: (String) -> String = { $0 }) throws -> (Model, TrainingData) {
      let model = try example.model(.wide)
      let data = try TrainingData(model, example.sample(.wide, for: model))
      _ = try fit(model, data, epochs: 1) { $0.progress = { $0.event != .batchEnd || $0.batch < 2 } }
      return (model, data)
    }
    let (model, data) = try begun()
    let few = try TrainingData(model, Sample.make(for: model, rows: 7, steps: 1))
    #expect(
      argumentError { try fit(model, few, epochs: 1) { $0.resumes = true } }
        == "options.resume: expected the data with which the epoch was begun, at least 8 samples, got 7")
    // Without `resume` the epoch begins anew.
    let (again, _) = try begun()
    let batches = try fit(again, data, epochs: 1) { $0.progress = { $0.event != .epochBegin || $0.batch == 0 } }
    #expect(batches.finished)
  }

  @Test(arguments: examples)
  func everyLayer(_ example: Example) throws { try check(example, fastestKernels, "'adam'") }

  /// The learning rate of the moment is part of what is saved, to the last bit.
  @Test func learningRateIsKept() throws {
    let model = try makeModel(
      "{'input_shape': [1], 'layers': [{'type': 'dense', 'units': 1}], 'training': {'loss': 'mse', 'optimizer': 'sgd'}}"
    )
    model.training.learningRate = 0.1 + 0.2
    #expect(try loadModel(try model.saved()).training.learningRate.bitPattern == (0.1 + 0.2).bitPattern)
  }
}
