public import LSTMDescription
internal import LSTMLayers
public import LSTMModels
public import LSTMTensors

/// What a model is trained for: loss, optimizer and metrics, read from the member 'training' of its description.
public struct Compilation {
  /// One for each output of the model.
  let goals: [Goal]
  let optimizer: Optimizer
  /// Those of all outputs.
  let metrics: [Metric]
  /// The loss, the metrics and, of several outputs, the loss of each.
  let columns: [Column]

  /// Makes the model ready to be trained as `value` says, with fresh training state.
  ///
  /// - Returns: the lengths of the arrays of optimizer state that the training will keep, in floats.
  @discardableResult
  public static func compile(_ model: Model, _ value: Value) throws(LSTMError) -> [Int] {
    try model.checkTrainable()
    let record = Writer()
    var state = TrainingState()
    let compilation = try read(model, value, into: record, state.columnNames)
    try appendColumnNames(compilation.goals, model, to: state.columnNames)
    state.description = record
    state.learningRate = compilation.optimizer.learningRate
    let lengths = try compilation.optimizer.slotLengths(model.plan)
    try Memory.check()
    model.training = state
    return lengths
  }

  /// That of a model which has been compiled.
  static func current(_ model: Model) throws(LSTMError) -> Compilation {
    let description = try model.checkCompiled()
    return try read(
      model, try Document.parse(description.text, name: "training").root, into: nil, model.training.columnNames)
  }

  private static func read(
    _ model: Model, _ value: Value, into record: Writer?, _ names: List<UInt8>
  ) throws(LSTMError) -> Compilation {
    let fields = try Fields(value, path: "training")
    let goals = try readGoals(model, fields)
    let adam = try Document.parse(#"{"type": "adam"}"#, name: "optimizer")
    let optimizer = try Optimizer.make(fields.value("optimizer") ?? adam.root, path: "training.optimizer")
    try fields.finish()
    if let record { try self.record(goals, model, optimizer, record) }
    var metrics: [Metric] = []
    for goal in goals {
      for metric in goal.metrics { try Memory.append(metric, to: &metrics) }
    }
    return Compilation(goals: goals, optimizer: optimizer, metrics: metrics, columns: try columns(goals, names))
  }

  /// That of a model with one output.
  var loss: Loss { goals[0].loss }
}

extension Model {
  /// - Returns: what the model is trained for.
  @discardableResult
  public func checkCompiled() throws(LSTMError) -> Writer {
    try checkTrainable()
    guard let description = training.description else {
      throw .argument(
        "model: expected one with 'training' in its description or after lstm_compile, got one without a loss")
    }
    return description
  }

  /// From the next step on.
  public func setLearningRate(_ rate: Double) throws(LSTMError) {
    try setLearningRate(rate, try Compilation.current(self).optimizer)
  }

  func setLearningRate(_ rate: Double, _ optimizer: Optimizer) throws(LSTMError) {
    guard rate >= 0, Float(rate).isFinite else {
      throw .argument("rate: expected a finite number of at least 0, got \(rate)")
    }
    if optimizer.isScheduled {
      throw .argument("rate: expected none, since the learning rate follows a schedule, got \(rate)")
    }
    training.learningRate = rate
  }

  /// Makes the weights those of the average that the optimizer keeps, or those that are trained.
  public func serveAverage(_ wanted: Bool) throws(LSTMError) {
    let optimizer = try Compilation.current(self).optimizer
    guard optimizer.averageSlot != nil || !wanted else {
      throw .argument("model: expected an optimizer with use_ema or average_from, got one without")
    }
    guard optimizer.serveAverage(wanted, self) else {
      throw .argument("model: expected one that was trained until there is an average, got one without")
    }
  }
}

extension Document {
  fileprivate static func parse(_ text: StaticString, name: StaticString) throws(LSTMError) -> Document {
    try parse(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount), name: name)
  }
}
