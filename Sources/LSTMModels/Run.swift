public import LSTMKernels
public import LSTMLayers
public import LSTMTensors

/// The working memory of passes through a model, and the passes themselves.
///
/// Sized by `prepare` for a batch and kept while batches are no larger. Use: `prepare`, fill each input's `tokens` or
/// `values` and perhaps `mask` or `starts` (Feed does), `layOut`, then `forward` and `backward`, which several workers may
/// call together. Inputs, outputs and sparse gradients lie in memory of the run's own, all else in scratch.
///
/// Longer than 300 lines because what is laid out here is what the passes go by.
public final class Run {
  public let model: Model
  /// What passes read: the model's, or those that the call has pinned.
  public var weights: Weights
  private let mode: Mode
  /// Which part of a batch this is: it decides what dropout draws.
  private let number: Int
  private var memory: Buffer?
  private var scratch: Scratch
  /// Floats of scratch that a pass needs; after `prepare`.
  public private(set) var scratchCount = 0
  public private(set) var batch = 0
  /// How an input's padding is told.
  public enum Padding: BitwiseCopyable {
    case none
    /// By the mask.
    case masked
    /// By `starts`: it is not there.
    case cut
  }

  /// An input of the model.
  private struct Entry: BitwiseCopyable {
    /// Numbers in one step of one row.
    let width: Int
    /// It holds tokens.
    let hasTokens: Bool
    let maskValue: Float?
    var steps = 0
    var padding = Padding.none
    // Places in the memory, in floats.
    var place = 0
    var maskPlace = 0
  }
  private let entries: List<Entry>
  /// Whether all has its place for the entries' steps and the batch.
  private var isPlanned = false
  /// Of all tokens, made by the stage after the first, which then needs nothing of it; set before `layOut`.
  var tokenProducts: Floats?
  private var startsPlace = 0
  /// The states of all stages, those of each at its place times the rows, where the batch is a chunk of sequences; set before
  /// a pass.
  public var carried: (states: Carried, places: UnsafePointer<Int>)?
  // Of the stages: places in the memory and in the scratch.
  private let maskPlaces: List<Int>
  private let workspacePlaces: List<Int>
  /// Stages that passes leave out, activations or what decides by a chain: their inputs are taken for outputs, and if they
  /// run they write over them.
  private let deferred: List<Bool>
  /// The signals that are taken for the model's outputs.
  private let ends: List<Int>
  /// Which half of an encoder and decoder this is; nil: the whole model.
  private let half: Half?
  // Of the signals, by their numbers in `Wiring`. Those that stay lie in the memory, the others in the scratch.
  private let signals: List<Signal>
  private let outputPlaces: List<Int>
  private let gradientPlaces: List<Int>
  private let signalSteps: List<Int>
  /// Where gradients are made that are to be added to those that other stages have given a signal.
  private var addedPlace = 0
  /// Whether the sparse gradient takes the place of the first stage's output, which nobody reads by then.
  private let sparseReplacesOutput: Bool
  /// Where each input of each stage, in the order of `Wiring`, is to get its gradient.
  private let inputGradients: List<MutableFloats?>

  private init(
    _ model: Model, _ mode: Mode, number: Int, _ scratch: Scratch, _ parts: Lists, _ half: Half?,
    sparseReplacesOutput: Bool
  ) {
    (self.model, self.mode, self.number, self.scratch) = (model, mode, number, scratch)
    weights = model.currentWeights
    (entries, deferred, ends, signals) = (parts.entries, parts.deferred, parts.ends, parts.signals)
    (maskPlaces, workspacePlaces) = (parts.maskPlaces, parts.workspacePlaces)
    (outputPlaces, gradientPlaces, signalSteps) = (parts.outputPlaces, parts.gradientPlaces, parts.signalSteps)
    (inputGradients, self.sparseReplacesOutput, self.half) = (parts.inputGradients, sparseReplacesOutput, half)
  }

  /// One half of the stages: those that do not read the target, or, with what the others have made of a source, those that do.
  public struct Half {
    let split: DecoderSplit
    let isDecoder: Bool
    /// What the decoder reads, if there is an encoder.
    var encoder: Run?
    /// Steps that the decoder may make, if that must be known.
    var window = 0
  }

  /// What a run is made of, before it is one.
  private struct Lists {
    let entries = List<Entry>()
    let deferred = List<Bool>()
    let ends = List<Int>()
    let signals = List<Signal>()
    let maskPlaces = List<Int>()
    let workspacePlaces = List<Int>()
    let outputPlaces = List<Int>()
    let gradientPlaces = List<Int>()
    let signalSteps = List<Int>()
    let inputGradients = List<MutableFloats?>()
  }

  /// - Parameters:
  ///   - endsEarly: of a model of one output, whether passes end before its last stage.
  ///   - deferred: the same of each output of any model.
  ///   - scratch: to begin with; unless given, the run has some for itself.
  public static func make(
    _ model: Model, _ mode: Mode, number: Int = 0, endsEarly: Bool = false,
    deferred: UnsafeBufferPointer<Bool>? = nil, half: Half? = nil, in scratch: Scratch? = nil
  ) throws(LSTMError) -> Run {
    let (parts, wiring) = (Lists(), model.wiring)
    let none = Signal(values: MutableFloats(bitPattern: 64)!, steps: 0, batch: 0, width: 0)
    for entry in model.ports.entries {
      var hasTokens = true
      if case .values = entry.input { hasTokens = false }
      try parts.entries.append(
        Entry(width: width(entry.input), hasTokens: hasTokens, maskValue: entry.maskValue))
    }
    for _ in 0..<model.stages.count {
      try parts.deferred.append(false)
      try parts.maskPlaces.append(0)
      try parts.workspacePlaces.append(0)
    }
    for _ in 0..<wiring.signalCount {
      try parts.signals.append(none)
      try parts.outputPlaces.append(0)
      try parts.gradientPlaces.append(0)
      try parts.signalSteps.append(0)
    }
    for _ in 0..<wiring.count { try parts.inputGradients.append(Optional.none) }
    for (i, exit) in model.ports.exits.enumerated() {
      var signal = exit.signal
      if deferred?[i] ?? endsEarly, let stage = wiring.maker(of: signal).stage {
        parts.deferred[stage] = true
        signal = wiring.inputs(of: stage)[0]
      }
      try parts.ends.append(signal)
    }
    let sparseReplacesOutput = mode.keepsTape && replacesOutput(model, parts.ends)
    try Memory.check()
    return Run(
      model, mode, number: number, scratch ?? Scratch(), parts, half, sparseReplacesOutput: sparseReplacesOutput)
  }

  private static func replacesOutput(_ model: Model, _ ends: List<Int>) -> Bool {
    guard model.isChain, let first = (0..<model.stages.count).first(where: { model.runs($0) }) else { return false }
    return model.stages[first].hasSparseGradient && ends[0] > model.wiring.output(of: first)
      && model.stages[first + 1].allowsGradientInPlace
  }

  private static func width(_ input: Input) -> Int {
    guard case .values(let shape) = input else { return 1 }
    var width = 1
    for axis in (shape.rank > 1 ? 1 : 0)..<shape.rank { width = Carver.product(width, shape[axis]) }
    return width
  }

  // MARK: Inputs

  /// Numbers in one step of one row of an input.
  public func width(_ entry: Int = 0) -> Int { entries[entry].width }
  public var inputWidth: Int { width() }
  public func hasTokens(_ entry: Int = 0) -> Bool { entries[entry].hasTokens }
  /// What all numbers of a step of padding are, if a layer says it.
  public func maskValue(_ entry: Int = 0) -> Float? { entries[entry].maskValue }
  public func steps(_ entry: Int) -> Int { entries[entry].steps }
  /// Of the longest input.
  public var steps: Int {
    var most = 0
    for i in 0..<entries.count { most = max(most, entries[i].steps) }
    return most
  }
  public func padding(_ entry: Int) -> Padding { entries[entry].padding }
  public func setPadding(_ entry: Int = 0, _ padding: Padding) { entries[entry].padding = padding }

  /// `[steps, batch, width]`, or what `starts` leaves of it.
  public func values(_ entry: Int) -> MutableFloats { base + entries[entry].place }
  /// One for each row of each step, in the place of the values.
  public func tokens(_ entry: Int) -> UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(values(entry)).assumingMemoryBound(to: Int32.self)
  }
  /// One for each row of each step; 0 is padding.
  public func mask(_ entry: Int) -> UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer(base + entries[entry].maskPlace).assumingMemoryBound(to: UInt8.self)
  }
  /// Of `Signal.starts`, `steps + 1` of them, for all inputs whose padding is cut.
  public var starts: UnsafeMutablePointer<Int> {
    UnsafeMutableRawPointer(base + startsPlace).assumingMemoryBound(to: Int.self)
  }

  // Those of a model's only input.
  public var values: MutableFloats { values(0) }
  public var tokens: UnsafeMutablePointer<Int32> { tokens(0) }
  public var mask: UnsafeMutablePointer<UInt8> { mask(0) }
  public var padding: Padding {
    get { padding(0) }
    set { setPadding(0, newValue) }
  }

  // MARK: Memory

  private var base: MutableFloats { memory?.floats ?? MutableFloats(bitPattern: 64)! }

  /// Floats that hold a byte for each row of each step.
  private func maskCount(_ steps: Int, _ batch: Int) -> Int { (Carver.product(steps, batch) + 3) / 4 }

  /// Whether passes run a stage.
  private func runs(_ stage: Int) -> Bool { !deferred[stage] && isOwn(stage) }

  /// Whether a stage is this run's.
  private func isOwn(_ stage: Int) -> Bool {
    guard let half else { return model.runs(stage) }
    return model.runs(stage) && half.split.decodes(stage) == half.isDecoder
  }

  /// What the encoder has made, if a signal comes from there.
  private func given(_ signal: Int) -> Signal? {
    guard let half, let encoder = half.encoder, !half.split.isDecoded(signal) else { return nil }
    return encoder.signals[signal]
  }

  /// Makes room for a batch of as many steps of every input.
  public func prepare(steps: Int, batch: Int) throws(LSTMError) { try prepare(batch: batch) { _ in steps } }

  /// Makes room for a batch.
  ///
  /// - Parameter steps: those of each input.
  @inline(never) public func prepare(batch: Int, steps: (Int) -> Int) throws(LSTMError) {
    var isSame = isPlanned && batch == self.batch
    for i in 0..<entries.count {
      entries[i].padding = .none
      isSame = isSame && entries[i].steps == steps(i)
    }
    if isSame { return try scratch.prepare(scratchCount, model.allocator) }
    isPlanned = false
    var (own, passing) = (Carver(), Carver())
    self.batch = batch
    for i in 0..<entries.count {
      let count = steps(i)
      entries[i].place = own.take(count, batch, entries[i].width)
      entries[i].maskPlace = own.take(maskCount(count, batch))
      entries[i].steps = count
      signalSteps[model.ports.entries[i].signal] = count
    }
    startsPlace = own.take(2, self.steps + 1)
    for signal in 0..<model.wiring.signalCount { if let given = given(signal) { signalSteps[signal] = given.steps } }
    for i in 0..<model.stages.count where isOwn(i) { try place(stage: i, &own, &passing) }
    if mode.keepsTape { placeGradients(&own, &passing) }
    scratchCount = passing.count
    try scratch.prepare(scratchCount, model.allocator)
    if (memory?.byteCount ?? 0) / MemoryLayout<Float>.stride < own.count {
      memory = nil
      memory = try Buffer.make(model.allocator, own.count, of: Float.self)
    }
    isPlanned = true
  }

  private func place(stage i: Int, _ own: inout Carver, _ passing: inout Carver) throws(LSTMError) {
    let (stage, signal) = (model.stages[i], model.wiring.output(of: i))
    let steps = try model.accepted(try inputSteps(i), by: stage)
    signalSteps[signal] = stage.outputSteps(steps)
    let inputs = model.wiring.inputs(of: i)
    workspacePlaces[i] = passing.take(
      stage.workspaceCount(
        steps: steps, otherSteps: signalSteps[inputs[inputs.count - 1]], batch: batch, mode, model.kernels)
        &+ (half.map { stage.windowCount($0.window, batch: batch) } ?? 0))
    if deferred[i] {
      outputPlaces[signal] = outputPlaces[inputs[0]]
      return
    }
    maskPlaces[i] = own.take(stage.changesMask ? maskCount(stage.outputSteps(steps), batch) : 0)
    outputPlaces[signal] = stays(signal) ? own.take(count(of: signal)) : passing.take(count(of: signal))
    for port in 0..<stage.stateCount {
      guard let state = model.wiring.signal(i, 1 + port) else { continue }
      signalSteps[state] = 1
      outputPlaces[state] = stays(state) ? own.take(count(of: state)) : passing.take(count(of: state))
    }
  }

  /// Where the states of a stage are wanted, or with `gradients` their gradients are.
  private func states(of stage: Int, gradients: Bool) -> Pass.States {
    func place(_ port: Int) -> MutableFloats? {
      model.wiring.signal(stage, port).map { gradients ? gradient(of: $0) : signals[$0].values }
    }
    let hasNone = model.isChain || model.stages[stage].stateCount == 0
    return hasNone ? (nil, nil, nil, nil) : (place(1), place(2), place(3), place(4))
  }

  private func isEnd(_ signal: Int) -> Bool { ends.elements.contains(signal) }

  /// Whether what a stage makes lies in the run's own memory.
  private func stays(_ signal: Int) -> Bool {
    guard let stage = model.wiring.maker(of: signal).stage else { return true }
    return isEnd(signal) || deferred[stage] || (sparseReplacesOutput && model.stages[stage].hasSparseGradient)
  }

  /// Steps of what reaches a stage first.
  private func inputSteps(_ stage: Int) throws(LSTMError) -> Int {
    let inputs = model.wiring.inputs(of: stage)
    let first = model.stages[stage].joinsSequences ? min(1, inputs.count - 1) : 0
    let steps = signalSteps[inputs[first]]
    for place in first..<inputs.count
    where signalSteps[inputs[place]] != steps && model.stages[stage].readsSteps(of: place) {
      throw .argument(
        "x: expected inputs of the same number of timesteps for layer \"\(model.stages[stage].name)\""
          + ", got \(steps) and \(signalSteps[inputs[place]])")
    }
    return signalSteps[inputs[0]]
  }

  /// Numbers of a signal in one step of one row.
  private func width(of signal: Int) -> Int {
    let maker = model.wiring.maker(of: signal)
    guard let stage = maker.stage else { return width(maker.port) }
    return maker.port == 0 ? model.stages[stage].outputWidth : model.stages[stage].stateWidth(maker.port - 1)
  }

  /// Floats of what a stage makes.
  private func count(of signal: Int) -> Int {
    Carver.product(Carver.product(signalSteps[signal], batch), width(of: signal))
  }

  // MARK: Gradients

  /// In a chain two places take turns, but where a stage writes a gradient over the one that it reads; in a graph each
  /// signal has one. A sparse gradient stays after the pass.
  private func placeGradients(_ own: inout Carver, _ passing: inout Carver) {
    if model.isChain {
      placeGradientsOfChain(&passing)
    } else {
      for i in 0..<model.stages.count where runs(i) && !isSparse(i) {
        let signal = model.wiring.output(of: i)
        gradientPlaces[signal] = passing.take(count(of: signal))
      }
      for signal in 0..<model.wiring.signalCount where model.wiring.maker(of: signal).port > 0 && takesGradient(signal)
      {
        gradientPlaces[signal] = passing.take(count(of: signal))
      }
    }
    var added = 0
    for i in 0..<model.stages.count where runs(i) {
      let signal = model.wiring.output(of: i)
      if isSparse(i) {
        gradientPlaces[signal] = sparseReplacesOutput ? outputPlaces[signal] : own.take(count(of: signal))
      }
      if model.isChain { continue }
      var plan = Carver()
      for input in model.wiring.inputs(of: i) where takesGradient(input) { _ = plan.take(count(of: input)) }
      added = max(added, plan.count)
    }
    addedPlace = passing.take(added)
    for entry in model.ports.entries where takesGradient(entry.signal) && !hasStage(entry.signal) {
      gradientPlaces[entry.signal] = own.take(count(of: entry.signal))
    }
  }

  private func hasStage(_ signal: Int) -> Bool { model.wiring.maker(of: signal).stage != nil }

  private func placeGradientsOfChain(_ passing: inout Carver) {
    var (sizes, slot) = ((0, 0), 0)
    var isFirst = true
    for i in 0..<model.stages.count where runs(i) && !isSparse(i) {
      let signal = model.wiring.output(of: i)
      if !isFirst, !model.stages[i].allowsGradientInPlace { slot = 1 - slot }
      isFirst = false
      gradientPlaces[signal] = slot
      let count = count(of: signal)
      sizes = slot == 0 ? (max(sizes.0, count), sizes.1) : (sizes.0, max(sizes.1, count))
    }
    let places = (passing.take(sizes.0), passing.take(sizes.1))
    for i in 0..<model.stages.count where runs(i) && !isSparse(i) {
      let signal = model.wiring.output(of: i)
      gradientPlaces[signal] = gradientPlaces[signal] == 0 ? places.0 : places.1
    }
  }

  private func isSparse(_ stage: Int) -> Bool { model.stages[stage].hasSparseGradient }

  func gradient(of signal: Int) -> MutableFloats {
    let isOwn = model.wiring.maker(of: signal).stage.map { isSparse($0) } ?? true
    return (isOwn ? base : scratch.base) + gradientPlaces[signal]
  }

  /// Whether a signal comes from a stage that runs or is an input of the model, and depends on what gradients are wanted of.
  private func takesGradient(_ signal: Int) -> Bool {
    let runs = model.wiring.maker(of: signal).stage.map { model.runs($0) } ?? true
    return runs && model.isTrained(signal: signal)
  }

  /// Says where the gradients of all inputs go: the first on the way back to the place of the signal's, the others, and
  /// those of outputs of the model, to where they can be added from.
  private func layOutGradients() {
    let wiring = model.wiring
    for i in 0..<model.stages.count where runs(i) {
      let range = wiring.range(of: i)
      var added = Carver()
      for input in range {
        let signal = wiring.inputs(of: i)[input - range.lowerBound]
        guard takesGradient(signal) else {
          inputGradients[input] = nil
          continue
        }
        inputGradients[input] =
          model.isChain || (!isEnd(signal) && wiring.isFirstBack(input))
          ? gradient(of: signal) : scratch.base + addedPlace + added.take(count(of: signal))
      }
    }
  }

  // MARK: Passes

  private func inputs(of stage: Int) -> Inputs { Inputs(UnsafePointer(signals.start), model.wiring.inputs(of: stage)) }

  /// The same pass in other scratch, which has room for it.
  public func move(to scratch: Scratch) {
    self.scratch = scratch
    layOut()
  }

  /// Says where the rows of all stages lie; after the inputs are there, before a pass.
  ///
  /// - Returns: the first output, without values yet.
  @discardableResult
  @inline(never) public func layOut() -> Signal {
    for i in 0..<entries.count {
      var input = Signal(values: values(i), steps: steps(i), batch: batch, width: width(i))
      if hasTokens(i) { input.tokens = UnsafePointer(tokens(i)) }
      if padding(i) == .masked { input.mask = UnsafePointer(mask(i)) }
      if padding(i) == .cut { input.starts = UnsafePointer(starts) }
      signals[model.ports.entries[i].signal] = input
    }
    for signal in 0..<model.wiring.signalCount { if let given = given(signal) { signals[signal] = given } }
    for i in 0..<model.stages.count where isOwn(i) {
      let (stage, signal) = (model.stages[i], model.wiring.output(of: i))
      let x = signals[model.wiring.inputs(of: i)[0]]
      var y = Signal(
        values: (stays(signal) ? base : scratch.base) + outputPlaces[signal], steps: stage.outputSteps(x.steps),
        batch: batch, width: stage.outputWidth)
      y.mask = stage.outputMask(
        of: inputs(of: i), UnsafeMutableRawPointer(base + maskPlaces[i]).assumingMemoryBound(to: UInt8.self))
      if y.steps == x.steps, stage.keepsTime { y.starts = x.starts }
      if tokenProducts != nil, i + 1 == model.tokenReader { y.tokens = x.tokens }
      signals[signal] = y
      for port in 0..<stage.stateCount {
        guard let state = model.wiring.signal(i, 1 + port) else { continue }
        signals[state] = Signal(
          values: (stays(state) ? base : scratch.base) + outputPlaces[state], steps: 1, batch: batch,
          width: stage.stateWidth(port))
      }
    }
    if mode.keepsTape { layOutGradients() }
    return output
  }

  func signal(_ i: Int) -> Signal { signals[i] }
  /// What comes out as one of the model's outputs.
  public func output(_ i: Int) -> Signal { signals[ends[i]] }
  public var output: Signal { output(0) }
  /// What reaches a stage first of its inputs.
  func input(of stage: Int) -> Signal { signals[model.wiring.inputs(of: stage)[0]] }

  private func pass(_ stage: Int, state: MutableFloats?, _ part: Part) -> Pass {
    var pass = Pass(
      kernels: model.kernels, mode: mode, weights: Floats(weights.parameters.floats),
      packed: model.packedWeights(weights, stage), packedBackward: model.packedBackwardWeights(stage),
      workspace: scratch.base + workspacePlaces[stage], state: state,
      random: RandomSequence(
        seed: model.seed, .dropout, place: (UInt64(stage), model.training.step), branch: UInt64(number)),
      part: part)
    if tokenProducts != nil, stage == model.tokenReader { pass.tokenProducts = tokenProducts }
    if let half { pass.window = half.window }
    if let carried { pass.carried = carried.states.advanced(by: carried.places[stage] * batch) }
    return pass
  }

  /// After `forward`: what was inside of a stage, as `Layer.writeInside`.
  func writeInside(_ i: Int, of stage: Int, shape: Shape, to sample: (Int) -> MutableFloats) {
    model.stages[stage].writeInside(
      i, inputs(of: stage), signals[model.wiring.output(of: stage)], pass(stage, state: nil, .whole), shape: shape,
      to: sample)
  }

  /// Runs all stages, or those before `end`, and returns the first output.
  ///
  /// - Parameters:
  ///   - begin: the first stage, if those before it have run.
  ///   - states: when streaming, the states of all stages and the place of each one's.
  ///   - scale: rows, by which the places are multiplied.
  @discardableResult
  @inline(never) public func forward(
    from begin: Int = 0, to end: Int? = nil, states: (MutableFloats, UnsafePointer<Int>)? = nil, scale: Int = 1,
    _ part: Part = .whole
  ) -> Signal {
    let first = tokenProducts == nil ? begin : model.tokenReader ?? 0
    for i in min(first, end ?? first)..<(end ?? model.stages.count) where runs(i) {
      var pass = pass(i, state: states.map { $0.0 + $0.1[i] * scale }, part)
      pass.states = self.states(of: i, gradients: false)
      model.stages[i].forward(inputs(of: i), into: signals[model.wiring.output(of: i)], pass)
      part.meet()
    }
    return output
  }

  /// After `forward`: runs what an output was taken before, and returns what then comes out.
  public func finish(_ i: Int) -> Signal {
    let signal = model.ports.exits[i].signal
    if let stage = model.wiring.maker(of: signal).stage, deferred[stage] {
      model.stages[stage].forward(inputs(of: stage), into: signals[signal], pass(stage, state: nil, .whole))
    }
    return signals[signal]
  }

  /// The pass forward as steps that are run again and again, for one worker, until `prepare` is called.
  public func prepareSteps(
    states: (MutableFloats, UnsafePointer<Int>), into steps: inout [LayerStep]
  ) throws(LSTMError) {
    for i in 0..<model.stages.count where runs(i) {
      let pass = pass(i, state: states.0 + states.1[i], .whole)
      let y = signals[model.wiring.output(of: i)]
      try Memory.append(model.stages[i].prepareStep(inputs(of: i), into: y, pass), to: &steps)
    }
  }

  /// Where the gradient with respect to an output is to be written.
  public func outputGradient(_ i: Int) -> MutableFloats { gradient(of: ends[i]) }
  public var outputGradient: MutableFloats { outputGradient(0) }

  /// Adds the gradients of all parameters, given `outputGradient`. Those of sparse ones are left for `addSparseGradient`.
  public func backward(gradients: MutableFloats, _ part: Part = .whole) {
    var isFirst = true
    for i in stride(from: model.stages.count - 1, through: 0, by: -1) where runs(i) {
      let signal = model.wiring.output(of: i)
      if isSparse(i) || !model.isTrained(signal: signal) { continue }
      if !isFirst { part.meet() }
      isFirst = false
      var pass = pass(i, state: nil, part)
      if !model.isChain {
        pass.states = states(of: i, gradients: true)
        clearUnread(signal, part)
      }
      let own = model.wiring.range(of: i)
      model.stages[i].backward(
        inputs(of: i), signals[signal], dy: gradient(of: signal),
        into: InputGradients(UnsafePointer(inputGradients.start) + own.lowerBound), gradients: gradients, pass)
      if !model.isChain { addInputGradients(i, part) }
    }
  }

  /// What nobody reads, where the states of its stage are read, has no gradient.
  private func clearUnread(_ signal: Int, _ part: Part) {
    if isEnd(signal) || model.wiring.readers(of: signal) > 0 { return }
    let own = part.range(of: signals[signal].count)
    (gradient(of: signal) + own.lowerBound).clear(own.count)
    part.meet()
  }

  /// Adds what a stage has made for signals that had gradients before.
  private func addInputGradients(_ stage: Int, _ part: Part) {
    let range = model.wiring.range(of: stage)
    for input in range {
      let signal = model.wiring.inputs(of: stage)[input - range.lowerBound]
      guard let from = inputGradients[input], from != gradient(of: signal) else { continue }
      // Each worker adds a share, not what it has made itself.
      part.meet()
      let own = part.range(of: signals[signal].count)
      model.kernels.add(own.count, from + own.lowerBound, to: gradient(of: signal) + own.lowerBound)
    }
  }

  /// After a step of training: lets layers change what they learn without gradients.
  public func adjustWeights() {
    if !model.trainsTogether { return }
    for i in 0..<model.stages.count where runs(i) && model.stages[i].needsWholeBatch {
      let x = input(of: i)
      model.stages[i].adjust(
        model.parameters.floats, scratch.base + workspacePlaces[i], steps: x.steps, batch: x.batch)
      model.repack(stage: i, .whole)
    }
  }

  /// After `backward`: adds to the gradients of some rows of the table of a stage.
  public func addSparseGradient(_ stage: Int, _ rows: Range<Int>, gradients: MutableFloats) {
    let signal = model.wiring.output(of: stage)
    model.stages[stage].addRows(
      rows, input(of: stage), dy: Floats(gradient(of: signal)), gradients: gradients, model.kernels)
  }
}
