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
  private let monitor: Monitor
  private let patience: Int
  /// Epochs before it are not looked at.
  private let startFromEpoch: Int
  private let restoresBest: Bool

  private(set) var bestEpoch = 0
  private var best = 0.0
  private var hasBest = false
  private var wait = 0
  private var snapshot: Snapshot?

  public init(_ monitor: Monitor, patience: Int, startFromEpoch: Int, restoresBest: Bool) {
    (self.monitor, self.patience) = (monitor, patience)
    (self.startFromEpoch, self.restoresBest) = (startFromEpoch, restoresBest)
  }

  mutating func prepare(_ model: Model, _ compilation: Compilation, hasValidation: Bool) throws(LSTMError) {
    try monitor.check("options.monitor", compilation, hasValidation: hasValidation)
    if restoresBest { snapshot = try Snapshot.make(model, withState: false) }
  }

  mutating func shouldStop(after epoch: Int, _ columns: Columns) -> Bool {
    guard epoch >= startFromEpoch, let value = monitor.value(in: columns) else { return false }
    wait += 1
    if !hasBest || monitor.improves(value, on: best) {
      (best, hasBest, bestEpoch, wait) = (value, true, epoch, 0)
      snapshot?.take()
      return false
    }
    return wait >= patience && epoch > 0
  }

  /// Brings the best weights back, if that is wanted and they are known. Returns whether it did.
  func restore() -> Bool {
    guard let snapshot, hasBest else { return false }
    snapshot.restore()
    return true
  }
}
