internal import LSTMKernels
internal import LSTMLayers
public import LSTMModels
public import LSTMTensors

/// A batch's way through the model to its loss, and back if gradients are wanted, by as many workers as there are.
final class BatchPass: TeamWork {
  /// A part of the batch with all it needs.
  final class Shard {
    let run: Run
    let targets = BatchTargets()
    /// Where its gradients are added; those of all parameters, but a sparse one's are not used.
    let gradients: Buffer?

    fileprivate init(_ run: Run, _ gradients: Buffer?) { (self.run, self.gradients) = (run, gradients) }
  }

  private let model: Model
  private let compilation: Compilation
  private let workers: Workers
  private let trains: Bool
  private var kept: [Shard] = []
  private var division: Division

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
    try reader.feed.begin(rows)
    division = Division(model, rows: rows.count)
    while kept.count < division.parts { try Memory.append(try makeShard(kept.count), to: &kept) }
    var counted = 0
    for (i, shard) in shards.enumerated() {
      let range = division.range(i, of: rows.count)
      try reader.feed.load(range, into: shard.run, requiresFinite: trains)
      let output = shard.run.layOut(to: compilation.lossStage)
      counted += try reader.load(range, for: output, into: shard.targets)
    }
    for shard in shards { shard.targets.divideWeights(by: counted) }
    workers.start(model, rows: rows.count, steps: shards[0].run.steps)
    if division.isTogether { workers.together(self) } else { workers.share(division.parts, self) }
    var loss = 0.0
    for shard in shards { loss += shard.targets.loss }
    return loss
  }

  private func makeShard(_ number: Int) throws(LSTMError) -> Shard {
    let gradients = trains ? try Buffer.make(model.allocator, model.plan.count, of: Float.self) : nil
    return Shard(try Run.make(model, trains ? .train : .predict, number: number), gradients)
  }

  /// One shard, or one worker's share of the only one.
  override func run(_ item: Int, of count: Int) {
    let shard = kept[division.isTogether ? 0 : item]
    let part = division.isTogether ? Part(item, of: count, workers.team) : .whole
    let (run, end) = (shard.run, compilation.lossStage)
    if let gradients = shard.gradients {
      let own = part.range(of: model.plan.count - sparseCount, by: 16)
      (gradients.floats + sparseCount + own.lowerBound).clear(own.count)
    }
    let output = run.forward(to: end, part)
    shard.targets.evaluate(
      output, compilation, gradient: trains ? run.outputGradient : nil, model.kernels, part)
    guard let gradients = shard.gradients else { return }
    part.meet()
    run.backward(to: end, gradients: gradients.floats, part)
  }

  /// Adds the batch to the metrics, running the stages that the loss did without.
  func countMetrics() {
    if compilation.metrics.isEmpty { return }
    for shard in shards {
      let output = shard.run.forward(from: compilation.lossStage)
      let targets = shard.targets
      for metric in compilation.metrics {
        metric.update(
          outputs: Floats(output.values), targets: targets.targets(compilation.loss), elements: targets.elements,
          width: output.count / max(1, targets.elements), mask: Floats(targets.mask))
      }
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
  static func append(
    to columns: Columns, _ model: Model, _ compilation: Compilation, _ source: BatchSource, _ workers: Workers,
    validation: Bool
  ) throws(LSTMError) {
    let pass = BatchPass(model, compilation, workers, trains: false)
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
    try append(
      to: columns, model, compilation, source, Workers(threads: threads, areKept: false), validation: false)
    try Memory.check()
    return columns
  }
}
