internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// The stages of a model that write a target step by step: those that depend on one of its inputs, the target so far. The
/// others make, once, what is known of a source.
public final class DecoderSplit {
  /// The input that is the target.
  let entry: Int
  private let model: Model
  private let stages: List<Bool>

  private init(_ model: Model, _ entry: Int, _ stages: List<Bool>) {
    (self.model, self.entry, self.stages) = (model, entry, stages)
  }

  static func make(_ model: Model, target entry: Int) throws(LSTMError) -> DecoderSplit {
    let split = DecoderSplit(model, entry, List<Bool>())
    for i in 0..<model.stages.count {
      let inputs = model.wiring.inputs(of: i)
      try split.stages.append(inputs.contains { split.isDecoded($0) })
    }
    return split
  }

  func decodes(_ stage: Int) -> Bool { stages[stage] }

  func isDecoded(_ signal: Int) -> Bool {
    let maker = model.wiring.maker(of: signal)
    return maker.stage.map { stages[$0] } ?? (maker.port == entry)
  }

  /// The first layer whose stream must be told how many steps there will be.
  var needsWindow: Layer? {
    for i in 0..<model.stages.count where stages[i] && model.stages[i].needsWindow { return model.stages[i] }
    return nil
  }

  /// Refuses what cannot go step by step.
  func check() throws(LSTMError) {
    guard isDecoded(model.ports.exits[0].signal) else {
      throw .unsupported("model: expected an output that depends on its last input, the target, got one that does not")
    }
    for i in 0..<model.stages.count where stages[i] { try check(i) }
  }

  private func check(_ i: Int) throws(LSTMError) {
    let (stage, inputs) = (model.stages[i], model.wiring.inputs(of: i))
    for port in 0..<stage.stateCount where model.wiring.signal(i, 1 + port) != nil {
      throw .unsupported("model: layer \"\(stage.name)\" gives its last state, for which the whole target is needed")
    }
    let fromTarget = (0..<inputs.count).filter { isDecoded(inputs[$0]) }
    if stage.joinsSequences, stage.seesWhole, fromTarget.count == 1, fromTarget[0] == 0, inputs.count > 1 { return }
    if let reason = stage.needsFuture, !stage.needsWindow {
      throw .unsupported("model: layer \"\(stage.name)\" needs the whole target first (\(reason))")
    }
    for place in 0..<inputs.count where !isDecoded(inputs[place]) && stage.readsSteps(of: place) {
      throw .unsupported("model: layer \"\(stage.name)\" reads steps of the source together with those of the target")
    }
    for place in 0..<inputs.count where isDecoded(inputs[place]) && !stage.readsSteps(of: place) {
      throw .unsupported("model: layer \"\(stage.name)\" begins with a state that depends on the target")
    }
  }

  /// What the encoder makes of a source of one sample.
  func encode(_ source: ArrayView, _ weights: Weights) throws(LSTMError) -> Run {
    guard source.shape.rank > 0, source.rows == 1 else {
      throw .argument("source.shape: expected one sample, got \(source.shape.text)")
    }
    guard source.shape.rank == 1 || source.shape[1] <= LanguageModel.mostSteps else {
      throw .argument("source.shape: expected at most \(LanguageModel.mostSteps) timesteps, got \(source.shape[1])")
    }
    // In the place of the target, which the encoder does not read: a token, or the address of a text.
    let other = try Buffer.make(.system, 1, of: Int.self)
    let isText = model.ports.entries[entry].textLayer != nil
    other.pointer(to: Int.self).pointee = isText ? Int(bitPattern: ("a" as StaticString).utf8Start) : 0
    var shape = Shape()
    shape.append(1)
    if !isText { shape.append(1) }
    let others = List<ArrayView>()
    try others.append(
      ArrayView(
        name: "prompt", element: isText ? .string : .int64, data: UnsafeRawPointer(other.base), shape: shape,
        strides: shape))
    defer { withExtendedLifetime(other) {} }
    return try run(Arrays(source, others), weights)
  }

  private func run(_ xs: Arrays, _ weights: Weights) throws(LSTMError) -> Run {
    let feed = try Feed.make(model, xs, sameSteps: false)
    try feed.begin(Rows(first: 0, count: 1))
    let run = try Run.make(model, .predict, half: Run.Half(split: self, isDecoder: false))
    run.weights = weights
    try feed.load(0..<1, into: run)
    run.layOut()
    try Memory.check()
    if !feed.fill(0..<1, run, .whole) { try feed.checkFinite(0..<1, run) }
    run.forward()
    return run
  }
}
