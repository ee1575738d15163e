public import LSTMDescription
public import LSTMKernels
public import LSTMLayers
public import LSTMTensors
public import Synchronization

/// What a model reads.
public enum Input {
  case strings(TextLayer)
  /// Indices 0..<vocabulary; with `masksZero`, 0 is padding.
  case tokens(Shape, vocabulary: Int, masksZero: Bool)
  case values(Shape)
}

/// What training has left behind so that it can go on: kept by the model, understood by LSTMTraining.
public struct TrainingState {
  /// What is trained for, as JSON: the description's member 'training'. nil until the model is compiled.
  public var description: Writer?
  /// Optimizer state: arrays of floats, most of them of the length of all parameters.
  public var slots: [Buffer] = []
  /// Batches and epochs trained on.
  public var step: UInt64 = 0
  public var epoch: UInt64 = 0
  /// Of the next step.
  public var learningRate = 0.0
  /// Whether the model's weights are the average that the optimizer keeps, and those that are trained in its slot.
  public var servesAverage = false
  /// What training has seen whose learning rate falls where the loss does.
  public var plateau: Plateau?
  /// Where the epoch is that was begun; nil: at its beginning.
  public var begun: BegunEpoch?
  /// What was gathered in the epoch that was begun: sums of losses and metrics.
  public let figures = List<Double>()

  public struct Plateau {
    public var best: Double
    /// Epochs since then.
    public var wait: UInt64 = 0
    /// Epochs in which there is no waiting.
    public var cooldown: UInt64 = 0

    public init(best: Double) { self.best = best }
  }

  public struct BegunEpoch {
    public let batches: Int
    public let samples: Int

    public init(batches: Int, samples: Int) { (self.batches, self.samples) = (batches, samples) }
  }

  public init() {}
}

/// Layers with their weights: a stack, or a graph in which each layer reads the outputs of layers before it. What the last
/// makes is the model's output.
///
/// Passes that change nothing (`Run`, `Stream`, saving) may go on in any number of threads; whatever changes weights or
/// vocabulary needs the model to itself. After each change `repack` brings the packed weights up to date.
public final class Model {
  /// One layer as described: it runs as one or more stages.
  public struct Block {
    public let type: StaticString
    public let name: String
    public let stages: Range<Int>
    /// Its fields, as members of a JSON object.
    let record: Writer
  }

  public let name: String
  public let seed: UInt64
  public let blocks: [Block]
  public let stages: [Layer]
  /// What each stage reads.
  public let wiring: Wiring
  /// The first stage that runs; before it, a text layer prepares the tokens.
  public let firstStage: Int
  public let input: Input
  public let plan: ParameterPlan
  public let kernels: Kernels
  public let allocator: Allocator
  /// All parameters, laid out by `plan`.
  public let parameters: Buffer
  /// What is known of a signal.
  struct SignalFacts: BitwiseCopyable {
    /// Whether its step t belongs to step t of the model's input.
    let keepsTime: Bool
    /// Whether it depends on anything that is trained.
    let isTrained: Bool
  }
  private let signals: List<SignalFacts>
  let isChain: Bool
  private let inputShape: Shape?
  private let usesFastActivations: Bool
  private let packed: Buffer
  private let packedPlaces: [Int]
  private var packedBackward: Buffer?
  private let packedBackwardPlaces: [Int]
  public var training = TrainingState()
  /// Who has the model to itself, beside those who only read.
  public let owner = Atomic<Owner>(.none)

  public enum Owner: UInt8, AtomicRepresentable {
    case none
    /// Between its steps, weights may be set.
    case trainer
    case fit
  }

  init(_ parts: consuming Parts, parameters: Buffer, packed: Buffer) {
    name = parts.name
    seed = parts.seed
    blocks = parts.blocks
    stages = parts.stages
    wiring = parts.wiring
    signals = parts.signals
    isChain = parts.wiring.isChain
    input = parts.input
    inputShape = parts.inputShape
    usesFastActivations = parts.usesFastActivations
    plan = parts.plan
    kernels = parts.kernels
    allocator = parts.allocator
    packedPlaces = parts.packedPlaces
    packedBackwardPlaces = parts.packedBackwardPlaces
    if case .strings = parts.input { firstStage = 1 } else { firstStage = 0 }
    var (carries, cuts, together) = (false, !parts.joinsTimes, false)
    for stage in parts.stages {
      together = together || stage.needsWholeBatch
      carries = carries || stage.carriesState
      cuts = cuts && stage.allowsTrimming
    }
    cutsPadding = carries && cuts
    trainsTogether = together
    keepsTime = parts.signals[parts.stages.count].keepsTime
    self.parameters = parameters
    self.packed = packed
  }

  /// Whether the padding behind sequences can be cut off: what it would give is what their last step gives.
  public let cutsPadding: Bool
  /// Whether step t of the output belongs to step t of the input.
  let keepsTime: Bool
  /// Whether some layer needs the whole batch in training.
  let trainsTogether: Bool

  /// Steps of the output for so many of the input.
  public func outputSteps(_ steps: Int) throws(LSTMError) -> Int {
    try outputSteps(steps, signal: stages.count)
  }

  private func outputSteps(_ steps: Int, signal: Int) throws(LSTMError) -> Int {
    if signal == firstStage { return steps }
    // All inputs of a stage have the same steps, or the first says how many come out.
    let (stage, input) = (stages[signal - 1], wiring.inputs(of: signal - 1)[0])
    return stage.outputSteps(try accepted(try outputSteps(steps, signal: input), by: stage))
  }

  /// So many steps, if a stage takes them.
  func accepted(_ steps: Int, by stage: Layer) throws(LSTMError) -> Int {
    let range = stage.acceptedSteps
    if range.contains(steps) { return steps }
    let limit = steps < range.lowerBound ? "at least \(range.lowerBound)" : "at most \(range.upperBound)"
    throw .argument("x: expected \(limit) timesteps for layer \"\(stage.name)\", got \(steps)")
  }

  /// What all numbers of a step of padding are, if a layer says it.
  var maskValue: Float? { (stages[0] as? MaskingLayer)?.value }

  /// Whether a signal depends on anything that is trained.
  func isTrained(signal: Int) -> Bool { signals[signal].isTrained }

  /// Of one sample's output.
  public var outputShape: Shape { stages[stages.count - 1].outputShape }
  /// Whether the output has an entry for each timestep.
  public var outputHasTime: Bool { outputShape.rank > 1 }

  var textLayer: TextLayer? { if case .strings(let layer) = input { layer } else { nil } }

  /// Initial weights, from the seed, rounded to the format of the weights.
  public func initialize() {
    parameters.base.initializeMemory(as: UInt8.self, repeating: 0, count: parameters.byteCount)
    for i in 0..<stages.count {
      stages[i].initialize(
        parameters.floats,
        { RandomSequence(seed: self.seed, .initialWeights, place: (UInt64(i), UInt64($0))) }, kernels)
    }
    roundWeights()
    repack()
  }

  /// Another one after each change of weights.
  public private(set) var weightsVersion = 0

  /// Says that weights have changed whose `repack` does not go over all stages.
  public func noteChange() { weightsVersion &+= 1 }

  /// After a change of weights.
  public func repack() {
    noteChange()
    for i in 0..<stages.count { repack(stage: i, .whole) }
  }

  /// One piece of the work of `repack`.
  public func repack(stage i: Int, _ part: Part) {
    stages[i].pack(parameters.floats, into: packed.floats + packedPlaces[i], kernels, part)
    if let packedBackward {
      stages[i].packBackward(parameters.floats, into: packedBackward.floats + packedBackwardPlaces[i], kernels, part)
    }
  }

  /// Bytes of all packed weights: what a pass reads at each step, but tables of which it reads a few rows.
  public var packedByteCount: Int { packedPlaces[stages.count] * MemoryLayout<Float>.stride }

  /// Floats of packed weights of a stage.
  public func packedCount(stage i: Int) -> Int { packedPlaces[i + 1] - packedPlaces[i] }

  /// Before the first training pass.
  public func prepareBackward() throws(LSTMError) {
    if packedBackward != nil { return }
    packedBackward = try Buffer.make(allocator, packedBackwardPlaces[stages.count], of: Float.self)
    repack()
  }

  func packedWeights(_ stage: Int) -> Floats { Floats(packed.floats + packedPlaces[stage]) }
  func packedBackwardWeights(_ stage: Int) -> Floats? {
    packedBackward.map { Floats($0.floats + packedBackwardPlaces[stage]) }
  }

  /// The whole description as JSON.
  public func describe() throws(LSTMError) -> Writer { try describe(nil) }

  /// - Parameter other: of another format of weights, without what it is trained for.
  func describe(_ other: WeightFormat?) throws(LSTMError) -> Writer {
    let writer = Writer()
    try writer.open("{")
    try writer.key("name")
    try writer.string(name)
    try writer.key("seed")
    try writer.number(Double(seed))
    try writer.key("activations")
    try writer.string(usesFastActivations ? "fast" : "exact")
    try writer.key("weights")
    try writer.string((other ?? weightFormat).name.text)
    if let inputShape {
      try writer.key("input_shape")
      try writer.open("[")
      for axis in 0..<inputShape.rank {
        if inputShape[axis] == Shape.any { try writer.null() } else { try writer.number(Double(inputShape[axis])) }
      }
      try writer.close("]")
    }
    try writer.key("layers")
    try writer.open("[")
    for block in blocks {
      try writer.open("{")
      try writer.json(block.record)
      try stages[block.stages.lowerBound].describeLearned(writer)
      try writer.close("}")
      try Memory.check()
    }
    try writer.close("]")
    if other == nil, let training = training.description {
      try writer.key("training")
      try writer.json(training)
    }
    try writer.close("}")
    return writer
  }
}
