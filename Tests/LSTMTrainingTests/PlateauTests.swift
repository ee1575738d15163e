import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// keras.callbacks.ReduceLROnPlateau of Keras 3, told again: the learning rate after each epoch.
private func kerasRates(
  _ values: [Double], isMax: Bool, factor: Double, patience: Int, minDelta: Double, cooldown: Int, least: Double
) -> [Double] {
  var (rate, best, wait, cooling) = (1.0, Double?.none, 0, 0)
  return values.map { value in
    if cooling > 0 {
      cooling -= 1
      wait = 0
    }
    if best.map({ isMax ? value > $0 + minDelta : value < $0 - minDelta }) ?? true {
      (best, wait) = (value, 0)
    } else if cooling == 0 {
      wait += 1
      if wait >= patience, rate > least {
        rate = max(rate * factor, least)
        (cooling, wait) = (cooldown, 0)
      }
    }
    return rate
  }
}

@Suite struct PlateauTests {
  @Test(arguments: 0..<300)
  func reducesAsKeras(_ seed: Int) throws {
    var random = Generator(UInt64(seed))
    let values = random.integers(14, in: 0..<6).map { Double($0) / 4 }
    let patience = Int.random(in: 0..<4, using: &random)
    let cooldown = Int.random(in: 0..<4, using: &random)
    let minDelta = [0, 0.25, 0.3].randomElement(using: &random)!
    let isMax = Bool.random(using: &random)
    let least = [0, 0.2].randomElement(using: &random)!
    let expected = kerasRates(
      values, isMax: isMax, factor: 0.5, patience: patience, minDelta: minDelta, cooldown: cooldown, least: least)
    let plateau = Plateau(
      Monitor("val_loss", isMax ? .max : .auto, minDelta: minDelta), factor: 0.5, patience: patience,
      cooldown: cooldown, least: least)
    // Saved and loaded after every epoch.
    var model = try makeModel(
      "{'input_shape': [1], 'layers': [{'type': 'dense', 'units': 1}], 'training': {'loss': 'mse',"
        + "'optimizer': {'type': 'sgd', 'learning_rate': 1}}}")
    let columns = try Columns.make()
    for (epoch, value) in values.enumerated() {
      columns.removeAll()
      columns.append("loss", 100)
      columns.append("val_loss", value)
      let before = model.training.learningRate
      #expect(plateau.look(columns, &model.training) == (expected[epoch] < before))
      #expect(model.training.learningRate == expected[epoch], "epoch \(epoch)")
      model = try loadModel(try model.saved())
    }
  }

  @Test func inTraining() throws {
    let model = try makeModel(
      "{'input_shape': [1], 'layers': [{'type': 'dense', 'units': 1}], 'training': {'loss': 'mse',"
        + "'optimizer': {'type': 'sgd', 'learning_rate': 1e-30}}}")
    let data = try TrainingData(model, Sample.make(for: model, rows: 5, steps: 1))
    var rates: [Double] = []
    let plateau = Plateau(Monitor("loss", .auto, minDelta: 0), factor: 0.5, patience: 2, cooldown: 0, least: 0)
    for epochs in [3, 4] {
      try fit(model, data, epochs: epochs) { options in
        options.plateau = plateau
        options.shuffles = false
        options.progress = { progress in
          if progress.event == .epochEnd { rates.append(progress.learningRate * 1e30) }
          return true
        }
      }
    }
    // As one call of seven epochs.
    for (rate, expected) in zip(rates, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]) { #expect(isClose(rate, expected, 1e-12)) }
    let unknown = Plateau(Monitor("val_loss", .auto, minDelta: 0), factor: 0.5, patience: 2, cooldown: 0, least: 0)
    #expect(
      argumentError { try fit(model, data, epochs: 1) { $0.plateau = unknown } }
        == "options.plateau_monitor: expected loss (there are no validation data), got \"val_loss\"")
  }
}
