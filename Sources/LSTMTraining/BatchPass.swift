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
      for metric in compilation.metrics { try metric.prepare(steps: output.steps) }
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
    forEachInput { input in
      for metric in compilation.metrics { metric.update(input) }
    }
  }

  /// What metrics read of each part of the batch.
  func forEachInput(_ body: (MetricInput) -> Void) {
    for shard in shards {
      body(
        shard.targets.metricInput(
          shard.run.forward(from: compilation.lossStage), compilation.loss, model.kernels))
    }
  }
}

/// Loss and metrics on data, without training.
public enum Evaluation {
  /// Appends the loss and metrics of all examples; with `validation`, under their names of validation data.
  static func append(
    to columns: Columns, _ model: Model, _ compilation: Compilation, _ examples: Examples, batchSize: Int,
    _ workers: Workers, validation: Bool
  ) throws(LSTMError) {
    let reader = try ExampleReader.make(model, examples, compilation.loss)
    let pass = BatchPass(model, compilation, workers, trains: false)
    for metric in compilation.metrics { metric.reset() }
    var total = 0.0
    for first in stride(from: 0, to: examples.count, by: batchSize) {
      let rows = Rows(first: first, count: min(batchSize, examples.count - first))
      total += try pass.run(reader, rows) * Double(rows.count)
      pass.countMetrics()
    }
    columns.append(validation ? "val_loss" : "loss", total / Double(examples.count))
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
    let columns = try Columns.make()
    try append(
      to: columns, model, try Compilation.current(model), examples, batchSize: batchSize,
      Workers(threads: threads, areKept: false), validation: false)
    try Memory.check()
    return columns
  }
}
