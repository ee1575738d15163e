internal import LSTMDescription
public import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// Where the states of a model's stages lie.
struct StateLayout {
  /// A run of numbers among the states of one stream; padding lies between.
  struct Piece {
    let place: Int
    let blocks: Int
    let lanes: Int
    let meaningful: Int
  }

  let pieces: [Piece]
  /// Where each stage's begin, for one stream; for n of them at n times that.
  let places: Buffer
  /// Floats of one stream.
  let count: Int
  /// Numbers of state.
  let meaningful: Int

  /// - Parameter half: a decoder that has been checked.
  static func make(_ model: Model, _ half: Run.Half? = nil) throws(LSTMError) -> StateLayout {
    var carver = Carver()
    var pieces: [Piece] = []
    var meaningful = 0
    let places = try Buffer.make(model.allocator, model.stages.count, of: Int.self)
    for i in 0..<model.stages.count {
      let stage = model.stages[i]
      if half == nil, let reason = stage.needsFuture {
        throw .unsupported("a stream: layer \"\(stage.name)\" needs the whole sequence first (\(reason))")
      }
      // A stage's pieces lie side by side, without the gaps that the carver leaves between stages.
      var size = 0
      let place = carver.count
      for piece in StateLayout.pieces(of: i, model, half) {
        try Memory.append(
          Piece(place: place + size, blocks: piece.blocks, lanes: piece.lanes, meaningful: piece.meaningful),
          to: &pieces)
        size += piece.count
        meaningful += piece.meaningful
      }
      places.pointer(to: Int.self)[i] = carver.take(size)
    }
    return StateLayout(pieces: pieces, places: places, count: carver.count, meaningful: meaningful)
  }

  private static func pieces(of stage: Int, _ model: Model, _ half: Run.Half?) -> [StatePiece] {
    guard let half else { return model.stages[stage].statePieces(model.kernels) }
    return half.split.decodes(stage) ? model.stages[stage].statePieces(window: half.window, model.kernels) : []
  }

  /// Copies the states of some streams to or from those of as many rows together.
  func copy(_ streams: UnsafePointer<MutableFloats>, rows: Int, _ all: MutableFloats, toAll: Bool) {
    for piece in pieces {
      for block in 0..<piece.blocks {
        let place = piece.place + block * piece.lanes
        // All that is before it has as many rows.
        var joint = all + place * rows
        for row in 0..<rows {
          let single = streams[row] + place
          if toAll {
            joint.copy(from: single, count: piece.lanes)
          } else {
            single.copy(from: joint, count: piece.lanes)
          }
          joint += piece.lanes
        }
      }
    }
  }
}

/// One sequence that arrives step by step. After `make`, nothing here allocates but `setThreads`, `keep` and `prepareGroup`.
public final class Stream: TeamWork {
  public let model: Model
  private let run: Run
  /// All stages' states, one after the other.
  fileprivate let states: Buffer
  private let layout: StateLayout
  /// A step by the thread that calls, layer by layer.
  private let alone: [LayerStep]
  /// Steps leave out the last stage.
  private let endsEarly: Bool
  /// nil: of the whole model.
  private let half: Run.Half?
  /// The same to run them without counting references, which would take longer than a small layer.
  private let calls: Buffer
  /// The weights that they read, not counted.
  private var seen: PinnedWeights
  /// As long as the model has these there is nothing to do but the steps: `seen`, or none where samples are kept.
  private var plain: PinnedWeights
  /// The samples that are kept, if any are.
  public private(set) var recent: RecentSamples?
  private let input: StepInput
  /// What comes out of them.
  private let output: Floats
  private let vocabulary: Int?
  /// Numbers in and out of a step.
  public let inputs: Int
  public let outputs: Int
  /// Numbers of state.
  public var stateCount: Int { layout.meaningful }
  private var team: Team?
  private var group: StreamGroup?
  /// Whether it has been taken into the call for many streams that is being prepared.
  fileprivate var isTaken = false
  // Of the steps at work.
  private var steps = 0
  private var x = Floats(bitPattern: 64)!
  private var y = MutableFloats(bitPattern: 64)!

  private init(
    _ model: Model, _ run: Run, _ states: Buffer, _ layout: StateLayout, _ alone: [LayerStep], calls: Buffer,
    endsEarly: Bool, _ half: Run.Half?
  ) {
    seen = PinnedWeights(run.weights, isCounted: false)
    plain = seen
    (self.model, self.run, self.states, self.layout) = (model, run, states, layout)
    (self.alone, self.calls, self.endsEarly, self.half) = (alone, calls, endsEarly, half)
    for (i, step) in alone.enumerated() {
      calls.pointer(to: Unmanaged<LayerStep>.self)[i] = Unmanaged.passUnretained(step)
    }
    let entry = half?.split.entry ?? 0
    vocabulary = model.vocabularySize(of: entry)
    input = StepInput(run, entry)
    output = Floats(run.output.values)
    (inputs, outputs) = (run.width(entry), run.output.width)
  }

  public static func make(_ model: Model) throws(LSTMError) -> Stream {
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    return try make(model, pinned)
  }

  /// - Parameters:
  ///   - endsEarly: steps leave out the last stage, an activation.
  ///   - half: a decoder that has been checked; nil: the whole model.
  static func make(
    _ model: Model, _ pinned: PinnedWeights, endsEarly: Bool = false, _ half: Run.Half? = nil
  ) throws(LSTMError) -> Stream {
    if half == nil { try model.checkSingle("a stream") }
    for i in 0..<model.stages.count where half == nil && model.takesOrGivesStates(i) {
      throw .unsupported(
        "a stream: expected no states that go from layer to layer, got those of \"\(model.stages[i].name)\"")
    }
    let layout = try StateLayout.make(model, half)
    let states = try Buffer.make(model.allocator, layout.count, of: Float.self)
    let run = try Run.make(model, .stream, endsEarly: endsEarly, half: half)
    run.weights = pinned.weights
    try run.prepareStep(rows: 1, half?.split.entry ?? 0)
    var alone: [LayerStep] = []
    try run.prepareSteps(
      states: (states.floats, UnsafePointer(layout.places.pointer(to: Int.self))), into: &alone)
    let calls = try Buffer.make(.system, alone.count, of: Unmanaged<LayerStep>.self)
    let stream = Stream(model, run, states, layout, alone, calls: calls, endsEarly: endsEarly, half)
    stream.begin(pinned)
    try Memory.check()
    return stream
  }

  /// From now on so many threads make a step together, the caller among them. Between steps they look out for the next for
  /// a millisecond.
  public func setThreads(_ threads: Int) throws(LSTMError) {
    team = nil
    let workers = threads == Workers.automatic ? Team.processors() : threads
    if workers == 1 { return }
    let team = try Team.make(workers)
    team.linger = 1000
    self.team = team
  }

  /// Whether `process` may be called with these counts and this input.
  public func accepts(_ steps: Int, _ x: Floats, _ xCount: Int, _ yCount: Int) -> Bool {
    guard steps > 0, steps <= Size.limit, xCount == Carver.product(steps, inputs),
      yCount == Carver.product(steps, outputs)
    else { return false }
    return firstBadToken(x, count: xCount) == nil
  }

  /// Some timesteps that are accepted, which are kept if samples are. For a single one `y` may be `x`.
  public func process(_ steps: Int, _ x: Floats, _ y: MutableFloats) {
    if model.reads(plain) { go(steps, x, y) } else { processAside(steps, x, y) }
  }

  @inline(never) private func processAside(_ steps: Int, _ x: Floats, _ y: MutableFloats) {
    recent?.append(steps, x)
    let pinned = model.pin()
    go(steps, x, y, pinned)
    model.unpin(pinned)
  }

  /// The same with weights that the caller has pinned.
  @inline(never) func go(_ steps: Int, _ x: Floats, _ y: MutableFloats, _ pinned: PinnedWeights) {
    turn(to: pinned)
    go(steps, x, y)
  }

  private func turn(to pinned: PinnedWeights) {
    if pinned.address == seen.address { return }
    let weights = pinned.weights
    let distance = WeightsDistance(from: run.weights, to: weights)
    for step in alone { step.move(distance) }
    run.weights = weights
    seen = PinnedWeights(weights, isCounted: false)
    plain = recent == nil ? seen : .none
  }

  @inline(__always) private func go(_ steps: Int, _ x: Floats, _ y: MutableFloats) {
    if let team {
      (self.steps, self.x, self.y) = (steps, x, y)
      return team.together(self)
    }
    let (calls, count) = (calls.pointer(to: Unmanaged<LayerStep>.self), alone.count)
    for t in 0..<steps {
      input.take(x + t * inputs, row: 0)
      for i in 0..<count { calls[i]._withUnsafeGuaranteedRef { $0.run() } }
      (y + t * outputs).copy(from: output, count: outputs)
    }
  }

  public override func run(_ worker: Int, of workers: Int) {
    let part = Part(worker, of: workers, team)
    let places = UnsafePointer(layout.places.pointer(to: Int.self))
    for t in 0..<steps {
      if part.isFirst { input.take(x + t * inputs, row: 0) }
      part.meet()
      let output = run.forward(states: (states.floats, places), part)
      if part.isFirst { (y + t * outputs).copy(from: output.values, count: outputs) }
    }
  }

  public func checkTokens(_ x: Floats, count: Int) throws(LSTMError) {
    guard let i = firstBadToken(x, count: count) else { return }
    throw .argument(
      "x[\(i)]: expected a token from 0 to \((model.vocabularySize ?? 0) - 1), got \(Double(x[i]))")
  }

  private func firstBadToken(_ x: Floats, count: Int) -> Int? {
    guard let vocabulary else { return nil }
    for i in 0..<count where !(x[i] >= 0 && x[i] < Float(vocabulary) && x[i] == x[i].rounded(.towardZero)) { return i }
    return nil
  }

  /// Feeds every output back as the next input, of a model that reads as many numbers as it gives: `steps` timesteps of
  /// which `x` is the first. The counts are accepted for `x` and `y` of one step and of all. Nothing is kept.
  public func forecast(_ steps: Int, _ x: Floats, _ y: MutableFloats) {
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    go(1, x, y, pinned)
    for t in 1..<max(1, steps) { go(1, Floats(y + (t - 1) * outputs), y + t * outputs) }
  }

  /// From now on the last so many samples are kept; 0: none.
  public func keep(_ steps: Int) throws(LSTMError) {
    recent = steps == 0 ? nil : try RecentSamples.make(model.allocator, steps, width: inputs)
    plain = recent == nil ? seen : .none
  }

  /// Whether an output may be the next input.
  public var feedsBack: Bool { vocabulary == nil && inputs == outputs }

  // MARK: Many streams together

  /// What a call for many streams uses, kept by the first of them for its next.
  public func prepareGroup() throws(LSTMError) -> StreamGroup {
    if let group { return group }
    let group = StreamGroup(model, layout, endsEarly: endsEarly)
    self.group = group
    return group
  }

  // MARK: State

  /// Takes the state of another stream of the same model.
  func copyState(of other: Stream) {
    states.base.copyMemory(from: other.states.base, byteCount: states.byteCount)
  }

  /// Another sequence begins: of this one no samples are kept either.
  public func reset() {
    let pinned = model.pin()
    begin(pinned)
    model.unpin(pinned)
    recent?.removeAll()
  }

  private func begin(_ pinned: PinnedWeights) {
    states.floats.clear(states.byteCount / 4)
    let (places, weights) = (layout.places.pointer(to: Int.self), Floats(pinned.weights.parameters.floats))
    for i in 0..<model.stages.count {
      model.stages[i].writeStart(weights, into: states.floats + places[i])
      if half?.encoder != nil { takeStates(of: i, into: states.floats + places[i]) }
    }
  }

  /// What the encoder gives a stage to begin with.
  private func takeStates(of stage: Int, into state: MutableFloats) {
    let (inputs, pieces) = (model.wiring.inputs(of: stage), model.stages[stage].statePieces(model.kernels))
    var state = state
    for place in 1..<max(1, inputs.count) where !model.stages[stage].readsSteps(of: place) {
      let given = run.signal(inputs[place])
      state.copy(from: given.values, count: given.width)
      state += pieces[place - 1].count
    }
  }

  /// Copies the state out: `stateCount` numbers.
  public func copyState(to out: MutableFloats) {
    var out = out
    for piece in layout.pieces {
      out.copy(from: states.floats + piece.place, count: piece.meaningful)
      out += piece.meaningful
    }
  }

  /// Whether every number of a state, `stateCount` of them, is finite.
  public func accepts(state: Floats) -> Bool { firstBad(state) == nil }

  public func checkState(_ state: Floats) throws(LSTMError) {
    guard let i = firstBad(state) else { return }
    throw .argument("state[\(i)]: expected a finite number, got \(Double(state[i]))")
  }

  private func firstBad(_ state: Floats) -> Int? {
    for i in 0..<stateCount where !state[i].isFinite { return i }
    return nil
  }

  /// Takes a state that is accepted.
  public func restoreState(from state: Floats) {
    var state = state
    for piece in layout.pieces {
      (states.floats + piece.place).copy(from: state, count: piece.meaningful)
      state += piece.meaningful
    }
  }
}

/// One timestep of many streams of one model, whose rows share the reading of the weights.
public final class StreamGroup: TeamWork {
  private let model: Model
  private let layout: StateLayout
  private let endsEarly: Bool
  private var workers = Workers(threads: Workers.automatic, areKept: true)
  /// What the workers were made for.
  private var threads = Workers.automatic
  /// For each worker, a run and the states of the rows in it.
  private var desks: [Desk] = []
  // Of the call at work.
  private let streams = List<UnsafeMutableRawPointer>()
  private let states = List<MutableFloats>()
  private var x = Floats(bitPattern: 64)!
  private var y = MutableFloats(bitPattern: 64)!

  private struct Desk {
    let run: Run
    let states: Buffer
  }

  /// Rows that go through the model together.
  private static let rowsAtOnce = 32

  fileprivate init(_ model: Model, _ layout: StateLayout, endsEarly: Bool) {
    (self.model, self.layout, self.endsEarly) = (model, layout, endsEarly)
  }

  /// Why a stream cannot be taken into a call.
  public enum Refusal { case isTaken, isOfAnotherModel }

  /// Takes a stream into the next call. It must live until then.
  public func take(_ stream: Stream) throws(LSTMError) -> Refusal? {
    if stream.model !== model { return .isOfAnotherModel }
    if stream.isTaken { return .isTaken }
    try states.append(stream.states.floats)
    try streams.append(Unmanaged.passUnretained(stream).toOpaque())
    stream.isTaken = true
    return nil
  }

  /// After a call, or instead of one.
  public func release() {
    for i in 0..<streams.count { stream(i)._withUnsafeGuaranteedRef { $0.isTaken = false } }
    streams.removeAll()
    states.removeAll()
  }

  private func stream(_ i: Int) -> Unmanaged<Stream> { .fromOpaque(streams[i]) }

  /// A step of the streams taken.
  ///
  /// - Parameters:
  ///   - x: `[streams, inputs]`, accepted by each stream.
  ///   - threads: as of `Workers`.
  public func step(_ x: Floats, _ y: MutableFloats, threads: Int) throws(LSTMError) {
    if threads != self.threads {
      workers = Workers(threads: threads, areKept: true)
      self.threads = threads
    }
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    try step(x, y, workers, pinned)
    let inputs = desks[0].run.inputWidth
    for i in 0..<streams.count { stream(i)._withUnsafeGuaranteedRef { $0.recent?.append(1, x + i * inputs) } }
  }

  /// The same with workers that the caller keeps and weights that it has pinned. Nothing is kept.
  func step(_ x: Floats, _ y: MutableFloats, _ workers: Workers, _ pinned: PinnedWeights) throws(LSTMError) {
    workers.start(model, rows: streams.count, steps: 1)
    let count = workers.team?.workers ?? 1
    while desks.count < count {
      let states = try Buffer.make(
        model.allocator, try Size.product(layout.count, StreamGroup.rowsAtOnce), of: Float.self)
      let run = try Run.make(model, .stream, endsEarly: endsEarly)
      try run.prepareStep(rows: StreamGroup.rowsAtOnce)
      try Memory.append(Desk(run: run, states: states), to: &desks)
    }
    try Memory.check()
    (self.x, self.y) = (x, y)
    let weights = pinned.weights
    for desk in desks { desk.run.weights = weights }
    workers.together(self)
  }

  public override func run(_ worker: Int, of workers: Int) {
    let own = Part(worker, of: workers, nil).range(of: streams.count)
    let (run, joint) = (desks[worker].run, desks[worker].states.floats)
    let places = UnsafePointer(layout.places.pointer(to: Int.self))
    let inputs = run.inputWidth
    for first in stride(from: own.lowerBound, to: own.upperBound, by: StreamGroup.rowsAtOnce) {
      let rows = min(StreamGroup.rowsAtOnce, own.upperBound - first)
      // It has room for more, so this cannot fail.
      guard (try? run.prepareStep(rows: rows)) != nil else { return }
      let input = StepInput(run)
      for row in 0..<rows { input.take(x + (first + row) * inputs, row: row) }
      let own = UnsafePointer(states.start) + first
      layout.copy(own, rows: rows, joint, toAll: true)
      let output = run.forward(states: (joint, places), scale: rows)
      layout.copy(own, rows: rows, joint, toAll: false)
      let outputs = output.width
      (y + first * outputs).copy(from: output.values, count: rows * outputs)
    }
  }
}

extension Run {
  /// Makes ready for one step of some rows.
  fileprivate func prepareStep(rows: Int, _ entry: Int = 0) throws(LSTMError) {
    if steps(entry) == 1, batch == rows { return }
    try prepare(batch: rows) { $0 == entry ? 1 : 0 }
    let masksTokens = model.vocabularySize(of: entry) != nil && model.masksZero(entry)
    setPadding(entry, masksTokens || maskValue(entry) != nil ? .masked : .none)
    layOut()
  }
}

/// Where the input of a step goes, in a run that is ready for it.
private struct StepInput {
  private let values: MutableFloats
  private let tokens: UnsafeMutablePointer<Int32>?
  private let mask: UnsafeMutablePointer<UInt8>?
  private let maskValue: Float?
  private let width: Int

  init(_ run: Run, _ entry: Int = 0) {
    (values, width, maskValue) = (run.values(entry), run.width(entry), run.maskValue(entry))
    tokens = run.hasTokens(entry) ? run.tokens(entry) : nil
    mask = run.padding(entry) == .masked ? run.mask(entry) : nil
  }

  /// The input of one row: numbers, or a token as a number.
  @inline(__always) func take(_ x: Floats, row: Int) {
    if let tokens {
      tokens[row] = Int32(x[0])
      mask?[row] = x[0] != 0 ? 1 : 0
      return
    }
    let to = values + row * width
    to.copy(from: x, count: width)
    guard let maskValue, let mask else { return }
    mask[row] = 0
    for i in 0..<width where x[i] != maskValue { mask[row] = 1 }
    if mask[row] == 0 { to.clear(width) }
  }
}

extension Model {
  /// Whether a stage begins with states that others give, or gives others its own.
  func takesOrGivesStates(_ stage: Int) -> Bool {
    for i in 1..<wiring.inputs(of: stage).count where !stages[stage].readsSteps(of: i) { return true }
    for port in 0..<stages[stage].stateCount where wiring.signal(stage, 1 + port) != nil { return true }
    return false
  }

  /// The number of tokens the model knows, if it reads tokens.
  public var vocabularySize: Int? { vocabularySize(of: 0) }
  /// The same of one of its inputs.
  func vocabularySize(of entry: Int) -> Int? { firstEmbedding(entry)?.vocabulary }
  func masksZero(_ entry: Int) -> Bool {
    ports.entries[entry].textLayer != nil || firstEmbedding(entry)?.masksZero ?? false
  }

  private func firstEmbedding(_ entry: Int) -> EmbeddingLayer? {
    if case .values = ports.entries[entry].input { return nil }
    return embedding(of: ports.entries[entry])
  }
}
