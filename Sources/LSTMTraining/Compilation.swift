public import LSTMDescription
internal import LSTMLayers
public import LSTMModels
public import LSTMTensors

/// What a model is trained for: loss, optimizer and metrics, read from the member 'training' of its description.
public struct Compilation {
  let loss: Loss
  let optimizer: Optimizer
  let metrics: [Metric]
  /// The loss is computed from what comes out of the stages before this one: all of them, or all but a last activation
  /// that the loss undoes, or all but a last one that decides by a chain.
  let lossStage: Int
  /// What that is, are logits.
  let fromLogits: Bool
  /// Where the scores of that chain lie.
  let chain: ChainPlaces?

  static let maxMetrics = 15

  /// Makes the model ready to be trained as `value` says, with fresh training state.
  ///
  /// - Returns: the lengths of the arrays of optimizer state that the training will keep, in floats.
  @discardableResult
  public static func compile(_ model: Model, _ value: Value) throws(LSTMError) -> [Int] {
    try model.checkTrainable()
    let record = Writer()
    let compilation = try read(model, value, into: record)
    var state = TrainingState()
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
    return try read(model, try Document.parse(description.text, name: "training").root, into: nil)
  }

  private static func read(_ model: Model, _ value: Value, into record: Writer?) throws(LSTMError) -> Compilation {
    let fields = try Fields(value, path: "training")
    guard let lossValue = fields.value("loss") else { throw fields.error("loss", "a loss", nil) }
    let loss = try Loss.make(lossValue, path: "training.loss")
    try loss.check(model.outputShape)
    try checkChain(loss, model)
    let adam = try Document.parse(#"{"type": "adam"}"#, name: "optimizer")
    let optimizer = try Optimizer.make(fields.value("optimizer") ?? adam.root, path: "training.optimizer")
    let metrics = try readMetrics(fields, loss, model.outputShape)
    try fields.finish()
    if let record {
      try record.open("{")
      try record.member("loss", loss.record)
      try record.member("optimizer", optimizer.record)
      try record.key("metrics")
      try record.open("[")
      for metric in metrics { try record.object(metric.record) }
      try record.close("]")
      try record.close("}")
    }
    let (fused, chain) = (isFused(loss, model), model.stages.last?.chain)
    return Compilation(
      loss: loss, optimizer: optimizer, metrics: metrics,
      lossStage: model.stages.count - (fused || chain != nil ? 1 : 0), fromLogits: fused, chain: chain)
  }

  /// A chain has no gradient but that of its own loss, which only a last layer can have.
  private static func checkChain(_ loss: Loss, _ model: Model) throws(LSTMError) {
    let last = model.stages.count - 1
    for i in 0..<last where model.stages[i].chain != nil {
      throw .argument(
        "training: expected layer \(quoted(model.stages[i].name.utf8)) to be the last, got layers behind it")
    }
    if (model.stages[last].chain != nil) != loss.readsChain {
      let expected: StaticString =
        loss.readsChain
        ? "a model that ends in a crf, got another" : "crf, since the model ends in one, got another loss"
      throw .argument("training.loss: expected \(expected)")
    }
  }

  private static func readMetrics(_ fields: Fields, _ loss: Loss, _ shape: Shape) throws(LSTMError) -> [Metric] {
    var metrics: [Metric] = []
    guard let value = fields.value("metrics") else { return metrics }
    guard value.isArray else {
      return [try Metric.make(value, path: "training.metrics", loss: loss, outputShape: shape)]
    }
    guard value.count <= maxMetrics else {
      throw .argument("training.metrics: expected at most \(maxMetrics), got \(value.count)")
    }
    try value.forEach { (item) throws(LSTMError) in
      let path = "training.metrics[\(metrics.count)]"
      let metric = try Metric.make(item, path: path, loss: loss, outputShape: shape)
      for other in metrics where other.name.utf8Start == metric.name.utf8Start {
        throw .argument("\(path): expected each metric once, got \(quoted(metric.name.text.utf8)) again")
      }
      try Memory.append(metric, to: &metrics)
    }
    return metrics
  }

  /// Whether the model ends with the activation that the loss undoes.
  private static func isFused(_ loss: Loss, _ model: Model) -> Bool {
    guard let last = model.stages.last as? ActivationLayer, model.stages.count > model.firstStage + 1 else {
      return false
    }
    switch loss.canonicalActivation {
    case .sigmoid: return last.activation == .sigmoid
    case .softmax: return last.activation == .softmax
    case nil: return false
    }
  }
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

extension Writer {
  /// An object of these members.
  fileprivate func object(_ members: Writer) throws(LSTMError) {
    try open("{")
    try json(members)
    try close("}")
  }

  fileprivate func member(_ key: StaticString, _ members: Writer) throws(LSTMError) {
    try self.key(key)
    try object(members)
  }
}
