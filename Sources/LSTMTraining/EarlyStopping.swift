internal import LSTMModels
internal import LSTMTensors

/// Weights and training state at one moment.
final class Snapshot {
  private let model: Model
  private let weights: Buffer
  private let slots: [Buffer]
  private let withState: Bool
  private var step: UInt64 = 0
  private var epoch: UInt64 = 0
  private var learningRate = 0.0

  private init(_ model: Model, _ weights: Buffer, _ slots: [Buffer], withState: Bool) {
    (self.model, self.weights, self.slots, self.withState) = (model, weights, slots, withState)
  }

  /// - Parameter withState: also the optimizer's state and the counters.
  static func make(_ model: Model, withState: Bool = true) throws(LSTMError) -> Snapshot {
    var slots: [Buffer] = []
    let weights = try Buffer.make(model.allocator, bytes: model.parameters.byteCount)
    if withState {
      for slot in model.training.slots {
        try Memory.append(try Buffer.make(model.allocator, bytes: slot.byteCount), to: &slots)
      }
    }
    return Snapshot(model, weights, slots, withState: withState)
  }

  private static func copy(_ from: Buffer, _ to: Buffer) {
    to.base.copyMemory(from: from.base, byteCount: from.byteCount)
  }

  func take() {
    Snapshot.copy(model.parameters, weights)
    for i in 0..<slots.count { Snapshot.copy(model.training.slots[i], slots[i]) }
    (step, epoch, learningRate) = (model.training.step, model.training.epoch, model.training.learningRate)
  }

  func restore() {
    Snapshot.copy(weights, model.parameters)
    for i in 0..<slots.count { Snapshot.copy(slots[i], model.training.slots[i]) }
    if withState {
      (model.training.step, model.training.epoch, model.training.learningRate) = (step, epoch, learningRate)
    }
    model.repack()
  }
}

/// Stops training when a figure has not improved for some epochs, and may bring back the best weights.
///
/// - Source: keras.callbacks.EarlyStopping.
public struct EarlyStopping {
  public enum Mode { case auto, min, max }

  /// A column's name.
  public let monitor: String
  public let mode: Mode
  public let patience: Int
  public let minDelta: Double
  /// Epochs before it are not looked at.
  public let startFromEpoch: Int
  public let restoresBest: Bool

  private(set) var bestEpoch = 0
  private var best = 0.0
  private var hasBest = false
  private var wait = 0
  private var snapshot: Snapshot?

  public init(
    monitor: String, mode: Mode, patience: Int, minDelta: Double, startFromEpoch: Int, restoresBest: Bool
  ) {
    (self.monitor, self.mode, self.patience) = (monitor, mode, patience)
    (self.minDelta, self.startFromEpoch, self.restoresBest) = (minDelta, startFromEpoch, restoresBest)
  }

  private var biggerIsBetter: Bool {
    switch mode {
    case .min: false
    case .max: true
    case .auto: Metric.biggerIsBetter(monitor.utf8)
    }
  }

  mutating func prepare(_ model: Model, _ compilation: Compilation, hasValidation: Bool) throws(LSTMError) {
    var names: [StaticString] = ["loss"]
    for metric in compilation.metrics { names.append(metric.name) }
    if hasValidation {
      names.append("val_loss")
      for metric in compilation.metrics { names.append(metric.valName) }
    }
    guard index(of: monitor.utf8, in: names) != nil else {
      throw .argument(
        "options.monitor: expected \(listing(names))\(hasValidation ? "" : " (there are no validation data)")"
          + ", got \(quoted(monitor.utf8))")
    }
    if restoresBest { snapshot = try Snapshot.make(model, withState: false) }
  }

  mutating func shouldStop(after epoch: Int, _ columns: Columns) -> Bool {
    guard epoch >= startFromEpoch, let value = value(in: columns) else { return false }
    wait += 1
    if !hasBest || (biggerIsBetter ? value - minDelta > best : value + minDelta < best) {
      (best, hasBest, bestEpoch, wait) = (value, true, epoch, 0)
      snapshot?.take()
      return false
    }
    return wait >= patience && epoch > 0
  }

  private func value(in columns: Columns) -> Double? {
    for i in 0..<columns.count {
      guard let name = columns.names[i] else { continue }
      var k = 0
      var same = true
      for byte in monitor.utf8 {
        same = same && UInt8(bitPattern: name[k]) == byte
        if !same { break }
        k += 1
      }
      if same, name[k] == 0 { return columns.values[i] }
    }
    return nil
  }

  /// Brings the best weights back, if that is wanted and they are known. Returns whether it did.
  func restore() -> Bool {
    guard let snapshot, hasBest else { return false }
    snapshot.restore()
    return true
  }
}
