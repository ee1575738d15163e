internal import CLSTMShim
internal import LSTMKernels
internal import LSTMLayers
public import LSTMModels
public import LSTMTensors
internal import Synchronization

/// Steps of training on one model, which it has to itself while it lives.
public final class Trainer: TeamWork {
  public let model: Model
  let compilation: Compilation
  private(set) var workers: Workers
  private var pass: BatchPass
  private var reader: ExampleReader?
  private var weightsOfClasses: Buffer?
  /// The model's parameters in pieces, each the work of one worker.
  private let slices: [Slice]
  /// Σ of the squared gradients of each slice.
  private let sums: Buffer
  /// The work of packing the weights, in pieces.
  private let packings: [Packing]
  /// Whether there are gradients of a step.
  public private(set) var hasGradients = false
  // Of the step at work.
  private var phase = Phase.gather
  private var total = 0.0

  private enum Phase { case gather, update, pack }

  private struct Slice {
    /// The place of its parameter among those of the plan.
    let entry: Int
    let offset: Int
    let count: Int
    /// Rows of a table whose gradient is sparse.
    let rows: Range<Int>?
  }

  private struct Packing {
    let stage: Int
    let piece: Int
    let pieces: Int
  }

  private init(
    _ model: Model, _ compilation: Compilation, _ workers: Workers, _ slices: [Slice], _ sums: Buffer,
    _ packings: [Packing]
  ) {
    (self.model, self.compilation, self.workers) = (model, compilation, workers)
    (self.slices, self.sums, self.packings) = (slices, sums, packings)
    pass = BatchPass(model, compilation, workers, trains: true)
  }

  deinit { model.owner.store(.none, ordering: .releasing) }

  /// Claims a compiled model.
  public static func make(
    _ model: Model, for owner: Model.Owner = .trainer, _ workers: Workers
  ) throws(LSTMError) -> Trainer {
    guard model.owner.compareExchange(expected: .none, desired: owner, ordering: .acquiringAndReleasing).exchanged
    else {
      throw .argument("model: expected one that is not being trained, got one that is")
    }
    do throws(LSTMError) {
      return try makeClaimed(model, workers)
    } catch {
      model.owner.store(.none, ordering: .releasing)
      throw error
    }
  }

  private static func makeClaimed(_ model: Model, _ workers: Workers) throws(LSTMError) -> Trainer {
    let compilation = try Compilation.current(model)
    let slices = try makeSlices(model)
    if slices.isEmpty { throw .argument("model: expected trainable parameters, got none") }
    let sums = try Buffer.make(model.allocator, slices.count, of: Double.self)
    let packings = try makePackings(model)
    try makeSlots(model, compilation.optimizer)
    try model.prepareBackward()
    try Memory.check()
    return Trainer(model, compilation, workers, slices, sums, packings)
  }

  /// So many floats of weights, gradient and optimizer state stay in a core's own cache.
  private static let sliceCount = 1 << 14

  private static func makeSlices(_ model: Model) throws(LSTMError) -> [Slice] {
    var slices: [Slice] = []
    let first = model.stages[model.firstStage]
    for (i, entry) in model.plan.entries.enumerated() where entry.isTrainable && entry.count > 0 {
      let isSparse = first.hasSparseGradient && entry.offset == first.parameters[0].offset
      let width = isSparse ? entry.shape[1] : 1
      // All tokens are looked through for each slice of a table.
      let step = isSparse ? (entry.shape[0] + 7) / 8 : sliceCount
      for row in stride(from: 0, to: entry.count / width, by: step) {
        let rows = row..<min(entry.count / width, row + step)
        let slice = Slice(
          entry: i, offset: entry.offset + row * width, count: rows.count * width, rows: isSparse ? rows : nil)
        try Memory.append(slice, to: &slices)
      }
    }
    return slices
  }

  private static func makePackings(_ model: Model) throws(LSTMError) -> [Packing] {
    var packings: [Packing] = []
    for stage in 0..<model.stages.count {
      let count = model.packedCount(stage: stage)
      let pieces = min(16, (count + (1 << 16) - 1) >> 16)
      for piece in 0..<pieces { try Memory.append(Packing(stage: stage, piece: piece, pieces: pieces), to: &packings) }
    }
    return packings
  }

  private static func makeSlots(_ model: Model, _ optimizer: Optimizer) throws(LSTMError) {
    var slots = model.training.slots
    while slots.count < optimizer.slotCount {
      let buffer = try Buffer.make(model.allocator, model.plan.count, of: Float.self)
      buffer.floats.update(repeating: optimizer.initialSlotValue(slots.count), count: model.plan.count)
      try Memory.append(buffer, to: &slots)
    }
    model.training.slots = slots
  }

  /// From the next step on.
  public func setThreads(_ threads: Int) {
    workers = Workers(threads: threads, areKept: true)
    pass = BatchPass(model, compilation, workers, trains: true)
    hasGradients = false
  }

  /// One step on some rows.
  ///
  /// - Parameter metrics: count the batch's outputs, as they are before the update, in the metrics.
  /// - Returns: the loss before the update.
  func step(_ reader: ExampleReader, _ rows: Rows, metrics: Bool) throws(LSTMError) -> Double {
    // Moments and states that die away would become denormal numbers, which many processors are slow with.
    let mode = shim_flush_denormals()
    defer { shim_restore_float_mode(mode) }
    hasGradients = false
    let loss = try pass.run(reader, rows)
    guard loss.isFinite else { throw .diverged("training: expected a finite loss, got \(numberSpoken(loss))") }
    if metrics { pass.countMetrics() }
    phase = .gather
    workers.share(slices.count, self)
    total = sum { _ in true }
    guard total.isFinite else { throw .diverged("training: expected finite gradients, got a number that is not") }
    try Memory.check()
    model.training.step += 1
    phase = .update
    workers.share(slices.count, self)
    phase = .pack
    workers.share(packings.count, self)
    hasGradients = true
    return loss
  }

  private func numberSpoken(_ x: Double) -> String { x.isNaN ? "nan" : x > 0 ? "infinity" : "-infinity" }

  private func sum(_ counts: (Slice) -> Bool) -> Double {
    var total = 0.0
    for i in 0..<slices.count where counts(slices[i]) { total += sums.pointer(to: Double.self)[i] }
    return total
  }

  /// The gradients of the batch.
  private var gradients: MutableFloats? { pass.shards.first?.gradients?.floats }

  public override func run(_ item: Int, of count: Int) {
    guard let gradients else { return }
    switch phase {
    case .gather: gather(slices[item], into: gradients, item)
    case .update: update(slices[item], gradients)
    case .pack:
      let packing = packings[item]
      model.repack(stage: packing.stage, Part(packing.piece, of: packing.pieces, nil))
    }
  }

  /// Adds up what the shards have, in their order.
  private func gather(_ slice: Slice, into gradients: MutableFloats, _ i: Int) {
    let own = gradients + slice.offset
    if let rows = slice.rows {
      own.clear(slice.count)
      for shard in pass.shards {
        shard.run.addSparseGradient(rows, to: compilation.lossStage, gradients: gradients)
      }
    } else {
      for shard in pass.shards.dropFirst() {
        guard let other = shard.gradients else { continue }
        model.kernels.add(slice.count, other.floats + slice.offset, to: own)
      }
    }
    sums.pointer(to: Double.self)[i] = model.kernels.sumOfSquares(slice.count, own)
  }

  private func update(_ slice: Slice, _ gradients: MutableFloats) {
    let gradient = Gradient(values: gradients + slice.offset, count: slice.count)
    compilation.optimizer.clip(
      gradient, total: total, parameter: { self.sum { $0.entry == slice.entry } }, model.kernels)
    var places = InlineArray<3, MutableFloats?>(repeating: nil)
    for i in 0..<model.training.slots.count { places[i] = model.training.slots[i].floats + slice.offset }
    compilation.optimizer.update(
      ParameterUpdate(
        count: slice.count, weights: model.parameters.floats + slice.offset, gradient: Floats(gradient.values),
        slots: places),
      step: model.training.step, rate: model.training.learningRate, model.kernels)
  }

  /// From the next step on; they are copied.
  public func setClassWeights(_ weights: UnsafeBufferPointer<Double>?) throws(LSTMError) {
    guard let weights, let from = weights.baseAddress else {
      weightsOfClasses = nil
      return
    }
    let copy = try Buffer.make(.system, weights.count, of: Double.self)
    copy.pointer(to: Double.self).copy(from: from, count: weights.count)
    weightsOfClasses = copy
  }

  /// They live until others are set.
  public var classWeights: UnsafeBufferPointer<Double>? {
    weightsOfClasses.map {
      UnsafeBufferPointer(start: $0.pointer(to: Double.self), count: $0.byteCount / MemoryLayout<Double>.stride)
    }
  }

  /// One step on all of these examples. Without metrics.
  public func step(_ examples: Examples) throws(LSTMError) -> Double {
    let reader = try readerOf(examples)
    return try step(reader, Rows(first: 0, count: examples.count), metrics: false)
  }

  private func readerOf(_ examples: Examples) throws(LSTMError) -> ExampleReader {
    if let reader {
      try reader.take(model, examples)
      return reader
    }
    let reader = try ExampleReader.make(model, examples, compilation.loss)
    self.reader = reader
    return reader
  }

  /// The gradient of a parameter at the last step; when `hasGradients`.
  public func gradient(of parameter: Parameter) -> UnsafePointer<Float> {
    UnsafePointer((gradients ?? MutableFloats(bitPattern: 64)!) + parameter.offset)
  }
}
