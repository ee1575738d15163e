internal import LSTMKernels
public import CLSTM
internal import LSTMDescription
internal import LSTMModels
internal import LSTMTensors
internal import LSTMTraining

// MARK: Options

/// The caller's options; nil for NULL, where the defaults hold.
func options(_ pointer: UnsafePointer<lstm_options>?) throws(LSTMError) -> lstm_options? {
  guard let pointer else { return nil }
  let options = try checked(pointer, "options").pointee
  guard options.batch_size >= 1, options.batch_size <= UInt32(Int32.max) else {
    throw .argument("options.batch_size: expected 1 to \(Int32.max), got \(options.batch_size)")
  }
  guard options.reserved == 0 else { throw .version("options.reserved: expected 0, got \(options.reserved)") }
  guard options.reserved_3 == 0 else { throw .version("options.reserved_3: expected 0, got \(options.reserved_3)") }
  _ = try threads(options.threads, "options.threads")
  return options
}

/// Those of training on data in arrays.
func arrayOptions(_ pointer: UnsafePointer<lstm_options>?) throws(LSTMError) -> lstm_options? {
  let options = try options(pointer)
  if let options, options.steps_per_epoch != 0 {
    throw .argument(
      "options.steps_per_epoch: expected 0 for data in arrays, got \(UInt(bitPattern: options.steps_per_epoch))")
  }
  return options
}

/// How many threads a caller may ask for: more than any machine has processors.
private let mostThreads: UInt32 = 1024

func threads(_ given: UInt32, _ name: StaticString) throws(LSTMError) -> Int {
  guard given <= mostThreads else { throw .argument("\(name): expected 0 to \(mostThreads), got \(given)") }
  return Int(given)
}

/// What a prediction reads of the options.
func predictionOptions(
  _ pointer: UnsafePointer<lstm_options>?
) throws(LSTMError) -> (batchSize: Int, threads: Int) {
  guard let options = try options(pointer) else { return (32, Workers.automatic) }
  return (Int(options.batch_size), Int(options.threads))
}

private func flag(_ value: UInt32, _ name: StaticString) throws(LSTMError) -> Bool {
  guard value <= 1 else { throw .argument("options.\(name): expected 0 or 1, got \(value)") }
  return value == 1
}

/// Checked weights of classes; nil for none.
private func classWeights(
  _ weights: UnsafePointer<Double>?, _ count: Int, _ name: StaticString, _ countName: StaticString
) throws(LSTMError) -> UnsafeBufferPointer<Double>? {
  guard let weights else {
    if count == 0 { return nil }
    throw .argument("\(name): expected a pointer for \(countName) \(UInt(bitPattern: count)), got NULL")
  }
  guard count >= 1, count <= Int(Int32.max) else {
    throw .argument("\(countName): expected 1 to \(Int32.max), got \(UInt(bitPattern: count))")
  }
  let result = UnsafeBufferPointer(start: weights, count: count)
  for i in 0..<count where !(result[i] >= 0 && Float(result[i]).isFinite) {
    throw .argument("\(name)[\(i)]: expected a finite number of at least 0, got \(result[i])")
  }
  return result
}

func classWeights(_ options: lstm_options?) throws(LSTMError) -> UnsafeBufferPointer<Double>? {
  try classWeights(options?.class_weights, options?.class_count ?? 0, "options.class_weights", "options.class_count")
}

private func examples(
  _ x: UnsafePointer<lstm_array>?, _ y: UnsafePointer<lstm_array>?, _ options: lstm_options?
) throws(LSTMError) -> Examples {
  Examples(
    x: try ArrayView(x, "x"), y: try ArrayView(y, "y"),
    weights: try ArrayView.optional(options?.sample_weights, "options.sample_weights"),
    classWeights: try classWeights(options))
}

extension FitOptions {
  init(_ options: lstm_options) throws(LSTMError) {
    self.init()
    batchSize = Int(options.batch_size)
    guard options.epochs >= 1 else { throw .argument("options.epochs: expected at least 1, got 0") }
    epochs = Int(options.epochs)
    threads = Int(options.threads)
    shuffles = try flag(options.shuffle, "shuffle")
    seed = options.seed == 0 ? nil : options.seed
    guard options.validation_split >= 0, options.validation_split < 1 else {
      throw .argument(
        "options.validation_split: expected at least 0 and less than 1, got \(options.validation_split)")
    }
    validationSplit = options.validation_split
    if let data = options.validation {
      if validationSplit > 0 || options.validation_x != nil || options.validation_y != nil
        || options.validation_weights != nil
      {
        throw .argument("options.validation: expected NULL beside other data for validation, got a pointer")
      }
      validation = try Examples(data, "options.validation", ArrayLists(), classWeights: nil)
    } else if options.validation_x != nil || options.validation_y != nil || options.validation_weights != nil {
      if validationSplit > 0 {
        throw .argument("options.validation_split: expected 0 beside validation_x, got \(validationSplit)")
      }
      validation = Examples(
        x: try ArrayView(options.validation_x, "options.validation_x"),
        y: try ArrayView(options.validation_y, "options.validation_y"),
        weights: try ArrayView.optional(options.validation_weights, "options.validation_weights"))
    }
    earlyStopping = try FitOptions.earlyStopping(options)
    plateau = try FitOptions.plateau(options)
    bpttSteps = Int(options.bptt_steps)
    resumes = try flag(options.resume, "resume")
    progressBatches = Int(options.progress_batches)
    progress = FitOptions.progress(options)
    log = FitOptions.log(options)
  }

  private static func earlyStopping(_ options: lstm_options) throws(LSTMError) -> EarlyStopping? {
    let restoresBest = try flag(options.restore_best, "restore_best")
    let delta = try leastDelta(options.min_delta, "min_delta")
    let mode = try monitorMode(options.monitor_mode, "monitor_mode")
    guard try flag(options.early_stopping, "early_stopping") else { return nil }
    return EarlyStopping(
      Monitor(try column(options.monitor, "options.monitor"), mode, minDelta: delta), patience: Int(options.patience),
      startFromEpoch: Int(options.start_from_epoch), restoresBest: restoresBest)
  }

  private static func plateau(_ options: lstm_options) throws(LSTMError) -> Plateau? {
    let delta = try leastDelta(options.plateau_min_delta, "plateau_min_delta")
    let mode = try monitorMode(options.plateau_mode, "plateau_mode")
    guard options.plateau_factor > 0, options.plateau_factor < 1 else {
      throw .argument("options.plateau_factor: expected more than 0 and less than 1, got \(options.plateau_factor)")
    }
    guard options.plateau_min_rate >= 0, options.plateau_min_rate.isFinite else {
      throw .argument(
        "options.plateau_min_rate: expected a finite number of at least 0, got \(options.plateau_min_rate)")
    }
    guard try flag(options.reduce_on_plateau, "reduce_on_plateau") else { return nil }
    return Plateau(
      Monitor(try column(options.plateau_monitor, "options.plateau_monitor"), mode, minDelta: delta),
      factor: options.plateau_factor, patience: Int(options.plateau_patience),
      cooldown: Int(options.plateau_cooldown), least: options.plateau_min_rate)
  }

  private static func column(_ name: UnsafePointer<CChar>?, _ field: StaticString) throws(LSTMError) -> String {
    let name = try text(name, field)
    guard name.count <= 64 else { throw .argument("\(field): expected a column's name, got \(quoted(name))") }
    return String(decoding: name, as: UTF8.self)
  }

  private static func leastDelta(_ delta: Double, _ name: StaticString) throws(LSTMError) -> Double {
    guard delta >= 0, delta.isFinite else {
      throw .argument("options.\(name): expected a finite number of at least 0, got \(delta)")
    }
    return delta
  }

  private static func monitorMode(_ mode: UInt32, _ name: StaticString) throws(LSTMError) -> Monitor.Mode {
    let modes: [Monitor.Mode] = [.auto, .min, .max]
    guard mode < UInt32(modes.count) else {
      throw .argument("options.\(name): expected LSTM_MODE_AUTO (0) to LSTM_MODE_MAX (2), got \(mode)")
    }
    return modes[Int(mode)]
  }

  private static func progress(_ options: lstm_options) -> ((Progress) -> Bool)? {
    guard let callback = options.progress else { return nil }
    let user = options.progress_user
    return { progress in
      var value = lstm_progress(progress)
      return callback(&value, user) == 0
    }
  }

  private static func log(_ options: lstm_options) -> ((LogLevel, String) -> Void)? {
    guard let callback = options.log else { return nil }
    let (user, least) = (options.log_user, options.log_level)
    return { (level, line) in
      let code =
        switch level {
        case .debug: LSTM_LOG_DEBUG
        case .info: LSTM_LOG_INFO
        case .warning: LSTM_LOG_WARNING
        }
      if code < least { return }
      var bytes: [CChar] = []
      for unit in line.utf8 { bytes.append(CChar(bitPattern: unit)) }
      bytes.append(0)
      callback(code, bytes, user)
    }
  }
}

extension lstm_progress {
  fileprivate init(_ progress: Progress) {
    self.init()
    struct_size = UInt32(MemoryLayout<lstm_progress>.size)
    event =
      switch progress.event {
      case .trainBegin: UInt32(LSTM_EVENT_TRAIN_BEGIN)
      case .epochBegin: UInt32(LSTM_EVENT_EPOCH_BEGIN)
      case .batchEnd: UInt32(LSTM_EVENT_BATCH_END)
      case .epochEnd: UInt32(LSTM_EVENT_EPOCH_END)
      case .trainEnd: UInt32(LSTM_EVENT_TRAIN_END)
      }
    (epoch, epochs) = (UInt32(progress.epoch), UInt32(progress.epochs))
    (batch, batches, samples) = (progress.batch, progress.batches, progress.samples)
    (seconds, samples_per_second) = (progress.seconds, progress.samplesPerSecond)
    learning_rate = progress.learningRate
    columns = UInt32(progress.columns.count)
    names = UnsafePointer(progress.columns.names)
    values = UnsafePointer(progress.columns.values)
    (gradient_count, gradient_norms) = (progress.gradientNorms.count, progress.gradientNorms.baseAddress)
  }
}

// MARK: History

/// The caller's history, checked.
private func history(_ pointer: UnsafeMutablePointer<lstm_history>?) throws(LSTMError) -> UnsafeMutablePointer<
  lstm_history
> {
  let history = try required(pointer, "history")
  let value = try checked(UnsafePointer(history), "history").pointee
  guard value.values != nil else { throw .argument("history.values: expected a pointer, got NULL") }
  guard value.capacity >= 1 else {
    throw .argument("history.capacity: expected at least 1, got \(UInt(bitPattern: value.capacity))")
  }
  return history
}

extension UnsafeMutablePointer<lstm_history> {
  /// Writes a row; the last one is written over when there is no room for more.
  fileprivate func append(_ columns: Columns) {
    let row = Swift.min(pointee.rows, pointee.capacity - 1)
    guard let values = pointee.values else { return }
    for column in 0..<columns.count {
      values[row * Int(LSTM_MAX_COLUMNS) + column] = columns.values[column]
      pointee.setName(column, to: columns.names[column])
    }
    pointee.columns = UInt32(columns.count)
    pointee.rows = row + 1
  }
}

// MARK: Calls

/// Trains with the caller's settings, and keeps the figures if the caller wants them.
func train(
  _ options: lstm_options?, _ history: UnsafeMutablePointer<lstm_history>?,
  _ run: (FitOptions) throws(LSTMError) -> Bool
) throws(LSTMError) -> Int32 {
  var settings = try options.map { (o) throws(LSTMError) in try FitOptions(o) } ?? FitOptions()
  if history != nil {
    let out = try LSTMCAPI.history(history)
    settings.begin = { (out.pointee.rows, out.pointee.columns) = (0, 0) }
    settings.record = { out.append($0) }
  }
  return try run(settings) ? LSTM_OK : LSTM_STOPPED
}

func evaluate(
  _ result: UnsafeMutablePointer<lstm_history>?, _ run: () throws(LSTMError) -> Columns
) throws(LSTMError) {
  if result == nil { throw .argument("result: expected a pointer, got NULL") }
  let out = try history(result)
  let columns = try run()
  out.pointee.rows = 0
  out.append(columns)
}

@c @implementation
public func lstm_train(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ y: UnsafePointer<lstm_array>!,
  _ options: UnsafePointer<lstm_options>!, _ history: UnsafeMutablePointer<lstm_history>!
) -> Int32 {
  boundaryWithCode { () throws(LSTMError) -> Int32 in
    let model = try LSTMCAPI.model(model)
    try model.checkSingle("model", "lstm_train_many")
    let given = try arrayOptions(options)
    let examples = try examples(x, y, given)
    return try train(given, history) { (settings) throws(LSTMError) in try Fit.run(model, examples, settings) }
  }
}

@c @implementation
public func lstm_evaluate(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ y: UnsafePointer<lstm_array>!,
  _ options: UnsafePointer<lstm_options>!, _ result: UnsafeMutablePointer<lstm_history>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    try model.checkSingle("model", "lstm_evaluate_many")
    let given = try LSTMCAPI.options(options)
    let examples = try examples(x, y, given)
    try evaluate(result) { () throws(LSTMError) in
      try Evaluation.evaluate(
        model, examples, batchSize: Int(given?.batch_size ?? 32), threads: Int(given?.threads ?? 0))
    }
  }
}

@c @implementation
public func lstm_trainer_create(_ model: OpaquePointer!, _ trainer: UnsafeMutablePointer<OpaquePointer?>!) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let out = try required(trainer, "trainer")
    out.pointee = try makeHandle(
      try Trainer.make(model, Workers(threads: Workers.automatic, areKept: true)), .trainer)
  }
}

@c @implementation
public func lstm_trainer_step(
  _ trainer: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ y: UnsafePointer<lstm_array>!,
  _ weights: UnsafePointer<lstm_array>!, _ loss: UnsafeMutablePointer<Double>!
) -> Int32 {
  boundary(liveTrainer(trainer)?.supply) { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    try trainer.model.checkSingle("trainer", "lstm_trainer_step_many")
    let examples = Examples(
      x: try ArrayView(x, "x"), y: try ArrayView(y, "y"), weights: try ArrayView.optional(weights, "weights"),
      classWeights: trainer.classWeights)
    let value = try trainer.step(examples)
    loss?.pointee = value
  }
}

@c @implementation
public func lstm_trainer_set_class_weights(
  _ trainer: OpaquePointer!, _ weights: UnsafePointer<Double>!, _ count: Int
) -> Int32 {
  boundary { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    try trainer.setClassWeights(try classWeights(weights, count, "weights", "count"))
  }
}

private func checkGradients(_ trainer: Trainer) throws(LSTMError) {
  guard trainer.hasGradients else { throw .argument("trainer: expected one that has made a step, got one without") }
}

@c @implementation
public func lstm_trainer_gradient(
  _ trainer: OpaquePointer!, _ name: UnsafePointer<CChar>!, _ values: UnsafeMutablePointer<Float>!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary(liveTrainer(trainer)?.supply) { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    let entry = try parameter(trainer.model, name)
    guard entry.isTrainable else {
      throw .argument(
        "name: expected a trainable parameter, got \(quoted(entry.name.utf8))")
    }
    try checkGradients(trainer)
    try deliver(entry.count, to: values, "values", capacity: capacity, count: count) { (out) throws(LSTMError) in
      out.copy(from: trainer.gradient(of: entry), count: entry.count)
    }
  }
}

@c @implementation
public func lstm_trainer_gradient_norms(
  _ trainer: OpaquePointer!, _ norms: UnsafeMutablePointer<Double>!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary(liveTrainer(trainer)?.supply) { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    try checkGradients(trainer)
    try deliver(trainer.gradientNorms, to: norms, "norms", capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_trainer_set_learning_rate(_ trainer: OpaquePointer!, _ rate: Double) -> Int32 {
  boundary(liveTrainer(trainer)?.supply) { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    try trainer.setLearningRate(rate)
  }
}

@c @implementation
public func lstm_trainer_learning_rate(_ trainer: OpaquePointer!, _ rate: UnsafeMutablePointer<Double>!) -> Int32 {
  boundary(liveTrainer(trainer)?.supply) { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    try required(rate, "rate").pointee = trainer.model.training.learningRate
  }
}

@c @implementation
public func lstm_trainer_set_threads(_ trainer: OpaquePointer!, _ threads: UInt32) -> Int32 {
  boundary { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    trainer.setThreads(try LSTMCAPI.threads(threads, "threads"))
  }
}

@c @implementation
public func lstm_trainer_carry(_ trainer: OpaquePointer!, _ carry: UInt32) -> Int32 {
  boundary { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    guard carry <= 1 else { throw .argument("carry: expected 0 or 1, got \(carry)") }
    try trainer.setCarry(carry == 1)
    try Memory.check()
  }
}

@c @implementation
public func lstm_trainer_reset_state(_ trainer: OpaquePointer!) -> Int32 {
  boundary(liveTrainer(trainer)?.supply) { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    guard trainer.resetStates() else {
      throw .argument("trainer: expected one that carries states (lstm_trainer_carry), got one that does not")
    }
  }
}

@c @implementation
public func lstm_trainer_free(_ trainer: OpaquePointer!) { freeHandle(trainer, .trainer) }
