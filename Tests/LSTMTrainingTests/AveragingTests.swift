import LSTMModels
import LSTMTestSupport
import Testing

@testable import LSTMTraining

@Suite struct AveragingTests {
  private static let example = Example(
    "lstm", .series, "{'type': 'normalize'}, {'type': 'lstm', 'units': units}, {'type': 'dense', 'units': 2}")

  private func model(_ optimizer: String, loss: String = "'mse'") throws -> (Model, TrainingData) {
    let example = AveragingTests.example
    let model = try example.model(.wide, training: "{'loss': \(loss), 'optimizer': \(optimizer)}")
    return (model, try TrainingData(model, example.sample(.wide, for: model)))
  }

  /// Weights after each of six updates, and the average, against float64.
  @Test(arguments: ["'use_ema': true, 'ema_momentum': 0.75", "'average_from': 3"])
  func isTheMean(_ options: String) throws {
    let (model, data) = try model("{'type': 'sgd', 'learning_rate': 0.1, \(options)}")
    let fixed = model.weights
    var seen: [[Float]] = []
    try fit(model, data, epochs: 3) { options in
      options.batchSize = 7
      options.progress = { progress in
        if progress.event == .batchEnd { seen.append(model.weights) }
        return true
      }
    }
    #expect(seen.count == 6 && model.training.servesAverage)
    var expected = seen[0].map(Double.init)
    for (index, weights) in seen.enumerated().dropFirst() {
      for i in 0..<expected.count {
        let w = Double(weights[i])
        if options.contains("use_ema") {
          expected[i] = 0.75 * expected[i] + 0.25 * w
        } else {
          expected[i] = index <= 2 ? w : expected[i] + (w - expected[i]) / Double(index - 1)
        }
      }
    }
    for entry in model.plan.entries {
      for i in entry.offset..<entry.offset + entry.count {
        let wanted = entry.isTrainable ? expected[i] : Double(fixed[i])
        #expect(isClose(Double(model.weights[i]), wanted, 1e-6), "\(entry.name)")
      }
    }
    // Both ways, and through a file.
    try model.serveAverage(false)
    #expect(bits(model.weights) == bits(seen[5]))
    try model.serveAverage(true)
    let loaded = try loadModel(try model.saved())
    #expect(bits(loaded.weights) == bits(model.weights))
    try loaded.serveAverage(false)
    #expect(bits(loaded.weights) == bits(seen[5]))
    let sample = AveragingTests.example.sample(.wide, for: model)
    #expect(try loaded.predicted(sample) != model.predicted(sample))
  }

  @Test func refusals() throws {
    let (plain, _) = try model("'sgd'")
    #expect(
      argumentError { try plain.serveAverage(true) }
        == "model: expected an optimizer with use_ema or average_from, got one without")
    try plain.serveAverage(false)
    let (late, data) = try model("{'type': 'sgd', 'average_from': 4}")
    let none = "model: expected one that was trained until there is an average, got one without"
    #expect(argumentError { try late.serveAverage(true) } == none)
    try fit(late, data, epochs: 1) { $0.batchSize = 5 }
    #expect(!late.training.servesAverage)
    #expect(argumentError { try late.serveAverage(true) } == none)
    try fit(late, data, epochs: 1) { $0.batchSize = 5 }
    #expect(late.training.servesAverage)
  }

  /// The best weights are not overwritten by an average of all.
  @Test func theBestWeightsStay() throws {
    let (model, data) = try model("{'type': 'sgd', 'use_ema': true}")
    var best: [Float] = []
    try fit(model, data, epochs: 3) { options in
      options.earlyStopping = EarlyStopping(
        Monitor("loss", .max, minDelta: 0), patience: 9, startFromEpoch: 0, restoresBest: true)
      options.progress = { progress in
        if progress.event == .epochEnd, progress.epoch == 0 { best = model.weights }
        return true
      }
    }
    #expect(bits(model.weights) == bits(best) && !model.training.servesAverage)
  }

  @Test func learningRateOfAScheduleIsNotSet() throws {
    let (model, data) = try model(
      "{'type': 'sgd', 'learning_rate': {'type': 'exponential_decay', 'initial_learning_rate': 0.5, 'decay_steps': 1,"
        + "'decay_rate': 0.5}}")
    #expect(
      argumentError { try model.setLearningRate(1) }
        == "rate: expected none, since the learning rate follows a schedule, got 1")
    var rates: [Double] = []
    try fit(model, data, epochs: 1) { options in
      options.progress = { progress in
        rates.append(progress.learningRate)
        return true
      }
    }
    #expect(rates == [0.5, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125, 0.03125])
    #expect(
      argumentError {
        try fit(model, data, epochs: 1) {
          $0.plateau = Plateau(Monitor("loss", .auto, minDelta: 0), factor: 0.5, patience: 1, cooldown: 0, least: 0)
        }
      } == "options.reduce_on_plateau: expected 0, since the learning rate follows a schedule, got 1")
  }
}
