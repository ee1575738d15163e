internal import CLSTMShim
internal import LSTMKernels
public import LSTMModels
public import LSTMTensors

/// How to train: the settings of one call.
public struct FitOptions {
  public var batchSize = 32
  public var epochs = 1
  /// Workers, the caller among them; 0: as many as help.
  public var threads = 0
  public var shuffles = true
  /// Of the shuffling; nil: the model's.
  public var seed: UInt64?
  /// The last share of the samples, kept for validation.
  public var validationSplit = 0.0
  public var validation: Examples?
  public var earlyStopping: EarlyStopping?
  public var plateau: Plateau?
  /// Timesteps of the chunks in which sequences are trained on; 0: whole.
  public var bpttSteps = 0
  /// Go on in the middle of the epoch in which training was saved or stopped.
  public var resumes = false
  /// Batches between two calls of `progress`; 0: only for epochs.
  public var progressBatches = 1
  /// Asked to stop by a result of false.
  public var progress: ((Progress) -> Bool)?
  public var log: ((LogLevel, String) -> Void)?
  /// Called when everything has been checked.
  public var begin: (() -> Void)?
  /// Called with the figures of each epoch, after it.
  public var record: ((Columns) -> Void)?

  public init() {}
}

public enum LogLevel { case debug, info, warning }

/// Where training is.
public struct Progress {
  public enum Event { case trainBegin, epochBegin, batchEnd, epochEnd, trainEnd }

  public var event = Event.trainBegin
  public var epoch = 0
  public let epochs: Int
  public var batch = 0
  /// 0: not known.
  public let batches: Int
  public var samples = 0
  /// Of them, those of this call.
  var samplesSinceBegin = 0
  public var seconds = 0.0
  public var learningRate = 0.0
  public let columns: Columns
  /// Of the last step, one for each parameter; none before the first.
  public var gradientNorms = UnsafeBufferPointer<Double>(start: nil, count: 0)

  public var samplesPerSecond: Double { seconds > 0 ? Double(samplesSinceBegin) / seconds : 0 }
}

/// The training loop: epochs of batches in a random order, validation, early stopping.
public final class Fit {
  private let model: Model
  private let trainer: Trainer
  private let options: FitOptions
  private let source: BatchSource
  private let validation: BatchSource?
  private let validationPass: BatchPass
  /// nil: sequences are trained on whole.
  private let chunks: Chunks?
  private let columns: Columns
  /// The weights at the beginning of the epoch.
  private let start: Snapshot
  private var progress: Progress
  private var stopping: EarlyStopping?
  private var isStopped = false
  /// Of the losses of the epoch's samples: the whole, and of several outputs that of each.
  private let totals = List<Double>()
  /// The same for each sample.
  private let means = List<Double>()

  /// Trains. Returns false if the callback asked to stop.
  ///
  /// When the loss or a gradient is not finite, weights and optimizer go back to the beginning of the epoch; after any
  /// other error they are those of the last whole step.
  public static func run(_ model: Model, _ examples: Examples, _ options: FitOptions) throws(LSTMError) -> Bool {
    let trainer = try Trainer.make(model, for: .fit, Workers(threads: options.threads, areKept: false))
    let goals = trainer.compilation.goals
    // The whole data are checked for shape before they are split.
    _ = try ExampleReader.make(model, examples, goals)
    let (training, validation) = try split(examples, options)
    let source = try ArraySource.make(
      model, training, goals, batchSize: options.batchSize,
      shuffledBy: options.shuffles ? options.seed ?? model.seed : nil)
    return try run(trainer, source, validation, options)
  }

  /// The same with batches that are made one by one.
  public static func run(_ model: Model, _ source: CalledSource, _ options: FitOptions) throws(LSTMError) -> Bool {
    let trainer = try Trainer.make(model, for: .fit, Workers(threads: options.threads, areKept: false))
    try source.prepare(model, trainer.compilation.goals)
    return try run(trainer, source, options.validation, options)
  }

  private static func run(
    _ trainer: Trainer, _ source: BatchSource, _ validation: Examples?, _ options: FitOptions
  ) throws(LSTMError) -> Bool {
    let (model, compilation) = (trainer.model, trainer.compilation)
    let validation = try validation.map { (examples) throws(LSTMError) in
      try ArraySource.make(model, examples, compilation.goals, batchSize: options.batchSize)
    }
    var stopping = options.earlyStopping
    try stopping?.prepare(model, compilation, hasValidation: validation != nil)
    try options.plateau?.check(compilation, hasValidation: validation != nil)
    var chunks: Chunks?
    if options.bpttSteps > 0 {
      try trainer.setCarry(true)
      chunks = try Chunks.make(model, compilation.goals, size: options.bpttSteps)
    }
    let fit = Fit(
      trainer, options, source, validation, chunks, try Columns.make(), stopping, start: try Snapshot.make(model))
    try fit.prepareFigures()
    return try fit.train()
  }

  private init(
    _ trainer: Trainer, _ options: FitOptions, _ source: BatchSource, _ validation: BatchSource?, _ chunks: Chunks?,
    _ columns: Columns, _ stopping: EarlyStopping?, start: Snapshot
  ) {
    model = trainer.model
    (self.trainer, self.options, self.source, self.validation) = (trainer, options, source, validation)
    validationPass = BatchPass(model, trainer.compilation, trainer.workers, trains: false)
    (self.chunks, self.columns, self.stopping, self.start) = (chunks, columns, stopping, start)
    progress = Progress(epochs: options.epochs, batches: source.batches, columns: columns)
  }

  /// As Keras does: the first floor(n·(1 - split)) samples train.
  private static func split(_ examples: Examples, _ options: FitOptions) throws(LSTMError) -> (Examples, Examples?) {
    if let validation = options.validation { return (examples, validation) }
    guard options.validationSplit > 0 else { return (examples, nil) }
    let kept = Int((Double(examples.count) * (1 - options.validationSplit)).rounded(.down))
    guard kept > 0, kept < examples.count else {
      throw .argument(
        "options.validation_split: expected a share that leaves samples on both sides, got "
          + "\(options.validationSplit) of \(examples.count) samples")
    }
    return (
      try examples.slice(0..<kept, withClassWeights: true),
      try examples.slice(kept..<examples.count, withClassWeights: false)
    )
  }

  private func train() throws(LSTMError) -> Bool {
    options.begin?()
    report(.trainBegin)
    for epoch in 0..<options.epochs {
      if isStopped { break }
      progress.epoch = epoch
      start.take()
      do throws(LSTMError) {
        try trainEpoch()
        // An update may overflow although loss and gradients were finite.
        guard model.kernels.sumOfSquares(model.plan.count, model.parameters.floats).isFinite else {
          throw .diverged("training: expected finite weights, got a number that is not")
        }
      } catch {
        if case .diverged(let text) = error {
          start.restore()
          model.training.begun = nil
          log(.warning, "epoch \(epoch + 1): training diverged, back to the weights of its beginning")
          throw .diverged(
            "\(text) in epoch \(epoch), batch \(progress.batch): the weights are those of its beginning")
        }
        throw error
      }
      if stopping?.shouldStop(after: epoch, columns) ?? false {
        log(.info, "epoch \(epoch + 1): stopped early, best was epoch \((stopping?.bestEpoch ?? 0) + 1)")
        break
      }
    }
    let wasStopped = isStopped
    if let stopping, stopping.restore() {
      log(.info, "weights of epoch \(stopping.bestEpoch + 1) restored")
    } else {
      trainer.compilation.optimizer.serveAverage(true, model)
    }
    report(.trainEnd)
    return !wasStopped
  }

  private func trainEpoch() throws(LSTMError) {
    source.begin(epoch: model.training.epoch)
    beginEpoch()
    columns.removeAll()
    report(.epochBegin)
    let begin = shim_seconds()
    let samplesBefore = progress.samples
    var isWhole = false
    do throws(LSTMError) {
      while !isStopped, !isWhole {
        guard let (reader, rows) = try source.next(batch: progress.batch, sample: progress.samples) else {
          isWhole = true
          break
        }
        try trainBatch(reader, rows)
        for i in 0..<totals.count { totals[i] += means[i] * Double(rows.count) }
        progress.samples += rows.count
        progress.batch += 1
        progress.samplesSinceBegin = progress.samples - samplesBefore
        progress.seconds = shim_seconds() - begin
        isWhole = progress.batch == source.batches
        guard options.progress != nil, options.progressBatches > 0 else { continue }
        if progress.batch % options.progressBatches == 0 || isWhole {
          gather()
          noteFigures()
          report(.batchEnd)
        }
      }
    } catch {
      noteFigures()
      throw error
    }
    if progress.samples == 0, isWhole { throw .argument("source: expected at least one batch, got none") }
    if progress.samples == 0 { return }
    gather()
    if isWhole {
      if let validation {
        try Evaluation.append(to: columns, model, trainer.compilation, validation, validationPass, validation: true)
      }
      model.training.epoch += 1
      model.training.begun = nil
      if options.plateau?.look(columns, &model.training) ?? false {
        log(.info, "epoch \(progress.epoch + 1): learning rate reduced to \(numberText(model.training.learningRate))")
      }
    } else {
      noteFigures()
    }
    options.record?(columns)
    log(.debug, "epoch \(progress.epoch + 1)/\(options.epochs): loss " + numberText(columns.values[0]))
    report(.epochEnd)
  }

  /// A step on a batch, or one on each chunk of its timesteps. The losses go to `means`: those of chunks by their share of the
  /// elements that count.
  private func trainBatch(_ reader: ExampleReader, _ rows: Rows) throws(LSTMError) {
    let hasMetrics = !trainer.compilation.metrics.isEmpty
    guard let chunks else {
      means[0] = try trainer.step(reader, rows, metrics: hasMetrics)
      for i in 1..<means.count { means[i] = trainer.loss(of: i) }
      return
    }
    for i in 0..<means.count { means[i] = 0 }
    var counted = 0
    trainer.carried?.reset()
    for chunk in 0..<(try chunks.begin(reader)) {
      try chunks.take(chunk, reader)
      let loss = try trainer.step(reader, rows, metrics: hasMetrics)
      if trainer.counted == 0 { continue }
      counted += trainer.counted
      let share = Double(trainer.counted) / Double(counted)
      means[0] += (loss - means[0]) * share
      for i in 1..<means.count { means[i] += (trainer.loss(of: i) - means[i]) * share }
    }
    try chunks.end(reader)
  }

  private func gather() {
    columns.removeAll()
    for i in 0..<totals.count { means[i] = totals[i] / Double(progress.samples) }
    columns.append(trainer.compilation, UnsafePointer(means.start))
  }

  // MARK: The epoch's figures

  /// Their number, with the sums of the losses.
  private var figureCount: Int {
    var count = totals.count
    for metric in trainer.compilation.metrics { count += metric.stateCount }
    return count
  }

  /// Checks those that training is to go on with, and makes room for others.
  private func prepareFigures() throws(LSTMError) {
    let (figures, goals) = (model.training.figures, trainer.compilation.goals.count)
    for _ in 0..<(goals > 1 ? 1 + goals : 1) {
      try totals.append(0)
      try means.append(0)
    }
    if !options.resumes { model.training.begun = nil }
    if let begun = model.training.begun {
      guard figures.count == figureCount else {
        throw .argument(
          "options.resume: expected the metrics with which the epoch was begun, got others or none of their figures")
      }
      if let samples = source.samples, begun.samples > samples {
        throw .argument(
          "options.resume: expected the data with which the epoch was begun, at least \(begun.samples) samples, got "
            + "\(samples)")
      }
    }
    try figures.reserve(max(0, figureCount - figures.count))
  }

  /// From its beginning, or from where training was saved or stopped.
  private func beginEpoch() {
    (progress.batch, progress.samples, progress.samplesSinceBegin, progress.seconds) = (0, 0, 0, 0)
    for i in 0..<totals.count { totals[i] = 0 }
    let metrics = trainer.compilation.metrics
    guard let begun = model.training.begun else {
      for metric in metrics { metric.reset() }
      return
    }
    (progress.batch, progress.samples) = (begun.batches, begun.samples)
    var from = UnsafePointer(model.training.figures.start)
    for i in 0..<totals.count { totals[i] = from[i] }
    from += totals.count
    for metric in metrics {
      metric.restore(from: from)
      from += metric.stateCount
    }
  }

  /// Leaves them to the model, from which they are saved.
  private func noteFigures() {
    if progress.batch == 0 { return }
    let figures = model.training.figures
    figures.removeAll()
    // There is room.
    guard var to = try? figures.extend(by: figureCount) else { return }
    for i in 0..<totals.count { to[i] = totals[i] }
    to += totals.count
    for metric in trainer.compilation.metrics {
      metric.save(to: to)
      to += metric.stateCount
    }
    model.training.begun = TrainingState.BegunEpoch(batches: progress.batch, samples: progress.samples)
  }

  private func report(_ event: Progress.Event) {
    guard let callback = options.progress else { return }
    progress.event = event
    progress.learningRate = model.training.learningRate
    if trainer.hasGradients { progress.gradientNorms = trainer.gradientNorms }
    if !callback(progress) { isStopped = true }
  }

  private func log(_ level: LogLevel, _ text: @autoclosure () -> String) {
    if let log = options.log { log(level, text()) }
  }
}
