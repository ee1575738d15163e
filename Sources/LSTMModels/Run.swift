public import LSTMKernels
public import LSTMLayers
public import LSTMTensors

/// The working memory of passes through a model, and the passes themselves.
///
/// One block of memory, sized by `prepare` for a batch and kept while batches are no larger. Use: `prepare`, fill
/// `tokens` or `values` and `mask` (Feed does), perhaps `trim`, then `forward` and `backward`.
public final class Run {
  public let model: Model
  private let mode: Mode
  private var memory: Buffer?
  public private(set) var steps = 0
  public private(set) var batch = 0
  /// Whether rows have padding, as the mask tells.
  public var isMasked = false

  // Places in the memory, in floats.
  private var inputPlace = 0
  private var maskPlace = 0
  private var outputPlaces: [Int]
  private var maskPlaces: [Int]
  private var workspacePlaces: [Int]
  private var gradientPlaces = (0, 0)
  /// What goes into each stage, and last what comes out.
  private var signals: [Signal]

  private init(_ model: Model, _ mode: Mode, places: [Int], signals: [Signal]) {
    (self.model, self.mode) = (model, mode)
    (outputPlaces, maskPlaces, workspacePlaces) = (places, places, places)
    self.signals = signals
  }

  public static func make(_ model: Model, _ mode: Mode) throws(LSTMError) -> Run {
    let count = model.stages.count + 1
    // Two copies of the places are made when they are first written to.
    for _ in 0..<4 { try Memory.reserve(64 + count * MemoryLayout<Signal>.stride) }
    let none = Signal(values: MutableFloats(bitPattern: 64)!, steps: 0, batch: 0, width: 0)
    let run = Run(
      model, mode, places: Array(repeating: 0, count: count), signals: Array(repeating: none, count: count))
    for i in 0..<count { (run.outputPlaces[i], run.maskPlaces[i], run.workspacePlaces[i]) = (0, 0, 0) }
    try Memory.check()
    return run
  }

  /// Numbers in one step of one row of what goes in.
  public var inputWidth: Int {
    guard case .values(let shape) = model.input else { return 1 }
    var width = 1
    for axis in (shape.rank > 1 ? 1 : 0)..<shape.rank { width = Carver.product(width, shape[axis]) }
    return width
  }

  /// Makes room for a batch.
  @inline(never) public func prepare(steps: Int, batch: Int) throws(LSTMError) {
    var plan = Carver()
    inputPlace = plan.take(steps, batch, inputWidth)
    maskPlace = plan.take((Carver.product(steps, batch) + 3) / 4)
    var largest = 0
    var stageSteps = steps
    for i in model.firstStage..<model.stages.count {
      let stage = model.stages[i]
      workspacePlaces[i] = plan.take(stage.workspaceCount(steps: stageSteps, batch: batch, mode, model.kernels))
      maskPlaces[i] = plan.take(stage.changesMask ? (Carver.product(stageSteps, batch) + 3) / 4 : 0)
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
    isMasked = false
  }

  private var base: MutableFloats { memory?.floats ?? MutableFloats(bitPattern: 64)! }
  /// `[steps, batch, inputWidth]`.
  public var values: MutableFloats { base + inputPlace }
  /// `[steps, batch]`, in the place of the values.
  public var tokens: UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(values).assumingMemoryBound(to: Int32.self)
  }
  /// `[steps, batch]`; 0 is padding.
  public var mask: UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer(base + maskPlace).assumingMemoryBound(to: UInt8.self)
  }

  /// Cuts steps off the end that are padding in every row.
  public func trim() {
    guard isMasked, !model.stages.contains(where: { !$0.allowsTrimming }) else { return }
    while steps > 1 {
      let last = mask + (steps - 1) * batch
      for row in 0..<batch where last[row] != 0 { return }
      steps -= 1
    }
  }

  private func pass(_ stage: Int, state: MutableFloats?) -> Pass {
    Pass(
      kernels: model.kernels, mode: mode, weights: Floats(model.parameters.floats),
      packed: model.packedWeights(stage), packedBackward: model.packedBackwardWeights(stage),
      workspace: base + workspacePlaces[stage], state: state,
      random: RandomSequence(seed: model.seed, .dropout, place: (UInt64(stage), model.training.step)))
  }

  /// Runs the stages before `end` (all of them unless given) and returns what comes out of the last.
  ///
  /// - Parameters:
  ///   - start: stages before it have run already on the same input.
  ///   - states: when streaming, the states of all stages and the place of each one's.
  @discardableResult
  @inline(never) public func forward(
    from start: Int? = nil, to end: Int? = nil, states: (MutableFloats, UnsafePointer<Int>)? = nil
  ) -> Signal {
    let first = model.firstStage
    let end = end ?? model.stages.count
    if start == nil {
      var input = Signal(values: values, steps: steps, batch: batch, width: inputWidth)
      if case .values = model.input {} else { input.tokens = UnsafePointer(tokens) }
      if isMasked { input.mask = UnsafePointer(mask) }
      signals[first] = input
    }
    for i in (start ?? first)..<max(start ?? first, end) {
      let stage = model.stages[i]
      let x = signals[i]
      var y = Signal(
        values: base + outputPlaces[i], steps: stage.outputSteps(x.steps), batch: batch, width: stage.outputWidth)
      y.mask = stage.outputMask(
        of: x, UnsafeMutableRawPointer(base + maskPlaces[i]).assumingMemoryBound(to: UInt8.self))
      stage.forward(x, into: y, pass(i, state: states.map { $0.0 + $0.1[i] }))
      signals[i + 1] = y
    }
    return signals[end]
  }

  /// Where the gradient with respect to the output of the stages before `end` is to be written.
  public var outputGradient: MutableFloats { base + gradientPlaces.0 }

  /// Adds the gradients of all parameters of the stages before `end`, given `outputGradient`.
  public func backward(to end: Int, gradients: MutableFloats) {
    var (dy, dx) = (base + gradientPlaces.0, base + gradientPlaces.1)
    for i in stride(from: end - 1, through: model.firstStage, by: -1) {
      let isFirst = i == model.firstStage || !model.hasTrainable(before: i)
      model.stages[i].backward(
        signals[i], signals[i + 1], dy: dy, into: isFirst ? nil : dx, gradients: gradients, pass(i, state: nil))
      if isFirst { return }
      swap(&dy, &dx)
    }
  }
}

extension Model {
  /// Whether a stage before this one has anything to train.
  func hasTrainable(before stage: Int) -> Bool {
    for i in 0..<stage where stages[i].parameters.contains(where: { $0.isTrainable }) { return true }
    return false
  }
}
