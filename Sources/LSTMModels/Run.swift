public import LSTMKernels
public import LSTMLayers
public import LSTMTensors

/// The working memory of passes through a model, and the passes themselves.
///
/// Sized by `prepare` for a batch and kept while batches are no larger. Use: `prepare`, fill `tokens` or `values` and
/// perhaps `mask` or `starts` (Feed does), `layOut`, then `forward` and `backward`, which several workers may call together.
/// Input, output and sparse gradient lie in memory of the run's own, all else in scratch.
public final class Run {
  public let model: Model
  private let mode: Mode
  /// Which part of a batch this is: it decides what dropout draws.
  private let number: Int
  /// Passes run the stages before this one. Those from it on, if any, are activations or decide by a chain, and write over
  /// what they read.
  private let end: Int
  /// That of the model.
  let maskValue: Float?
  /// Numbers in one step of one row of what goes in.
  public let inputWidth: Int
  /// Whether they are numbers, not tokens.
  let readsNumbers: Bool
  private var memory: Buffer?
  private var scratch: Scratch
  /// Floats of scratch that a pass needs; after `prepare`.
  public private(set) var scratchCount = 0
  public private(set) var steps = 0
  public private(set) var batch = 0
  /// How the input's padding is told.
  public enum Padding {
    case none
    /// By the mask.
    case masked
    /// By `starts`: it is not there.
    case cut
  }
  public var padding = Padding.none
  /// Of all tokens, made by the stage after the first, which then needs nothing of it; set before `layOut`.
  var tokenProducts: Floats?

  // Places in the memory, in floats.
  private var inputPlace = 0
  private var maskPlace = 0
  private var startsPlace = 0
  private var maskPlaces: [Int]
  private var sparseGradientPlace = 0
  // Places in the scratch, but for the outputs that stay.
  private var outputPlaces: [Int]
  private var workspacePlaces: [Int]
  /// Where the gradients of the stages' outputs go.
  private var gradientPlaces: [Int]
  /// Where gradients are made that are to be added to those that other stages have given a signal.
  private var addedPlace = 0
  /// Steps of each signal.
  private var signalSteps: [Int]
  /// Whether the sparse gradient takes the place of the first stage's output, which nobody reads by then.
  private let sparseReplacesOutput: Bool
  /// By their numbers in `Wiring`.
  private let signals: List<Signal>
  /// Where each input of each stage, in the order of `Wiring`, is to get its gradient.
  private let inputGradients: List<MutableFloats?>

  private init(
    _ model: Model, _ mode: Mode, number: Int, end: Int, _ scratch: Scratch, places: [Int],
    _ signals: List<Signal>, _ inputGradients: List<MutableFloats?>
  ) {
    (self.model, self.mode, self.number, self.end, self.scratch) = (model, mode, number, end, scratch)
    (inputWidth, maskValue) = (Run.inputWidth(model), model.maskValue)
    if case .values = model.input { readsNumbers = true } else { readsNumbers = false }
    (outputPlaces, maskPlaces, workspacePlaces) = (places, places, places)
    (gradientPlaces, signalSteps) = (places, places)
    (self.signals, self.inputGradients) = (signals, inputGradients)
    let first = model.firstStage
    sparseReplacesOutput =
      mode == .train && model.isChain && first < end - 1 && model.stages[first].hasSparseGradient
      && model.stages[first + 1].allowsGradientInPlace
  }

  /// - Parameters:
  ///   - end: passes run the stages before it; all unless given.
  ///   - scratch: to begin with; unless given, the run has some for itself.
  public static func make(
    _ model: Model, _ mode: Mode, number: Int = 0, to end: Int? = nil, in scratch: Scratch? = nil
  ) throws(LSTMError) -> Run {
    let count = model.stages.count + 1
    // Copies of the places are made when they are first written to.
    for _ in 0..<6 { try Memory.reserve(64 + count * MemoryLayout<Int>.stride) }
    let (signals, inputGradients) = (List<Signal>(), List<MutableFloats?>())
    let none = Signal(values: MutableFloats(bitPattern: 64)!, steps: 0, batch: 0, width: 0)
    for _ in 0..<count { try signals.append(none) }
    for _ in 0..<model.wiring.count { try inputGradients.append(Optional.none) }
    let run = Run(
      model, mode, number: number, end: end ?? model.stages.count, scratch ?? Scratch(),
      places: Array(repeating: 0, count: count), signals, inputGradients)
    for i in 0..<count {
      (run.outputPlaces[i], run.maskPlaces[i], run.workspacePlaces[i]) = (0, 0, 0)
      (run.gradientPlaces[i], run.signalSteps[i]) = (0, 0)
    }
    try Memory.check()
    return run
  }

  private static func inputWidth(_ model: Model) -> Int {
    guard case .values(let shape) = model.input else { return 1 }
    var width = 1
    for axis in (shape.rank > 1 ? 1 : 0)..<shape.rank { width = Carver.product(width, shape[axis]) }
    return width
  }

  /// Floats that hold a byte for each row of each step.
  private func maskCount(_ steps: Int, _ batch: Int) -> Int { (Carver.product(steps, batch) + 3) / 4 }

  /// Makes room for a batch.
  @inline(never) public func prepare(steps: Int, batch: Int) throws(LSTMError) {
    padding = .none
    if (steps, batch) == (self.steps, self.batch) { return try scratch.prepare(scratchCount, model.allocator) }
    // Until all has its place, the run is ready for nothing.
    (self.steps, self.batch) = (0, 0)
    var (own, passing) = (Carver(), Carver())
    inputPlace = own.take(steps, batch, inputWidth)
    maskPlace = own.take(maskCount(steps, batch))
    startsPlace = own.take(2, steps + 1)
    signalSteps[model.firstStage] = steps
    for i in model.firstStage..<end {
      let stage = model.stages[i]
      let stageSteps = try model.accepted(try inputSteps(i), by: stage)
      let others = signalSteps[model.wiring.inputs(of: i)[model.wiring.inputs(of: i).count - 1]]
      workspacePlaces[i] = passing.take(
        stage.workspaceCount(steps: stageSteps, otherSteps: others, batch: batch, mode, model.kernels))
      maskPlaces[i] = own.take(stage.changesMask ? maskCount(stage.outputSteps(stageSteps), batch) : 0)
      signalSteps[i + 1] = stage.outputSteps(stageSteps)
      let count = outputCount(i, batch: batch)
      outputPlaces[i] = outputStays(i) ? own.take(count) : passing.take(count)
    }
    for i in end..<model.stages.count {
      outputPlaces[i] = outputPlaces[end - 1]
      workspacePlaces[i] = passing.take(
        model.stages[i].workspaceCount(steps: signalSteps[end], batch: batch, mode, model.kernels))
    }
    if mode == .train { placeGradients(batch: batch, &own, &passing) }
    scratchCount = passing.count
    try scratch.prepare(scratchCount, model.allocator)
    if (memory?.byteCount ?? 0) / MemoryLayout<Float>.stride < own.count {
      memory = nil
      memory = try Buffer.make(model.allocator, own.count, of: Float.self)
    }
    (self.steps, self.batch) = (steps, batch)
  }

  /// Whether a stage's output lies in the run's own memory.
  private func outputStays(_ stage: Int) -> Bool {
    stage >= end - 1 || (sparseReplacesOutput && stage == model.firstStage)
  }

  /// Steps of what reaches a stage first.
  private func inputSteps(_ stage: Int) throws(LSTMError) -> Int {
    let inputs = model.wiring.inputs(of: stage)
    let alike = inputs[(model.stages[stage].joinsSequences ? min(1, inputs.count - 1) : 0)...]
    for input in alike where signalSteps[input] != signalSteps[alike[alike.startIndex]] {
      throw .argument(
        "x: expected inputs of the same number of timesteps for layer \"\(model.stages[stage].name)\""
          + ", got \(signalSteps[alike[alike.startIndex]]) and \(signalSteps[input])")
    }
    return signalSteps[inputs[0]]
  }

  /// Floats of a stage's output.
  private func outputCount(_ stage: Int, batch: Int) -> Int {
    Carver.product(Carver.product(signalSteps[stage + 1], batch), model.stages[stage].outputWidth)
  }

  /// In a chain two places take turns, but where a stage writes a gradient over the one that it reads; in a graph each
  /// signal has one. A sparse gradient stays after the pass.
  private func placeGradients(batch: Int, _ own: inout Carver, _ passing: inout Carver) {
    let first = model.firstStage
    var added = 0
    if model.isChain {
      var (sizes, slot) = ((0, 0), 0)
      for i in first..<end where !isSparse(i) {
        if i > first, !isSparse(i - 1), !model.stages[i].allowsGradientInPlace { slot = 1 - slot }
        gradientPlaces[i] = slot
        let count = outputCount(i, batch: batch)
        sizes = slot == 0 ? (max(sizes.0, count), sizes.1) : (sizes.0, max(sizes.1, count))
      }
      let places = (passing.take(sizes.0), passing.take(sizes.1))
      for i in first..<end where !isSparse(i) { gradientPlaces[i] = gradientPlaces[i] == 0 ? places.0 : places.1 }
    } else {
      for i in first..<end where !isSparse(i) { gradientPlaces[i] = passing.take(outputCount(i, batch: batch)) }
      for i in first..<end {
        var plan = Carver()
        for signal in model.wiring.inputs(of: i) where signal > first {
          _ = plan.take(outputCount(signal - 1, batch: batch))
        }
        added = max(added, plan.count)
      }
    }
    addedPlace = passing.take(added)
    if isSparse(first) {
      sparseGradientPlace = sparseReplacesOutput ? outputPlaces[first] : own.take(outputCount(first, batch: batch))
    }
  }

  private func isSparse(_ stage: Int) -> Bool { stage == model.firstStage && model.stages[stage].hasSparseGradient }

  private func gradient(of stage: Int) -> MutableFloats {
    isSparse(stage) ? base + sparseGradientPlace : scratch.base + gradientPlaces[stage]
  }

  /// Says where the gradients of all inputs go: the first on the way back to the place of the signal's, the others to where
  /// they can be added from.
  private func layOutGradients() {
    let (wiring, first) = (model.wiring, model.firstStage)
    for i in first..<end {
      let range = wiring.range(of: i)
      var added = Carver()
      for input in range {
        let signal = wiring.inputs(of: i)[input - range.lowerBound]
        guard signal > first, model.isTrained(signal: signal) else {
          inputGradients[input] = nil
          continue
        }
        inputGradients[input] =
          model.isChain || wiring.isFirstBack(input, before: end)
          ? gradient(of: signal - 1)
          : scratch.base + addedPlace + added.take(outputCount(signal - 1, batch: batch))
      }
    }
  }

  private func inputs(of stage: Int) -> Inputs { Inputs(UnsafePointer(signals.start), model.wiring.inputs(of: stage)) }

  private var base: MutableFloats { memory?.floats ?? MutableFloats(bitPattern: 64)! }
  /// `[steps, batch, inputWidth]`, or what `starts` leaves of it.
  public var values: MutableFloats { base + inputPlace }
  /// One for each row of each step, in the place of the values.
  public var tokens: UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(values).assumingMemoryBound(to: Int32.self)
  }
  /// One for each row of each step; 0 is padding.
  public var mask: UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer(base + maskPlace).assumingMemoryBound(to: UInt8.self)
  }
  /// Of `Signal.starts`, `steps + 1` of them.
  public var starts: UnsafeMutablePointer<Int> {
    UnsafeMutableRawPointer(base + startsPlace).assumingMemoryBound(to: Int.self)
  }

  /// The same pass in other scratch, which has room for it.
  public func move(to scratch: Scratch) {
    self.scratch = scratch
    layOut()
  }

  /// Says where the rows of all stages lie; after the input is there, before a pass.
  ///
  /// - Returns: what comes out, without values yet.
  @discardableResult
  @inline(never) public func layOut() -> Signal {
    let first = model.firstStage
    var input = Signal(values: values, steps: steps, batch: batch, width: inputWidth)
    if case .values = model.input {} else { input.tokens = UnsafePointer(tokens) }
    if padding == .masked { input.mask = UnsafePointer(mask) }
    if padding == .cut { input.starts = UnsafePointer(starts) }
    signals[first] = input
    for i in first..<model.stages.count {
      let stage = model.stages[i]
      let x = signals[model.wiring.inputs(of: i)[0]]
      var y = Signal(
        values: (outputStays(i) ? base : scratch.base) + outputPlaces[i], steps: stage.outputSteps(x.steps),
        batch: batch, width: stage.outputWidth)
      y.mask = stage.outputMask(
        of: inputs(of: i), UnsafeMutableRawPointer(base + maskPlaces[i]).assumingMemoryBound(to: UInt8.self))
      if y.steps == x.steps, stage.keepsTime { y.starts = x.starts }
      if i == first, tokenProducts != nil { y.tokens = x.tokens }
      signals[i + 1] = y
    }
    if mode == .train { layOutGradients() }
    return signals[end]
  }

  /// What comes out.
  public var output: Signal { signals[end] }

  private func pass(_ stage: Int, state: MutableFloats?, _ part: Part) -> Pass {
    var pass = Pass(
      kernels: model.kernels, mode: mode, weights: Floats(model.parameters.floats),
      packed: model.packedWeights(stage), packedBackward: model.packedBackwardWeights(stage),
      workspace: scratch.base + workspacePlaces[stage], state: state,
      random: RandomSequence(
        seed: model.seed, .dropout, place: (UInt64(stage), model.training.step), branch: UInt64(number)),
      part: part)
    if stage == TokenTable.stage(of: model) { pass.tokenProducts = tokenProducts }
    return pass
  }

  /// Runs the stages before `end` (those of the run unless given) and returns what comes out of the last.
  ///
  /// - Parameters:
  ///   - start: stages before it have run already on the same input.
  ///   - states: when streaming, the states of all stages and the place of each one's.
  ///   - scale: rows, by which the places are multiplied.
  @discardableResult
  @inline(never) public func forward(
    from start: Int? = nil, to end: Int? = nil, states: (MutableFloats, UnsafePointer<Int>)? = nil, scale: Int = 1,
    _ part: Part = .whole
  ) -> Signal {
    let first = start ?? (tokenProducts == nil ? model.firstStage : TokenTable.stage(of: model))
    let end = max(first, end ?? self.end)
    for i in first..<end {
      if i > first { part.meet() }
      model.stages[i].forward(
        inputs(of: i), into: signals[i + 1], pass(i, state: states.map { $0.0 + $0.1[i] * scale }, part))
    }
    part.meet()
    return signals[end]
  }

  /// The pass forward as steps that are run again and again, for one worker, until `prepare` is called.
  public func prepareSteps(
    states: (MutableFloats, UnsafePointer<Int>), into steps: inout [LayerStep]
  ) throws(LSTMError) {
    for i in model.firstStage..<end {
      let pass = pass(i, state: states.0 + states.1[i], .whole)
      try Memory.append(model.stages[i].prepareStep(inputs(of: i), into: signals[i + 1], pass), to: &steps)
    }
  }

  /// Where the gradient with respect to the output is to be written.
  public var outputGradient: MutableFloats { gradient(of: end - 1) }

  /// Adds the gradients of all parameters, given `outputGradient`. What reaches a first layer with a sparse gradient is left
  /// for `addSparseGradient`.
  public func backward(gradients: MutableFloats, _ part: Part = .whole) {
    for i in stride(from: end - 1, through: model.firstStage, by: -1) {
      if isSparse(i) || !model.isTrained(signal: i + 1) { continue }
      if i < end - 1 { part.meet() }
      let own = model.wiring.range(of: i)
      model.stages[i].backward(
        inputs(of: i), signals[i + 1], dy: gradient(of: i),
        into: InputGradients(UnsafePointer(inputGradients.start) + own.lowerBound), gradients: gradients,
        pass(i, state: nil, part))
      if !model.isChain { addInputGradients(i, part) }
    }
  }

  /// Adds what a stage has made for signals that had gradients of other stages.
  private func addInputGradients(_ stage: Int, _ part: Part) {
    let range = model.wiring.range(of: stage)
    for input in range {
      let signal = model.wiring.inputs(of: stage)[input - range.lowerBound]
      guard let from = inputGradients[input], from != gradient(of: signal - 1) else { continue }
      // Each worker adds a share, not what it has made itself.
      part.meet()
      let own = part.range(of: signals[signal].count)
      model.kernels.add(own.count, from + own.lowerBound, to: gradient(of: signal - 1) + own.lowerBound)
    }
  }

  /// After a step of training: lets layers change what they learn without gradients.
  public func adjustWeights() {
    if !model.trainsTogether { return }
    for i in model.firstStage..<end where model.stages[i].needsWholeBatch {
      let x = signals[model.wiring.inputs(of: i)[0]]
      model.stages[i].adjust(
        model.parameters.floats, scratch.base + workspacePlaces[i], steps: x.steps, batch: x.batch)
      model.repack(stage: i, .whole)
    }
  }

  /// After `backward`: adds to the gradients of some rows of the first layer's table.
  public func addSparseGradient(_ rows: Range<Int>, gradients: MutableFloats) {
    let first = model.firstStage
    model.stages[first].addRows(
      rows, signals[first], dy: Floats(gradient(of: first)), gradients: gradients, model.kernels)
  }
}
