internal import LSTMDescription
internal import LSTMKernels
public import LSTMModels
internal import LSTMTensors

/// Means of the weights over the updates, kept beside them.
///
/// - Source: `moving` is Keras 3's use_ema; `plain` is that of Polyak & Juditsky 1992, torch.optim.ASGD and
///   torch.optim.swa_utils.
enum Averaging {
  case none
  /// average = momentum·average + (1 - momentum)·weights, from the weights after the first update. After every `overwrite`
  /// updates the weights become the average.
  case moving(momentum: Double, overwrite: Int?)
  /// The mean of the weights after update `first`, counted from 1, and all later ones.
  case plain(first: Int)

  var isKept: Bool { if case .none = self { false } else { true } }

  /// Whether there is an average after so many updates.
  func exists(after updates: UInt64) -> Bool {
    switch self {
    case .none: false
    case .moving: updates > 0
    case .plain(let first): updates >= UInt64(first)
    }
  }

  /// After update number `update`, of a slice of `count` numbers.
  func add(_ update: UInt64, _ count: Int, _ weights: MutableFloats, to average: MutableFloats, _ kernels: Kernels) {
    switch self {
    case .none: return
    case .moving(let momentum, let overwrite):
      let keep = update == 1 ? 0 : Float(momentum)
      kernels.scale(count, by: keep, average)
      kernels.add(count, 1 - keep, times: Floats(weights), to: average)
      if let overwrite, update % UInt64(overwrite) == 0 { weights.copy(from: average, count: count) }
    case .plain(let first):
      guard update >= UInt64(first) else { return }
      let share = Float(1 / Double(update - UInt64(first) + 1))
      kernels.scale(count, by: 1 - share, average)
      kernels.add(count, share, times: Floats(weights), to: average)
    }
  }
}

extension Optimizer {
  /// Makes the model's weights those of the average, or those that are trained, with the others in the average's place;
  /// where there is no average yet they stay.
  ///
  /// - Returns: whether the model has the weights that were asked for.
  @discardableResult
  func serveAverage(_ wanted: Bool, _ model: Model) -> Bool {
    guard let slot = averageSlot else { return !wanted }
    if model.training.servesAverage == wanted { return true }
    guard slot < model.training.slots.count, averaging.exists(after: model.training.step / UInt64(accumulation)) else {
      return false
    }
    let (weights, average) = (model.parameters.floats, model.training.slots[slot].floats)
    for entry in model.plan.entries where entry.isTrainable {
      for i in entry.offset..<entry.offset + entry.count { (weights[i], average[i]) = (average[i], weights[i]) }
    }
    model.training.servesAverage = wanted
    model.repack()
    return true
  }
}

extension Fields {
  func averaging() throws(LSTMError) -> Averaging {
    let moves = try boolean("use_ema", default: false)
    let momentum = try number("ema_momentum", default: 0.99, expected: "a number from 0 to 1") { $0 >= 0 && $0 <= 1 }
    let overwrite = try optionalInteger("ema_overwrite_frequency", 1...Fields.unlimited)
    let first = try optionalInteger("average_from", 1...Fields.unlimited)
    if moves, first != nil {
      throw .argument("\(path): expected at most one of use_ema and average_from, got both")
    }
    return moves ? .moving(momentum: momentum, overwrite: overwrite) : first.map { .plain(first: $0) } ?? .none
  }
}
