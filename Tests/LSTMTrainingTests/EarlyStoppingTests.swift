import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// keras.callbacks.EarlyStopping of Keras 3, told again: the epoch after which it stops (nil: none), and the best.
private func kerasStops(
  _ values: [Double], isMax: Bool, patience: Int, minDelta: Double, start: Int
) -> (stop: Int?, best: Int?) {
  var (wait, best, bestEpoch) = (0, isMax ? -Double.infinity : Double.infinity, Int?.none)
  for (epoch, value) in values.enumerated() where epoch >= start {
    wait += 1
    if isMax ? value > best + minDelta : value < best - minDelta {
      (best, bestEpoch, wait) = (value, epoch, 0)
      continue
    }
    if wait >= patience, epoch > 0 { return (epoch, bestEpoch) }
  }
  return (nil, bestEpoch)
}

@Suite struct EarlyStoppingTests {
  private func model() throws -> Model {
    try makeModel(
      "{'input_shape': [1], 'layers': [{'type': 'dense', 'units': 1}], 'training': {'loss': 'mse', 'metrics': ['accuracy']}}"
    )
  }

  @Test(arguments: 0..<400)
  func stopsAsKeras(_ seed: Int) throws {
    var random = Generator(UInt64(seed))
    let values = random.integers(12, in: 0..<6).map { Double($0) / 4 }
    let patience = Int.random(in: 0..<4, using: &random)
    let minDelta = [0, 0.25, 0.3].randomElement(using: &random)!
    let start = [0, 0, 1, 5].randomElement(using: &random)!
    let mode = [Monitor.Mode.auto, .min, .max].randomElement(using: &random)!
    let monitor = ["val_loss", "val_accuracy"].randomElement(using: &random)!
    let isMax = mode == .max || (mode == .auto && monitor == "val_accuracy")
    let expected = kerasStops(values, isMax: isMax, patience: patience, minDelta: minDelta, start: start)

    let model = try model()
    var stopping = EarlyStopping(
      Monitor(monitor, mode, minDelta: minDelta), patience: patience, startFromEpoch: start, restoresBest: true)
    try stopping.prepare(model, try Compilation.current(model), hasValidation: true)
    let columns = try Columns.make()
    var stop: Int?
    for (epoch, value) in values.enumerated() where stop == nil {
      columns.removeAll()
      columns.append("loss", 100)
      columns.append(monitor == "val_loss" ? "val_loss" : "val_accuracy", value)
      model.setWeights([Float](repeating: Float(epoch), count: model.plan.count))
      if stopping.shouldStop(after: epoch, columns) { stop = epoch }
    }
    #expect(stop == expected.stop)
    #expect(stopping.restore() == (expected.best != nil))
    if let best = expected.best {
      #expect(stopping.bestEpoch == best)
      #expect(model.weights[0] == Float(best))
    }
  }

  @Test func unknownMonitorIsRefused() throws {
    let model = try model()
    func prepare(_ monitor: String, _ hasValidation: Bool) -> String? {
      argumentError {
        var stopping = EarlyStopping(
          Monitor(monitor, .auto, minDelta: 0), patience: 0, startFromEpoch: 0, restoresBest: false)
        try stopping.prepare(model, try Compilation.current(model), hasValidation: hasValidation)
      }
    }
    #expect(
      prepare("val_loss", false)
        == "options.monitor: expected loss or accuracy (there are no validation data), got \"val_loss\"")
    #expect(
      prepare("val_los", true)
        == "options.monitor: expected loss, accuracy, val_loss or val_accuracy, got \"val_los\"")
    #expect(prepare("val_accuracy", true) == nil)
  }
}
