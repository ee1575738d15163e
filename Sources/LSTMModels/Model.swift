public import LSTMDescription
public import LSTMKernels
public import LSTMLayers
public import LSTMTensors
public import Synchronization

/// What training has left behind so that it can go on: kept by the model, understood by LSTMTraining.
public struct TrainingState {
  /// What is trained for, as JSON: the description's member 'training'. nil until the model is compiled.
  public var description: Writer?
  /// The names of the history's columns, as far as the model's outputs have a part in them: zero-terminated texts.
  public let columnNames = List<UInt8>()
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

/// Layers with their weights: a stack, or a graph in which each layer reads the outputs of layers before it and inputs of
/// the model. Some of them, or the last, make the model's outputs.
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
  /// Its inputs and outputs.
  public let ports: Ports
  public let plan: ParameterPlan
  public let kernels: Kernels
  public let allocator: Allocator
  /// What is known of a signal.
  struct SignalFacts: BitwiseCopyable {
    /// The input of the model to whose step t its step t belongs.
    var time: Int?
    /// Whether it depends on anything that is trained, or that a gradient is wanted of.
    var isTrained: Bool
  }
  private let signals: List<SignalFacts>
  let isChain: Bool
  private let usesFastActivations: Bool
  private let packedPlaces: [Int]
  private var packedBackward: Buffer?
  /// Whether weights were published that it was not made from.
  var backwardIsOld = false
  private let packedBackwardPlaces: [Int]
  public var training = TrainingState()
  /// The weights that calls read, as `PinnedWeights.word`.
  let current: Atomic<UInt>
  /// These, and where others can be written.
  var slots: [Weights]
  /// Whether some thread publishes.
  let isTaken = Atomic(false)
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
    isChain = parts.wiring.isChain && parts.ports.exits.count == 1
    ports = parts.ports
    usesFastActivations = parts.usesFastActivations
    plan = parts.plan
    kernels = parts.kernels
    allocator = parts.allocator
    packedPlaces = parts.packedPlaces
    packedBackwardPlaces = parts.packedBackwardPlaces
    var (carries, cuts, together) = (false, !parts.joinsTimes, false)
    for stage in parts.stages {
      together = together || stage.needsWholeBatch
      carries = carries || stage.carriesState
      cuts = cuts && stage.allowsTrimming
    }
    cutsPadding = carries && cuts
    trainsTogether = together
    let weights = Weights(parameters: parameters, packed: packed)
    slots = [weights]
    current = Atomic(PinnedWeights(weights, isCounted: false).word)
  }

  /// Whether the padding behind sequences can be cut off: what it would give is what their last step gives.
  public let cutsPadding: Bool
  /// Whether some layer needs the whole batch in training.
  let trainsTogether: Bool
  /// Whether a stage runs: what a text layer makes is prepared by the feed.
  public func runs(_ stage: Int) -> Bool { !(stages[stage] is TextLayer) }

  /// Steps of a signal for so many of each input of the model.
  func steps(of signal: Int, _ inputSteps: (Int) -> Int) throws(LSTMError) -> Int {
    for (i, entry) in ports.entries.enumerated() where entry.signal == signal { return inputSteps(i) }
    guard let i = wiring.maker(of: signal).stage, wiring.maker(of: signal).port == 0 else { return 1 }
    // All inputs of a stage have the same steps, or the first says how many come out.
    let (stage, input) = (stages[i], wiring.inputs(of: i)[0])
    return stage.outputSteps(try accepted(try steps(of: input, inputSteps), by: stage))
  }

  /// So many steps, if a stage takes them.
  func accepted(_ steps: Int, by stage: Layer) throws(LSTMError) -> Int {
    let range = stage.acceptedSteps
    if range.contains(steps) { return steps }
    let limit = steps < range.lowerBound ? "at least \(range.lowerBound)" : "at most \(range.upperBound)"
    throw .argument("x: expected \(limit) timesteps for layer \"\(stage.name)\", got \(steps)")
  }

  /// The input to whose steps those of a signal belong.
  func time(of signal: Int) -> Int? { signals[signal].time }

  /// Whether a signal depends on anything that is trained.
  func isTrained(signal: Int) -> Bool { signals[signal].isTrained }

  /// The first input, that of a model that has no other.
  public var input: Input { ports.entries[0].input }
  /// What makes the first output.
  var lastStage: Layer { wiring.maker(of: ports.exits[0].signal).stage.map { stages[$0] } ?? stages[stages.count - 1] }
  var textLayer: TextLayer? { ports.entries[0].textLayer }
  /// Of one sample's first output.
  public var outputShape: Shape { ports.exits[0].shape }
  /// Whether an output has an entry for each timestep.
  public var outputHasTime: Bool { ports.exits.contains { $0.hasTime } }

  /// The embedding that reads tokens of an input.
  func embedding(of entry: Ports.Entry) -> EmbeddingLayer? {
    for i in 0..<stages.count {
      if let table = stages[i] as? EmbeddingLayer, wiring.inputs(of: i)[0] == entry.signal { return table }
    }
    return nil
  }

  /// Before what knows one input and one output alone.
  ///
  /// - Parameter other: what is to be called else; nil: nothing.
  public func checkSingle(_ what: StaticString, _ other: StaticString? = nil) throws(LSTMError) {
    let (inputs, outputs) = (ports.entries.count, ports.exits.count)
    if inputs == 1, outputs == 1 { return }
    let text: Message = "\(what): expected a model of one input and one output, got \(inputs) and \(outputs)"
    guard let other else { throw .unsupported(text) }
    throw .argument(text + ": call \(other)")
  }

  /// Initial weights, from the seed, rounded to the format of the weights.
  public func initialize() {
    parameters.base.initializeMemory(as: UInt8.self, repeating: 0, count: parameters.byteCount)
    for i in 0..<stages.count {
      stages[i].initialize(
        parameters.floats,
        { RandomSequence(seed: self.seed, .initialWeights, place: (UInt64(i), UInt64($0))) }, kernels)
    }
    roundWeights(parameters.floats)
    repack()
  }

  /// Says that weights have changed whose `repack` does not go over all stages.
  public func noteChange() { currentWeights.version &+= 1 }

  /// After a change of weights.
  public func repack() {
    noteChange()
    for i in 0..<stages.count { repack(stage: i, .whole) }
  }

  /// One piece of the work of `repack`.
  public func repack(stage i: Int, _ part: Part) {
    let weights = currentWeights
    pack(weights, stage: i, part)
    if let packedBackward {
      stages[i].packBackward(
        weights.parameters.floats, into: packedBackward.floats + packedBackwardPlaces[i], kernels, part)
    }
  }

  func pack(_ weights: Weights, stage i: Int, _ part: Part) {
    stages[i].pack(weights.parameters.floats, into: weights.packed.floats + packedPlaces[i], kernels, part)
  }

  /// Bytes of all packed weights: what a pass reads at each step, but tables of which it reads a few rows.
  public var packedByteCount: Int { packedPlaces[stages.count] * MemoryLayout<Float>.stride }

  /// Floats of packed weights of a stage.
  public func packedCount(stage i: Int) -> Int { packedPlaces[i + 1] - packedPlaces[i] }

  /// Before the first training pass.
  public func prepareBackward() throws(LSTMError) {
    if packedBackward != nil, !backwardIsOld { return }
    if packedBackward == nil {
      packedBackward = try Buffer.make(allocator, packedBackwardPlaces[stages.count], of: Float.self)
    }
    backwardIsOld = false
    repack()
  }

  func packedWeights(_ weights: Weights, _ stage: Int) -> Floats {
    Floats(weights.packed.floats + packedPlaces[stage])
  }
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
    try describePorts(writer)
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
