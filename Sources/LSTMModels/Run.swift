public import LSTMKernels
public import LSTMLayers
public import LSTMTensors

/// The working memory of passes through a model, and the passes themselves.
///
/// One block of memory, sized by `prepare` for a batch and kept while batches are no larger. Use: `prepare`, fill
/// `tokens` or `values` and perhaps `mask` or `starts` (Feed does), `layOut`, then `forward` and `backward`, which several
/// workers may call together.
public final class Run {
  public let model: Model
  private let mode: Mode
  /// Which part of a batch this is: it decides what dropout draws.
  private let number: Int
  /// Numbers in one step of one row of what goes in.
  public let inputWidth: Int
  private var memory: Buffer?
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

  // Places in the memory, in floats.
  private var inputPlace = 0
  private var maskPlace = 0
  private var startsPlace = 0
  private var outputPlaces: [Int]
  private var maskPlaces: [Int]
  private var workspacePlaces: [Int]
  private var gradientPlaces = (0, 0)
  /// What goes into each stage, and last what comes out.
  private var signals: [Signal]

  private init(_ model: Model, _ mode: Mode, number: Int, places: [Int], signals: [Signal]) {
    (self.model, self.mode, self.number) = (model, mode, number)
    inputWidth = Run.inputWidth(model)
    (outputPlaces, maskPlaces, workspacePlaces) = (places, places, places)
    self.signals = signals
  }

  public static func make(_ model: Model, _ mode: Mode, number: Int = 0) throws(LSTMError) -> Run {
    let count = model.stages.count + 1
    // Two copies of the places are made when they are first written to.
    for _ in 0..<4 { try Memory.reserve(64 + count * MemoryLayout<Signal>.stride) }
    let none = Signal(values: MutableFloats(bitPattern: 64)!, steps: 0, batch: 0, width: 0)
    let run = Run(
      model, mode, number: number, places: Array(repeating: 0, count: count),
      signals: Array(repeating: none, count: count))
    for i in 0..<count { (run.outputPlaces[i], run.maskPlaces[i], run.workspacePlaces[i]) = (0, 0, 0) }
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
    var plan = Carver()
    inputPlace = plan.take(steps, batch, inputWidth)
    maskPlace = plan.take(maskCount(steps, batch))
    startsPlace = plan.take(2, steps + 1)
    var largest = 0
    var stageSteps = steps
    for i in model.firstStage..<model.stages.count {
      let stage = model.stages[i]
      workspacePlaces[i] = plan.take(stage.workspaceCount(steps: stageSteps, batch: batch, mode, model.kernels))
      maskPlaces[i] = plan.take(stage.changesMask ? maskCount(stageSteps, batch) : 0)
      stageSteps = stage.outputSteps(stageSteps)
      let count = Carver.product(Carver.product(stageSteps, batch), stage.outputWidth)
      outputPlaces[i] = plan.take(count)
      largest = max(largest, count)
    }
    if mode == .train { gradientPlaces = (plan.take(largest), plan.take(largest)) }
    if (memory?.byteCount ?? 0) / MemoryLayout<Float>.stride < plan.count {
      memory = nil
      memory = try Buffer.make(model.allocator, plan.count, of: Float.self)
    }
    (self.steps, self.batch) = (steps, batch)
    padding = .none
  }

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

  /// Says where the rows of all stages lie; after the input is there, before a pass.
  ///
  /// - Returns: what comes out of the stages before `end`, without values yet.
  @discardableResult
  @inline(never) public func layOut(to end: Int? = nil) -> Signal {
    let first = model.firstStage
    var input = Signal(values: values, steps: steps, batch: batch, width: inputWidth)
    if case .values = model.input {} else { input.tokens = UnsafePointer(tokens) }
    if padding == .masked { input.mask = UnsafePointer(mask) }
    if padding == .cut { input.starts = UnsafePointer(starts) }
    signals[first] = input
    for i in first..<model.stages.count {
      let stage = model.stages[i]
      let x = signals[i]
      var y = Signal(
        values: base + outputPlaces[i], steps: stage.outputSteps(x.steps), batch: batch, width: stage.outputWidth)
      y.mask = stage.outputMask(
        of: x, UnsafeMutableRawPointer(base + maskPlaces[i]).assumingMemoryBound(to: UInt8.self))
      if y.steps == x.steps, stage.keepsTime { y.starts = x.starts }
      signals[i + 1] = y
    }
    return signals[end ?? model.stages.count]
  }

  /// What comes out of the stages before `end`.
  public func output(of end: Int) -> Signal { signals[end] }

  private func pass(_ stage: Int, state: MutableFloats?, _ part: Part) -> Pass {
    Pass(
      kernels: model.kernels, mode: mode, weights: Floats(model.parameters.floats),
      packed: model.packedWeights(stage), packedBackward: model.packedBackwardWeights(stage),
      workspace: base + workspacePlaces[stage], state: state,
      random: RandomSequence(
        seed: model.seed, .dropout, place: (UInt64(stage), model.training.step), branch: UInt64(number)),
      part: part)
  }

  /// Runs the stages before `end` (all of them unless given) and returns what comes out of the last.
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
    let first = start ?? model.firstStage
    let end = max(first, end ?? model.stages.count)
    for i in first..<end {
      if i > first { part.meet() }
      model.stages[i].forward(
        signals[i], into: signals[i + 1], pass(i, state: states.map { $0.0 + $0.1[i] * scale }, part))
    }
    part.meet()
    return signals[end]
  }

  /// The pass forward as steps that are run again and again, for one worker, until `prepare` is called.
  public func prepareSteps(
    states: (MutableFloats, UnsafePointer<Int>), into steps: inout [LayerStep]
  ) throws(LSTMError) {
    for i in model.firstStage..<model.stages.count {
      let pass = pass(i, state: states.0 + states.1[i], .whole)
      try Memory.append(model.stages[i].prepareStep(signals[i], into: signals[i + 1], pass), to: &steps)
    }
  }

  /// Where the gradient with respect to the output of the stages before `end` is to be written.
  public var outputGradient: MutableFloats { base + gradientPlaces.0 }

  /// Adds the gradients of all parameters of the stages before `end`, given `outputGradient`. What reaches a first layer
  /// with a sparse gradient is left in `sparseGradient`.
  public func backward(to end: Int, gradients: MutableFloats, _ part: Part = .whole) {
    var (dy, dx) = (base + gradientPlaces.0, base + gradientPlaces.1)
    for i in stride(from: end - 1, through: model.firstStage, by: -1) {
      if model.stages[i].hasSparseGradient { return }
      let isFirst = i == model.firstStage || !model.hasTrainable(before: i)
      model.stages[i].backward(
        signals[i], signals[i + 1], dy: dy, into: isFirst ? nil : dx, gradients: gradients,
        pass(i, state: nil, part))
      if isFirst { return }
      part.meet()
      swap(&dy, &dx)
    }
  }

  /// After `backward`: the gradient of the first stage's output.
  public func sparseGradient(of end: Int) -> Floats {
    Floats(base + ((end - 1 - model.firstStage) % 2 == 0 ? gradientPlaces.0 : gradientPlaces.1))
  }

  /// Adds it to the gradients of some rows of the table.
  public func addSparseGradient(_ rows: Range<Int>, to end: Int, gradients: MutableFloats) {
    model.stages[model.firstStage].addRows(
      rows, signals[model.firstStage], dy: sparseGradient(of: end), gradients: gradients, model.kernels)
  }
}

extension Model {
  /// Whether a stage before this one has anything to train.
  func hasTrainable(before stage: Int) -> Bool {
    for i in 0..<stage where stages[i].parameters.contains(where: { $0.isTrainable }) { return true }
    return false
  }
}
