public import LSTMModels
internal import LSTMTensors

/// Multiplies the learning rate when a figure has not improved for some epochs. What it has seen is part of the model's
/// training state.
///
/// - Source: keras.callbacks.ReduceLROnPlateau.
public struct Plateau {
  private let monitor: Monitor
  private let factor: Double
  private let patience: Int
  /// Epochs after a reduction that are not waited.
  private let cooldown: Int
  private let least: Double

  public init(_ monitor: Monitor, factor: Double, patience: Int, cooldown: Int, least: Double) {
    (self.monitor, self.factor, self.patience) = (monitor, factor, patience)
    (self.cooldown, self.least) = (cooldown, least)
  }

  func check(_ compilation: Compilation, hasValidation: Bool) throws(LSTMError) {
    if compilation.optimizer.isScheduled {
      throw .argument("options.reduce_on_plateau: expected 0, since the learning rate follows a schedule, got 1")
    }
    try monitor.check("options.plateau_monitor", compilation, hasValidation: hasValidation)
  }

  /// - Returns: whether the learning rate was reduced.
  func look(_ columns: Columns, _ training: inout TrainingState) -> Bool {
    guard let value = monitor.value(in: columns) else { return false }
    var seen = training.plateau ?? TrainingState.Plateau(best: value)
    defer { training.plateau = seen }
    if seen.cooldown > 0 {
      seen.cooldown -= 1
      seen.wait = 0
    }
    if training.plateau == nil || monitor.improves(value, on: seen.best) {
      (seen.best, seen.wait) = (value, 0)
      return false
    }
    if seen.cooldown > 0 { return false }
    seen.wait += 1
    guard seen.wait >= UInt64(patience), training.learningRate > least else { return false }
    training.learningRate = max(training.learningRate * factor, least)
    (seen.cooldown, seen.wait) = (UInt64(cooldown), 0)
    return true
  }
}
