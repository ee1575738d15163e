internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
internal import LSTMModels
internal import LSTMTensors

/// What one of a model's outputs is trained for.
struct Goal {
  let loss: Loss
  /// Of the loss in the sum that is minimised.
  let weight: Float
  let metrics: [Metric]
  /// The loss is computed without the output's last stage, an activation that it undoes: it reads logits.
  let isFused: Bool
  /// Likewise without one that decides by a chain: where the scores of that lie.
  let chain: ChainPlaces?
}

/// A column of the history; zero-terminated texts that last as long as what the model is compiled for.
struct Column {
  let name: UnsafePointer<CChar>
  let valName: UnsafePointer<CChar>

  init(_ name: StaticString, _ valName: StaticString) {
    self.init(name: Column.text(name), valName: Column.text(valName))
  }

  init(name: UnsafePointer<CChar>, valName: UnsafePointer<CChar>) { (self.name, self.valName) = (name, valName) }

  static func text(_ text: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }

  /// The bytes of a zero-terminated text.
  static func bytes(_ text: UnsafePointer<CChar>) -> UnsafeBufferPointer<UInt8> {
    var count = 0
    while text[count] != 0 { count += 1 }
    return UnsafeBufferPointer(start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
  }
}

/// What is said of each output of a model: of one output a value; of several one value for all, a list in their order, or
/// an object with a member for each.
private struct PerOutput {
  let value: Value?
  let path: String
  let exits: [Ports.Exit]
  /// Whether a value that is neither a list nor an object of outputs is that of each output.
  let isShared: Bool

  init(_ fields: Fields, _ key: StaticString, _ model: Model, isShared: Bool) throws(LSTMError) {
    (value, exits, self.isShared) = (fields.value(key), model.ports.exits, isShared)
    path = fields.path + "." + key.text
    guard let value, exits.count > 1 else { return }
    if value.isArray, value.count != exits.count {
      throw .argument("\(path): expected \(exits.count) entries, one for each output, got \(value.count)")
    }
    if isOfNames {
      try value.forEach { (member) throws(LSTMError) in
        if exits.contains(where: { $0.name.utf8.elementsEqual(member.key) }) { return }
        throw .argument("\(path): expected names of outputs\(names), got \(quoted(member.key))")
      }
    } else if !value.isArray, !isShared {
      throw .argument("\(path): expected a list or an object with an entry for each output, got \(value.spoken)")
    }
  }

  private var names: String {
    var text = ""
    for exit in exits { text += (text.isEmpty ? ", as " : ", ") + exit.name }
    return text
  }

  /// An object that is not itself the description of one thing.
  private var isOfNames: Bool {
    guard let value, value.isObject else { return false }
    return value.member("type")?.string == nil || exits.contains { $0.name.matches("type") }
  }

  /// The value of an output, nil if there is none, and its path.
  func entry(_ i: Int) throws(LSTMError) -> (Value?, String) {
    guard let value, exits.count > 1 else { return (value, path) }
    if isOfNames {
      let member = value.member(named: exits[i].name)
      return (member.flatMap { $0.isNull ? nil : $0 }, path + "." + exits[i].name)
    }
    guard value.isArray else { return (value, path) }
    var (found, place): (Value?, Int) = (nil, 0)
    try value.forEach { (item) throws(LSTMError) in
      if place == i, !item.isNull { found = item }
      place += 1
    }
    return (found, path + "[\(i)]")
  }
}

extension Compilation {
  static let maxMetrics = Columns.limit / 2 - 1

  static func readGoals(_ model: Model, _ fields: Fields) throws(LSTMError) -> [Goal] {
    let losses = try PerOutput(fields, "loss", model, isShared: true)
    let weights = try PerOutput(fields, "loss_weights", model, isShared: false)
    let metrics = try PerOutput(fields, "metrics", model, isShared: false)
    try checkChains(model)
    var goals: [Goal] = []
    for (i, exit) in model.ports.exits.enumerated() {
      let (value, path) = try losses.entry(i)
      guard let value else { throw .argument("\(path): expected a loss, got nothing") }
      let loss = try Loss.make(value, path: path)
      try loss.check(exit.shape)
      let (list, metricsPath) = try metrics.entry(i)
      let goal = Goal(
        loss: loss, weight: try weight(try weights.entry(i)),
        metrics: try readMetrics(list, metricsPath, loss, exit.shape), isFused: isFused(loss, exit, model),
        chain: try chain(loss, exit, model, path))
      try Memory.append(goal, to: &goals)
    }
    try checkColumns(goals)
    return goals
  }

  private static func weight(_ entry: (value: Value?, path: String)) throws(LSTMError) -> Float {
    guard let value = entry.value else { return 1 }
    // Of one output the only entry of a list.
    var number = value.number
    if value.isArray, value.count == 1 { try value.forEach { number = $0.number } }
    guard let number, number >= 0, Float(number).isFinite else {
      throw .argument("\(entry.path): expected a finite number of at least 0, got \(value.spoken)")
    }
    return Float(number)
  }

  private static func readMetrics(
    _ value: Value?, _ path: String, _ loss: Loss, _ shape: Shape
  ) throws(LSTMError) -> [Metric] {
    var metrics: [Metric] = []
    guard let value else { return metrics }
    guard value.isArray else { return [try Metric.make(value, path: path, loss: loss, outputShape: shape)] }
    guard value.count <= maxMetrics else {
      throw .argument("\(path): expected at most \(maxMetrics), got \(value.count)")
    }
    try value.forEach { (item) throws(LSTMError) in
      let path = path + "[\(metrics.count)]"
      let metric = try Metric.make(item, path: path, loss: loss, outputShape: shape)
      for other in metrics where other.name.utf8Start == metric.name.utf8Start {
        throw .argument("\(path): expected each metric once, got \(quoted(metric.name.text.utf8)) again")
      }
      try Memory.append(metric, to: &metrics)
    }
    return metrics
  }

  /// All columns must have room beside those of validation.
  private static func checkColumns(_ goals: [Goal]) throws(LSTMError) {
    if goals.count == 1 { return }
    var count = 1 + goals.count
    for goal in goals { count += goal.metrics.count }
    guard count <= Columns.limit / 2 else {
      throw .argument(
        "training.metrics: expected at most \(Columns.limit / 2) columns of losses and metrics, got \(count)")
    }
  }

  /// Whether a stage makes an output that nothing reads, and nothing else reads what it reads: then passes can leave it out.
  private static func isLast(_ stage: Int, _ model: Model) -> Bool {
    let (wiring, exits) = (model.wiring, model.ports.exits)
    let (output, input) = (wiring.output(of: stage), wiring.inputs(of: stage)[0])
    guard let before = wiring.maker(of: input).stage else { return false }
    return model.runs(before) && wiring.readers(of: output) == 0 && wiring.readers(of: input) == 1
      && exits.contains { $0.signal == output } && !exits.contains { $0.signal == input }
  }

  /// A chain has no gradient but that of its own loss, which only a last layer can have.
  private static func checkChains(_ model: Model) throws(LSTMError) {
    for (i, stage) in model.stages.enumerated() where stage.chain != nil && !isLast(i, model) {
      throw .argument(
        "training: expected layer \(quoted(stage.name.utf8)) to be the last, and the only one that reads its scores"
          + ", got layers behind it or beside it")
    }
  }

  private static func chain(
    _ loss: Loss, _ exit: Ports.Exit, _ model: Model, _ path: String
  ) throws(LSTMError) -> ChainPlaces? {
    let chain = model.wiring.maker(of: exit.signal).stage.flatMap { model.stages[$0].chain }
    if (chain != nil) != loss.readsChain {
      let expected: StaticString =
        loss.readsChain
        ? "a model that ends in a crf, got another" : "crf, since the model ends in one, got another loss"
      throw .argument("\(path): expected \(expected)")
    }
    return chain
  }

  /// Whether an output ends with the activation that the loss undoes.
  private static func isFused(_ loss: Loss, _ exit: Ports.Exit, _ model: Model) -> Bool {
    guard let stage = model.wiring.maker(of: exit.signal).stage, isLast(stage, model),
      let last = model.stages[stage] as? ActivationLayer
    else { return false }
    switch loss.canonicalActivation {
    case .sigmoid: return last.activation == .sigmoid
    case .softmax: return last.activation == .softmax
    case nil: return false
    }
  }

  // MARK: The description, with every field

  static func record(_ goals: [Goal], _ model: Model, _ optimizer: Optimizer, _ record: Writer) throws(LSTMError) {
    let exits = model.ports.exits
    try record.open("{")
    try recordEach(goals, exits, "loss", record) { (goal) throws(LSTMError) in try record.object(goal.loss.record) }
    if goals.count > 1 || goals[0].weight != 1 {
      try recordEach(goals, exits, "loss_weights", record) { (goal) throws(LSTMError) in
        try record.number(Double(goal.weight))
      }
    }
    try record.key("optimizer")
    try record.object(optimizer.record)
    try recordEach(goals, exits, "metrics", record) { (goal) throws(LSTMError) in
      try record.open("[")
      for metric in goal.metrics { try record.object(metric.record) }
      try record.close("]")
    }
    try record.close("}")
  }

  private static func recordEach(
    _ goals: [Goal], _ exits: [Ports.Exit], _ key: StaticString, _ record: Writer,
    _ write: (Goal) throws(LSTMError) -> Void
  ) throws(LSTMError) {
    try record.key(key)
    if goals.count == 1 { return try write(goals[0]) }
    try record.open("{")
    for (i, goal) in goals.enumerated() {
      try record.key(name: exits[i].name)
      try write(goal)
      try Memory.check()
    }
    try record.close("}")
  }

  // MARK: Columns

  /// Appends the names of all columns but the loss, as they are for validation, one behind the other: of several outputs.
  static func appendColumnNames(_ goals: [Goal], _ model: Model, to names: List<UInt8>) throws(LSTMError) {
    if goals.count == 1 { return }
    for (i, goal) in goals.enumerated() {
      for metric in goal.metrics { try names.append(column: metric.name, of: model.ports.exits[i].name) }
    }
    for exit in model.ports.exits { try names.append(column: "loss", of: exit.name) }
  }

  /// - Parameter names: of `appendColumnNames`.
  static func columns(_ goals: [Goal], _ names: List<UInt8>) throws(LSTMError) -> [Column] {
    var columns = [Column("loss", "val_loss")]
    try Memory.reserve(2 * Columns.limit * MemoryLayout<Column>.stride)
    if goals.count == 1 {
      for metric in goals[0].metrics { columns.append(Column(metric.name, metric.valName)) }
    }
    var place = 0
    while place < names.count {
      let valName = UnsafeRawPointer(names.start + place).assumingMemoryBound(to: CChar.self)
      columns.append(Column(name: valName + 4, valName: valName))
      while names[place] != 0 { place += 1 }
      place += 1
    }
    try Memory.check()
    return columns
  }
}

extension List<UInt8> {
  /// "val_", the output's name, "_", the name of its column, and a zero.
  fileprivate func append(column: StaticString, of output: String) throws(LSTMError) {
    for text in ["val_", output, "_", column.text] {
      for byte in text.utf8 { try append(byte) }
    }
    try append(0)
  }
}

extension Writer {
  /// An object of these members.
  fileprivate func object(_ members: Writer) throws(LSTMError) {
    try open("{")
    try json(members)
    try close("}")
  }
}
