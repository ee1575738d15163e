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
  public let batches: Int
  public var samples = 0
  public var seconds = 0.0
  public var learningRate = 0.0
  public let columns: Columns

  public var samplesPerSecond: Double { seconds > 0 ? Double(samples) / seconds : 0 }
}

/// The training loop: epochs of batches in a random order, validation, early stopping.
public final class Fit {
  private let model: Model
  private let trainer: Trainer
  private let options: FitOptions
  /// Samples to train on.
  private let count: Int
  private let validation: ExampleReader?
  private let validationPass: BatchPass
  private let reader: ExampleReader
  private let order: List<Int>
  private let columns: Columns
  /// The weights at the beginning of the epoch.
  private let start: Snapshot
  private var progress: Progress
  private var stopping: EarlyStopping?
  private var isStopped = false

  /// Trains. Returns false if the callback asked to stop.
  ///
  /// When the loss or a gradient is not finite, weights and optimizer go back to the beginning of the epoch; after any
  /// other error they are those of the last whole step.
  public static func run(_ model: Model, _ examples: Examples, _ options: FitOptions) throws(LSTMError) -> Bool {
    let trainer = try Trainer.make(model, for: .fit, Workers(threads: options.threads, areKept: false))
    // The whole data are checked for shape before they are split.
    _ = try ExampleReader.make(model, examples, trainer.compilation.loss)
    let (training, others) = try split(examples, options)
    let reader = try ExampleReader.make(model, training, trainer.compilation.loss)
    let validation = try others.map { (others) throws(LSTMError) in
      try ExampleReader.make(model, others, trainer.compilation.loss)
    }
    let order = List<Int>()
    try order.reserve(training.count)
    for row in 0..<training.count { try order.append(row) }
    var stopping = options.earlyStopping
    try stopping?.prepare(model, trainer.compilation, hasValidation: validation != nil)
    let fit = Fit(
      trainer, options, count: training.count, validation, reader, order, try Columns.make(), stopping,
      start: try Snapshot.make(model))
    return try fit.train()
  }

  private init(
    _ trainer: Trainer, _ options: FitOptions, count: Int, _ validation: ExampleReader?, _ reader: ExampleReader,
    _ order: List<Int>, _ columns: Columns, _ stopping: EarlyStopping?, start: Snapshot
  ) {
    model = trainer.model
    (self.trainer, self.options, self.count, self.validation) = (trainer, options, count, validation)
    validationPass = BatchPass(model, trainer.compilation, trainer.workers, trains: false)
    (self.reader, self.order, self.columns) = (reader, order, columns)
    (self.stopping, self.start) = (stopping, start)
    progress = Progress(
      epochs: options.epochs, batches: (count + options.batchSize - 1) / options.batchSize, columns: columns)
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
      examples.slice(0..<kept, withClassWeights: true),
      examples.slice(kept..<examples.count, withClassWeights: false)
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
    if let stopping, stopping.restore() { log(.info, "weights of epoch \(stopping.bestEpoch + 1) restored") }
    report(.trainEnd)
    return !wasStopped
  }

  private func trainEpoch() throws(LSTMError) {
    shuffle()
    let compilation = trainer.compilation
    for metric in compilation.metrics { metric.reset() }
    columns.removeAll()
    (progress.batch, progress.samples, progress.seconds) = (0, 0, 0)
    report(.epochBegin)
    let begin = shim_seconds()
    var total = 0.0
    var first = 0
    while first < count, !isStopped {
      let size = min(options.batchSize, count - first)
      let loss = try trainer.step(
        reader, Rows(order: UnsafePointer(order.start), first: first, count: size),
        metrics: !compilation.metrics.isEmpty)
      total += loss * Double(size)
      first += size
      progress.batch += 1
      progress.samples = first
      progress.seconds = shim_seconds() - begin
      guard options.progress != nil, options.progressBatches > 0 else { continue }
      if progress.batch % options.progressBatches == 0 || first == count {
        gather(total / Double(first))
        report(.batchEnd)
      }
    }
    if first == 0 { return }
    gather(total / Double(first))
    if let validation, first == count {
      try Evaluation.append(
        to: columns, validation, validationPass, compilation, batchSize: options.batchSize, validation: true)
    }
    if first == count { model.training.epoch += 1 }
    options.record?(columns)
    log(.debug, "epoch \(progress.epoch + 1)/\(options.epochs): loss " + numberText(columns.values[0]))
    report(.epochEnd)
  }

  private func gather(_ loss: Double) {
    columns.removeAll()
    columns.append("loss", loss)
    for metric in trainer.compilation.metrics { columns.append(metric.name, metric.result) }
  }

  /// A new order for the epoch, which depends on the seed and the number of epochs trained alone.
  ///
  /// - Source: Fisher & Yates; Durstenfeld 1964.
  private func shuffle() {
    for i in 0..<order.count { order[i] = i }
    guard options.shuffles else { return }
    var random = RandomSequence(seed: options.seed ?? model.seed, .shuffling, place: (model.training.epoch, 0))
    for i in stride(from: order.count - 1, to: 0, by: -1) {
      let j = random.index(below: i + 1)
      (order[i], order[j]) = (order[j], order[i])
    }
  }

  private func report(_ event: Progress.Event) {
    guard let callback = options.progress else { return }
    progress.event = event
    progress.learningRate = model.training.learningRate
    if !callback(progress) { isStopped = true }
  }

  private func log(_ level: LogLevel, _ text: @autoclosure () -> String) {
    if let log = options.log { log(level, text()) }
  }
}
