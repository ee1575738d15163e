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
    let targets = BatchTargets()
    private let memory: Buffer?
    /// Parameters that it has no gradients of: sparse ones, which the first shard's stand for.
    private let skipped: Int

    fileprivate init(_ run: Run, _ memory: Buffer?, skipped: Int) {
      (self.run, self.memory, self.skipped) = (run, memory, skipped)
    }

    /// Where its gradients are added, laid out as the parameters.
    var gradients: MutableFloats? { memory.map { $0.floats - skipped } }
  }

  private let model: Model
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
  // Of the batch at work.
  private var feed: Feed?
  private var rowCount = 0
  private let hasOddNumbers = Atomic(false)

  init(_ model: Model, _ compilation: Compilation, _ workers: Workers, trains: Bool) {
    (self.model, self.compilation, self.workers, self.trains) = (model, compilation, workers, trains)
    division = Division(model, rows: 0)
  }

  /// The parts of the batch that was run last.
  var shards: ArraySlice<Shard> { kept[..<division.parts] }

  /// Floats at the start of all parameters whose gradient is sparse.
  var sparseCount: Int {
    let first = model.stages[model.firstStage]
    return first.hasSparseGradient && first.parameters.count == 1
      ? first.parameters[0].offset + first.parameters[0].count : 0
  }

  /// - Returns: the loss.
  func run(_ reader: ExampleReader, _ rows: Rows) throws(LSTMError) -> Double {
    (feed, rowCount) = (reader.feed, rows.count)
    hasOddNumbers.store(false, ordering: .relaxed)
    try reader.feed.begin(rows)
    division = Division(model, rows: rows.count, training: trains)
    while kept.count < division.parts { try addShard() }
    var (counted, scratchCount) = (0, 0)
    for (i, shard) in shards.enumerated() {
      let range = division.range(i, of: rows.count)
      try reader.feed.load(range, into: shard.run)
      let output = shard.run.layOut()
      counted += try reader.load(range, for: output, into: shard.targets)
      try shard.targets.prepareChain(compilation.chain, model, rows: output.batch)
      let tokens = max(output.steps, shard.targets.labels?.room ?? 0)
      for metric in compilation.metrics { try metric.prepare(steps: tokens) }
      scratchCount = max(scratchCount, shard.run.scratchCount)
    }
    for shard in shards { shard.targets.divideWeights(by: counted) }
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
    var loss = 0.0
    for shard in shards { loss += shard.targets.loss }
    return loss
  }

  private func addShard() throws(LSTMError) {
    if scratches.isEmpty { try Memory.append(Scratch(), to: &scratches) }
    let run = try Run.make(
      model, trains ? .train : .predict, number: kept.count, to: compilation.lossStage, in: scratches[0])
    let skipped = kept.isEmpty ? 0 : sparseCount / 16 * 16
    let gradients = trains ? try Buffer.make(model.allocator, model.plan.count - skipped, of: Float.self) : nil
    try Memory.append(Shard(run, gradients, skipped: skipped), to: &kept)
  }

  /// One for each worker, and each large enough for any shard.
  private func prepareScratches(_ count: Int) throws(LSTMError) {
    let needed = min(division.parts, workers.team?.workers ?? 1)
    while scratches.count < needed { try Memory.append(Scratch(), to: &scratches) }
    for scratch in scratches { try scratch.prepare(count, model.allocator) }
  }

  private func prepareLossMemory() throws(LSTMError) {
    guard let loss = compilation.loss as? SequenceLoss else { return }
    lossMemoryCount = 0
    for shard in shards { lossMemoryCount = max(lossMemoryCount, shard.targets.memoryCount(loss, shard.run.output)) }
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
    if let gradients = shard.gradients {
      let own = part.range(of: model.plan.count - sparseCount, by: 16)
      (gradients + sparseCount + own.lowerBound).clear(own.count)
    }
    if let feed, !feed.fill(rows, shard.run, part), trains { hasOddNumbers.store(true, ordering: .relaxed) }
    part.meet()
    let output = shard.run.forward(part)
    shard.targets.evaluate(
      output, compilation, gradient: trains ? shard.run.outputGradient : nil, model.kernels, memory: memory, part)
    guard let gradients = shard.gradients else { return }
    part.meet()
    shard.targets.chain?.addGradients(to: gradients, part)
    shard.run.backward(gradients: gradients, part)
  }

  /// Adds the batch to the metrics, running the stages that the loss did without.
  func countMetrics() {
    if compilation.metrics.isEmpty { return }
    forEachInput { input in
      for metric in compilation.metrics { metric.update(input) }
    }
  }

  /// What metrics read of each part of the batch.
  func forEachInput(_ body: (MetricInput) -> Void) {
    for shard in shards {
      body(
        shard.targets.metricInput(
          shard.run.forward(from: compilation.lossStage, to: model.stages.count), compilation.loss, model.kernels))
    }
  }
}

extension Model {
  /// What the weights cost.
  fileprivate var penalty: Double {
    var sum = 0.0
    for entry in plan.entries {
      guard let penalty = entry.penalty else { continue }
      sum += kernels.penalty(
        entry.count, l1: penalty.l1, l2: penalty.l2, Floats(parameters.floats + entry.offset), addingTo: nil)
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
    var total = 0.0
    var (batch, samples) = (0, 0)
    while let (reader, rows) = try source.next(batch: batch, sample: samples) {
      total += try pass.run(reader, rows) * Double(rows.count)
      pass.countMetrics()
      batch += 1
      samples += rows.count
    }
    if samples == 0 { throw .argument("source: expected at least one batch, got none") }
    columns.append(validation ? "val_loss" : "loss", total / Double(samples) + model.penalty)
    for metric in compilation.metrics { columns.append(validation ? metric.valName : metric.name, metric.result) }
  }

  /// For the outputs of a compiled model.
  public static func confusionMatrix(_ model: Model) throws(LSTMError) -> ConfusionMatrix {
    try ConfusionMatrix.make(try Compilation.current(model).loss, outputWidth: model.outputShape.last)
  }

  /// Counts all that is no padding.
  public static func fill(
    _ matrix: ConfusionMatrix, _ model: Model, _ examples: Examples, batchSize: Int, threads: Int
  ) throws(LSTMError) {
    let compilation = try Compilation.current(model)
    let reader = try ExampleReader.make(model, examples, compilation.loss)
    let pass = BatchPass(model, compilation, Workers(threads: threads, areKept: false), trains: false)
    for first in stride(from: 0, to: examples.count, by: batchSize) {
      _ = try pass.run(reader, Rows(first: first, count: min(batchSize, examples.count - first)))
      pass.forEachInput { matrix.update($0) }
    }
    try Memory.check()
  }

  public static func evaluate(
    _ model: Model, _ examples: Examples, batchSize: Int, threads: Int
  ) throws(LSTMError) -> Columns {
    let compilation = try Compilation.current(model)
    let source = try ArraySource.make(model, examples, compilation.loss, batchSize: batchSize)
    return try evaluate(model, compilation, source, threads: threads)
  }

  /// The same with batches that are made one by one.
  public static func evaluate(_ model: Model, _ source: CalledSource, threads: Int) throws(LSTMError) -> Columns {
    let compilation = try Compilation.current(model)
    source.prepare(model, compilation.loss)
    return try evaluate(model, compilation, source, threads: threads)
  }

  private static func evaluate(
    _ model: Model, _ compilation: Compilation, _ source: BatchSource, threads: Int
  ) throws(LSTMError) -> Columns {
    let columns = try Columns.make()
    let pass = BatchPass(model, compilation, Workers(threads: threads, areKept: false), trains: false)
    try append(to: columns, model, compilation, source, pass, validation: false)
    try Memory.check()
    return columns
  }
}
