internal import CLSTMKernels
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
  /// For the calls on it.
  public let supply: Supply
  /// Likewise.
  public let lists = ArrayLists()
  private var pass: BatchPass
  private var reader: ExampleReader?
  private var weightsOfClasses: Buffer?
  /// Of sequences that go on from step to step; nil: each step's begin and end with it.
  private(set) var carried: CarriedStates?
  /// The model's parameters in pieces, each the work of one worker.
  private let slices: [Slice]
  /// Σ of the squared gradients of each slice, then of each parameter, and its root.
  private let sums: Buffer
  private let regulation: Regulation
  /// The work of packing the weights, in pieces.
  private let packings: [Packing]
  /// Whether there are gradients of a step.
  public private(set) var hasGradients = false
  // Of the step at work.
  private var phase = Phase.gather
  private var total = 0.0
  /// Whether it ends with an update.
  private var updates = true
  private var prepared = lstm_update()

  /// `hold` keeps the gradients for a later update.
  private enum Phase { case gather, hold, update, constrain, pack }

  private struct Slice {
    /// The place of its parameter among those of the plan.
    let entry: Int
    let offset: Int
    let count: Int
    /// The stage of a table whose gradient is sparse, and rows of it.
    let table: Int?
    let rows: Range<Int>
    /// Where its state begins.
    let statePlace: Int
  }

  /// What holds the parameters in check beside the optimizer.
  private struct Regulation {
    /// The penalty of each slice; nil: there is none.
    let penalties: Buffer?
    /// The places of the parameters with a constraint, and where the scratch of each begins.
    let constrained: [(entry: Int, scratch: Int)]
    /// Of constraints and of an optimizer that needs it.
    let scratch: Buffer
  }

  private struct Packing {
    let stage: Int
    let piece: Int
    let pieces: Int
  }

  private init(
    _ model: Model, _ compilation: Compilation, _ workers: Workers, _ slices: [Slice], _ sums: Buffer,
    _ regulation: Regulation, _ packings: [Packing], _ supply: Supply
  ) {
    (self.model, self.compilation, self.workers, self.supply) = (model, compilation, workers, supply)
    (self.slices, self.sums, self.regulation, self.packings) = (slices, sums, regulation, packings)
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
    let slices = try makeSlices(model, compilation.optimizer)
    if slices.isEmpty { throw .argument("model: expected trainable parameters, got none") }
    let sums = try Buffer.make(model.allocator, slices.count + 2 * model.plan.entries.count, of: Double.self)
    let regulation = try makeRegulation(model, compilation.optimizer, slices: slices.count)
    let packings = try makePackings(model)
    try makeSlots(model, compilation.optimizer)
    try model.prepareBackward()
    try Memory.check()
    let supply = try Supply.make()
    compilation.optimizer.serveAverage(false, model)
    return Trainer(model, compilation, workers, slices, sums, regulation, packings, supply)
  }

  /// So many floats of weights, gradient and optimizer state stay in a core's own cache.
  private static let sliceCount = 1 << 14

  private static func makeSlices(_ model: Model, _ optimizer: Optimizer) throws(LSTMError) -> [Slice] {
    var slices: [Slice] = []
    let whole = optimizer.updatesWholeParameters
    for (i, entry) in model.plan.entries.enumerated() where entry.isTrainable && entry.count > 0 {
      let table = model.sparseStage(of: entry)
      let width = table != nil ? entry.shape[1] : 1
      // All tokens are looked through for each slice of a table.
      let step = whole ? entry.count : table != nil ? (entry.shape[0] + 7) / 8 : sliceCount
      for row in stride(from: 0, to: entry.count / width, by: step) {
        let rows = row..<min(entry.count / width, row + step)
        let slice = Slice(
          entry: i, offset: entry.offset + row * width, count: rows.count * width, table: table, rows: rows,
          statePlace: whole ? optimizer.statePlace(i, model.plan) : entry.offset + row * width)
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

  private static func makeRegulation(
    _ model: Model, _ optimizer: Optimizer, slices: Int
  ) throws(LSTMError) -> Regulation {
    var constrained: [(entry: Int, scratch: Int)] = []
    var scratch = 0
    var hasPenalty = false
    for (i, entry) in model.plan.entries.enumerated() where entry.isTrainable {
      hasPenalty = hasPenalty || entry.penalty != nil
      guard let constraint = entry.constraint else { continue }
      try Memory.append((entry: i, scratch: scratch), to: &constrained)
      scratch = try Size.sum(scratch, constraint.scratchCount(entry.shape))
    }
    if optimizer.updatesWholeParameters {
      scratch = max(scratch, try Size.product(2, optimizer.statePlace(model.plan.entries.count, model.plan)))
    }
    return Regulation(
      penalties: hasPenalty ? try Buffer.make(model.allocator, slices, of: Double.self) : nil,
      constrained: constrained, scratch: try Buffer.make(model.allocator, scratch, of: Float.self))
  }

  private static func makeSlots(_ model: Model, _ optimizer: Optimizer) throws(LSTMError) {
    var slots = model.training.slots
    let lengths = try optimizer.slotLengths(model.plan)
    while slots.count < lengths.count {
      let buffer = try Buffer.make(model.allocator, lengths[slots.count], of: Float.self)
      buffer.floats.update(repeating: optimizer.initialSlotValue(slots.count), count: lengths[slots.count])
      try Memory.append(buffer, to: &slots)
    }
    model.training.slots = slots
  }

  /// From the next step on.
  public func setLearningRate(_ rate: Double) throws(LSTMError) {
    try model.setLearningRate(rate, compilation.optimizer)
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
  /// - Returns: the loss before the update. Where states are carried and there is nothing but padding, there is none.
  func step(_ reader: ExampleReader, _ rows: Rows, metrics: Bool) throws(LSTMError) -> Double {
    // Moments and states that die away would become denormal numbers, which many processors are slow with.
    let mode = shim_flush_denormals()
    defer { shim_restore_float_mode(mode) }
    hasGradients = false
    var loss = try pass.run(reader, rows, carried)
    if carried != nil, counted == 0 { return 0 }
    guard loss.isFinite else { throw .diverged("training: expected a finite loss, got \(numberSpoken(loss))") }
    if metrics { pass.countMetrics() }
    let optimizer = compilation.optimizer
    let step = model.training.step + 1
    updates = step % UInt64(optimizer.accumulation) == 0
    make(.gather, slices.count)
    total = sumSlices()
    loss += penalty
    guard total.isFinite else { throw .diverged("training: expected finite gradients, got a number that is not") }
    try Memory.check()
    carried?.keep()
    model.training.step = step
    pass.shards.first?.run.adjustWeights()
    if updates {
      prepared = optimizer.prepare(step: update, rate: model.training.learningRate)
      make(.update, slices.count)
      make(.constrain, regulation.constrained.count)
      model.noteChange()
      make(.pack, packings.count)
    } else {
      make(.hold, slices.count)
    }
    if optimizer.isScheduled { model.training.learningRate = optimizer.schedule.rate(after: step) }
    hasGradients = true
    return loss
  }

  /// From the next step on, whether each one's sequences go on from those of the step before, with their states.
  public func setCarry(_ carries: Bool) throws(LSTMError) {
    if !carries { carried = nil } else if carried == nil { carried = try CarriedStates.make(model) }
  }

  /// From the next step on other sequences begin. Returns whether there are states to carry.
  public func resetStates() -> Bool {
    carried?.reset()
    return carried != nil
  }

  /// Elements of the last step's outputs that are no padding.
  var counted: Int { pass.counted }

  /// Of the last step, of the output `i - 1`, without its weight.
  func loss(of i: Int) -> Double { pass.losses[i] }

  private func make(_ phase: Phase, _ items: Int) {
    self.phase = phase
    workers.share(items, self)
  }

  /// The number of the last update.
  private var update: UInt64 { model.training.step / UInt64(compilation.optimizer.accumulation) }

  /// What the weights cost, as they were in the pass.
  private var penalty: Double {
    guard let penalties = regulation.penalties?.pointer(to: Double.self) else { return 0 }
    var sum = 0.0
    for i in 0..<slices.count { sum += penalties[i] }
    return sum
  }

  private func numberSpoken(_ x: Double) -> String { x.isNaN ? "nan" : x > 0 ? "infinity" : "-infinity" }

  private var sliceSums: UnsafeMutablePointer<Double> { sums.pointer(to: Double.self) }
  private var parameterSums: UnsafeMutablePointer<Double> { sliceSums + slices.count }

  /// The norm of the gradient of each parameter at the last step, before clipping; when `hasGradients`.
  public var gradientNorms: UnsafeBufferPointer<Double> {
    let count = model.plan.entries.count
    return UnsafeBufferPointer(start: UnsafePointer(parameterSums + count), count: count)
  }

  /// Makes the sums of the parameters from those of their slices; the sum of all.
  private func sumSlices() -> Double {
    let (count, parameterSums) = (model.plan.entries.count, parameterSums)
    for entry in 0..<count { parameterSums[entry] = 0 }
    var total = 0.0
    for (i, slice) in slices.enumerated() {
      parameterSums[slice.entry] += sliceSums[i]
      total += sliceSums[i]
    }
    for entry in 0..<count { parameterSums[count + entry] = parameterSums[entry].squareRoot() }
    return total
  }

  /// The gradients of the batch.
  private var gradients: MutableFloats? { pass.shards.first?.gradients }

  public override func run(_ item: Int, of count: Int) {
    guard let gradients else { return }
    switch phase {
    case .gather: gather(slices[item], into: gradients, item)
    case .hold:
      let slice = slices[item]
      if let held = held(slice) { model.kernels.add(slice.count, Floats(gradients + slice.offset), to: held) }
    case .update: update(slices[item], gradients)
    case .constrain:
      let (entry, scratch) = regulation.constrained[item]
      let parameter = model.plan.entries[entry]
      parameter.constraint?.apply(
        model.parameters.floats + parameter.offset, parameter.shape, count: parameter.count,
        scratch: regulation.scratch.floats + scratch, model.kernels)
    case .pack:
      let packing = packings[item]
      model.repack(stage: packing.stage, Part(packing.piece, of: packing.pieces, nil))
    }
  }

  /// Adds up what the shards have, in their order.
  private func gather(_ slice: Slice, into gradients: MutableFloats, _ i: Int) {
    let own = gradients + slice.offset
    if let table = slice.table {
      own.clear(slice.count)
      for shard in pass.shards { shard.run.addSparseGradient(table, slice.rows, gradients: gradients) }
    } else {
      for shard in pass.shards.dropFirst() {
        guard let other = shard.gradients else { continue }
        model.kernels.add(slice.count, other + slice.offset, to: own)
      }
    }
    if let penalties = regulation.penalties {
      penalties.pointer(to: Double.self)[i] =
        model.plan.entries[slice.entry].penalty.map {
          model.kernels.penalty(
            slice.count, l1: $0.l1, l2: $0.l2, Floats(model.parameters.floats + slice.offset), addingTo: own)
        } ?? 0
    }
    if updates, let held = held(slice) {
      model.kernels.add(slice.count, Floats(held), to: own)
      model.kernels.scale(slice.count, by: 1 / Float(compilation.optimizer.accumulation), own)
    }
    sliceSums[i] = model.kernels.sumOfSquares(slice.count, own)
  }

  /// The gradients of batches since the last update.
  private func held(_ slice: Slice) -> MutableFloats? {
    compilation.optimizer.accumulatorSlot.map { model.training.slots[$0].floats + slice.offset }
  }

  private func update(_ slice: Slice, _ gradients: MutableFloats) {
    let gradient = Gradient(values: gradients + slice.offset, count: slice.count)
    let optimizer = compilation.optimizer
    gradient.clip(
      optimizer.clipping, total: total, parameter: parameterSums[slice.entry], model.kernels)
    let weights = model.parameters.floats + slice.offset
    if optimizer.updatesWholeParameters {
      optimizer.adafactor.update(
        model.plan.entries[slice.entry], weights, Floats(gradient.values),
        state: model.training.slots[0].floats + slice.statePlace,
        scratch: regulation.scratch.floats + 2 * slice.statePlace, step: update, rate: model.training.learningRate,
        weightDecay: Double(prepared.decay), model.kernels)
    } else {
      var places = InlineArray<3, MutableFloats?>(repeating: nil)
      for i in 0..<optimizer.ruleSlots { places[i] = model.training.slots[i].floats + slice.statePlace }
      optimizer.update(
        ParameterUpdate(count: slice.count, weights: weights, gradient: Floats(gradient.values), slots: places),
        prepared, model.kernels)
    }
    if let slot = optimizer.averageSlot {
      optimizer.averaging.add(
        update, slice.count, weights, to: model.training.slots[slot].floats + slice.offset, model.kernels)
    }
    held(slice)?.clear(slice.count)
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
    let reader = try ExampleReader.make(model, examples, compilation.goals)
    self.reader = reader
    return reader
  }

  /// The gradient of a parameter at the last step; when `hasGradients`.
  public func gradient(of parameter: Parameter) -> UnsafePointer<Float> {
    UnsafePointer((gradients ?? MutableFloats(bitPattern: 64)!) + parameter.offset)
  }
}
