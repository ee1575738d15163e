internal import LSTMKernels
internal import LSTMLayers
public import LSTMModels
public import LSTMTensors
internal import Synchronization

/// A batch's way through the model to its loss, and back if gradients are wanted, by as many workers as there are.
final class BatchPass: TeamWork {
  /// A part of the batch with all it needs.
  final class Shard {
    let run: Run
    /// One for each output.
    let targets: [BatchTargets]
    private let memory: Buffer?
    /// Parameters that it has no gradients of: a sparse one, which the first shard's stand for.
    private let skipped: Int

    fileprivate init(_ run: Run, _ targets: [BatchTargets], _ memory: Buffer?, skipped: Int) {
      (self.run, self.targets, self.memory, self.skipped) = (run, targets, memory, skipped)
    }

    /// Where its gradients are added, laid out as the parameters.
    var gradients: MutableFloats? { memory.map { $0.floats - skipped } }
  }

  private let model: Model
  /// What it reads: the model's, or those that the call has pinned.
  let weights: Weights
  private let compilation: Compilation
  private let workers: Workers
  private let trains: Bool
  private var kept: [Shard] = []
  /// Of the passes that go on at once.
  private var scratches: [Scratch] = []
  /// What a loss of rows needs, for each worker that may be at work at once.
  private var lossMemory: Buffer?
  private var lossMemoryCount = 0
  private var division: Division
  /// Of the batch that was run last: the loss, and that of each output.
  let losses = List<Double>()
  /// Of all batches of an evaluation: the sums of these.
  let totals = List<Double>()
  /// Of the batch that was run last: elements that count, of all outputs.
  private(set) var counted = 0
  // Of the batch at work.
  private var feed: Feed?
  private var rowCount = 0
  private let hasOddNumbers = Atomic(false)

  init(
    _ model: Model, _ compilation: Compilation, _ workers: Workers, trains: Bool, pinned: PinnedWeights? = nil
  ) {
    (self.model, self.compilation, self.workers, self.trains) = (model, compilation, workers, trains)
    weights = pinned?.weights ?? model.currentWeights
    division = Division(model, rows: 0)
  }

  /// The parts of the batch that was run last.
  var shards: ArraySlice<Shard> { kept[..<division.parts] }

  /// Floats at the start of all parameters whose gradient is sparse.
  private var sparseCount: Int {
    guard let first = model.plan.entries.first, model.sparseStage(of: first) != nil else { return 0 }
    return first.count
  }

  /// - Parameter carried: the states of sequences of which this is a chunk.
  /// - Returns: the loss.
  func run(_ reader: ExampleReader, _ rows: Rows, _ carried: CarriedStates? = nil) throws(LSTMError) -> Double {
    (feed, rowCount) = (reader.feed, rows.count)
    hasOddNumbers.store(false, ordering: .relaxed)
    try reader.feed.begin(rows)
    division = Division(model, rows: rows.count, training: trains)
    while kept.count < division.parts { try addShard() }
    try carried?.begin(rows: rows.count)
    var scratchCount = 0
    counted = 0
    for (i, shard) in shards.enumerated() {
      let range = division.range(i, of: rows.count)
      try reader.feed.load(range, into: shard.run)
      shard.run.layOut()
      shard.run.carried = nil
      try carried?.load(range, of: reader.feed, into: shard.run)
      scratchCount = max(scratchCount, shard.run.scratchCount)
    }
    for (i, goal) in compilation.goals.enumerated() { try load(reader, rows.count, output: i, goal) }
    if carried != nil, counted == 0 { return 0 }
    workers.start(model, rows: rows.count, steps: shards[0].run.steps)
    try prepareLossMemory()
    if division.isTogether {
      workers.together(self)
    } else {
      try prepareScratches(scratchCount)
      workers.share(division.parts, self)
    }
    if hasOddNumbers.load(ordering: .relaxed) {
      for (i, shard) in shards.enumerated() {
        try reader.feed.checkFinite(division.range(i, of: rows.count), shard.run)
      }
    }
    return try sumLosses()
  }

  /// Reads the targets of an output for all shards.
  private func load(_ reader: ExampleReader, _ rows: Int, output: Int, _ goal: Goal) throws(LSTMError) {
    var counted = 0
    for (i, shard) in shards.enumerated() {
      let signal = shard.run.output(output)
      counted += try reader.load(division.range(i, of: rows), output, for: signal, into: shard.targets[output])
      try shard.targets[output].prepareChain(goal.chain, shard.run, rows: signal.batch)
      let tokens = max(signal.steps, shard.targets[output].labels?.room ?? 0)
      for metric in goal.metrics { try metric.prepare(steps: tokens) }
    }
    for shard in shards { shard.targets[output].divideWeights(by: counted) }
    self.counted += counted
  }

  /// Adds up those of the shards and then, by their weights, those of the outputs.
  private func sumLosses() throws(LSTMError) -> Double {
    losses.removeAll()
    try losses.append(0)
    for (i, goal) in compilation.goals.enumerated() {
      var loss = 0.0
      for shard in shards { loss += shard.targets[i].loss }
      losses[0] += goal.weight == 1 ? loss : Double(goal.weight) * loss
      try losses.append(loss)
    }
    return losses[0]
  }

  private func addShard() throws(LSTMError) {
    if scratches.isEmpty { try Memory.append(Scratch(), to: &scratches) }
    let deferred = List<Bool>()
    var targets: [BatchTargets] = []
    for goal in compilation.goals {
      try deferred.append(goal.isFused || goal.chain != nil)
      try Memory.append(BatchTargets(), to: &targets)
    }
    defer { withExtendedLifetime(deferred) {} }
    let run = try Run.make(
      model, trains ? .train : .predict, number: kept.count, deferred: deferred.elements, in: scratches[0])
    run.weights = weights
    let skipped = kept.isEmpty ? 0 : sparseCount / 16 * 16
    let gradients = trains ? try Buffer.make(model.allocator, model.plan.count - skipped, of: Float.self) : nil
    try Memory.append(Shard(run, targets, gradients, skipped: skipped), to: &kept)
  }

  /// One for each worker, and each large enough for any shard.
  private func prepareScratches(_ count: Int) throws(LSTMError) {
    let needed = min(division.parts, workers.team?.workers ?? 1)
    while scratches.count < needed { try Memory.append(Scratch(), to: &scratches) }
    for scratch in scratches { try scratch.prepare(count, model.allocator) }
  }

  private func prepareLossMemory() throws(LSTMError) {
    lossMemoryCount = 0
    for (i, goal) in compilation.goals.enumerated() {
      guard let loss = goal.loss as? SequenceLoss else { continue }
      for shard in shards {
        lossMemoryCount = max(lossMemoryCount, shard.targets[i].memoryCount(loss, shard.run.output(i)))
      }
    }
    if lossMemoryCount == 0 { return }
    let needed = try Size.product(lossMemoryCount, workers.team?.workers ?? 1)
    if (lossMemory?.byteCount ?? 0) / MemoryLayout<Float>.stride >= needed { return }
    lossMemory = nil
    lossMemory = try Buffer.make(model.allocator, needed, of: Float.self)
  }

  private func lossMemory(_ worker: Int) -> MutableFloats {
    (lossMemory?.floats ?? MutableFloats(bitPattern: 64)!) + worker * lossMemoryCount
  }

  /// There are as many as workers, so one is free: its number.
  private func claimScratch() -> Int {
    while true {
      for i in 0..<scratches.count where scratches[i].claim() { return i }
    }
  }

  /// One shard, or one worker's share of the only one.
  override func run(_ item: Int, of count: Int) {
    if division.isTogether {
      return run(kept[0], 0..<rowCount, memory: lossMemory(item), Part(item, of: count, workers.team))
    }
    let claimed = claimScratch()
    kept[item].run.move(to: scratches[claimed])
    run(kept[item], division.range(item, of: rowCount), memory: lossMemory(claimed), .whole)
    scratches[claimed].release()
  }

  /// - Parameter rows: those of the batch that are the shard's.
  private func run(_ shard: Shard, _ rows: Range<Int>, memory: MutableFloats, _ part: Part) {
    if let gradients = shard.gradients { clear(gradients, part) }
    if let feed, !feed.fill(rows, shard.run, part), trains { hasOddNumbers.store(true, ordering: .relaxed) }
    part.meet()
    shard.run.forward(part)
    for (i, goal) in compilation.goals.enumerated() {
      shard.targets[i].evaluate(
        shard.run.output(i), goal, gradient: trains ? shard.run.outputGradient(i) : nil, model.kernels,
        memory: memory, part)
    }
    guard let gradients = shard.gradients else { return }
    part.meet()
    for targets in shard.targets { targets.chain?.addGradients(to: gradients, part) }
    shard.run.backward(gradients: gradients, part)
  }

  /// A worker's share of the gradients, but for those of tables, which are made anew where they are added up.
  private func clear(_ gradients: MutableFloats, _ part: Part) {
    let (first, entries) = (sparseCount, model.plan.entries)
    let own = part.range(of: model.plan.count - first, by: 16)
    let (lower, upper) = (first + own.lowerBound, first + own.upperBound)
    var place = lower
    for entry in entries where entry.offset >= first && model.sparseStage(of: entry) != nil {
      let end = min(upper, entry.offset)
      if end > place { (gradients + place).clear(end - place) }
      place = max(place, entry.offset + entry.count)
    }
    if upper > place { (gradients + place).clear(upper - place) }
  }

  /// Adds the batch to the metrics, running the stages that the loss did without.
  func countMetrics() {
    for (i, goal) in compilation.goals.enumerated() where !goal.metrics.isEmpty {
      forEachInput(of: i) { input in
        for metric in goal.metrics { metric.update(input) }
      }
    }
  }

  /// What metrics of an output read of each part of the batch.
  func forEachInput(of output: Int, _ body: (MetricInput) -> Void) {
    for shard in shards {
      body(
        shard.targets[output].metricInput(
          shard.run.finish(output), compilation.goals[output].loss, model.kernels))
    }
  }
}

extension Model {
  /// The stage whose table, with a sparse gradient, a parameter is.
  func sparseStage(of parameter: Parameter) -> Int? {
    stages.firstIndex { $0.hasSparseGradient && $0.parameters[0].offset == parameter.offset }
  }

  /// What the weights cost.
  fileprivate func penalty(_ weights: Weights) -> Double {
    var sum = 0.0
    for entry in plan.entries {
      guard let penalty = entry.penalty else { continue }
      sum += kernels.penalty(
        entry.count, l1: penalty.l1, l2: penalty.l2, Floats(weights.parameters.floats + entry.offset),
        addingTo: nil)
    }
    return sum
  }
}

/// Loss and metrics on data, without training.
public enum Evaluation {
  /// Appends the loss and metrics of all batches; with `validation`, under their names of validation data.
  ///
  /// - Parameter pass: one that does not train.
  static func append(
    to columns: Columns, _ model: Model, _ compilation: Compilation, _ source: BatchSource, _ pass: BatchPass,
    validation: Bool
  ) throws(LSTMError) {
    for metric in compilation.metrics { metric.reset() }
    source.begin(epoch: model.training.epoch)
    let totals = pass.totals
    totals.removeAll()
    for _ in 0...compilation.goals.count { try totals.append(0) }
    var (batch, samples) = (0, 0)
    while let (reader, rows) = try source.next(batch: batch, sample: samples) {
      _ = try pass.run(reader, rows)
      for i in 0..<totals.count { totals[i] += pass.losses[i] * Double(rows.count) }
      pass.countMetrics()
      batch += 1
      samples += rows.count
    }
    if samples == 0 { throw .argument("source: expected at least one batch, got none") }
    for i in 0..<totals.count { totals[i] /= Double(samples) }
    totals[0] += model.penalty(pass.weights)
    columns.append(compilation, UnsafePointer(totals.start), validation: validation)
  }

  /// For the outputs of a compiled model.
  public static func confusionMatrix(_ model: Model) throws(LSTMError) -> ConfusionMatrix {
    try model.checkSingle("model")
    return try ConfusionMatrix.make(try Compilation.current(model).loss, outputWidth: model.outputShape.last)
  }

  /// Counts all that is no padding.
  public static func fill(
    _ matrix: ConfusionMatrix, _ model: Model, _ examples: Examples, batchSize: Int, threads: Int
  ) throws(LSTMError) {
    let compilation = try Compilation.current(model)
    let reader = try ExampleReader.make(model, examples, compilation.goals)
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    let pass = BatchPass(
      model, compilation, Workers(threads: threads, areKept: false), trains: false, pinned: pinned)
    for first in stride(from: 0, to: examples.count, by: batchSize) {
      _ = try pass.run(reader, Rows(first: first, count: min(batchSize, examples.count - first)))
      pass.forEachInput(of: 0) { matrix.update($0) }
    }
    try Memory.check()
  }

  public static func evaluate(
    _ model: Model, _ examples: Examples, batchSize: Int, threads: Int
  ) throws(LSTMError) -> Columns {
    let compilation = try Compilation.current(model)
    let source = try ArraySource.make(model, examples, compilation.goals, batchSize: batchSize)
    return try evaluate(model, compilation, source, threads: threads)
  }

  /// The same with batches that are made one by one.
  public static func evaluate(_ model: Model, _ source: CalledSource, threads: Int) throws(LSTMError) -> Columns {
    let compilation = try Compilation.current(model)
    try source.prepare(model, compilation.goals)
    return try evaluate(model, compilation, source, threads: threads)
  }

  private static func evaluate(
    _ model: Model, _ compilation: Compilation, _ source: BatchSource, threads: Int
  ) throws(LSTMError) -> Columns {
    let columns = try Columns.make()
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    let pass = BatchPass(
      model, compilation, Workers(threads: threads, areKept: false), trains: false, pinned: pinned)
    try append(to: columns, model, compilation, source, pass, validation: false)
    try Memory.check()
    return columns
  }
}
