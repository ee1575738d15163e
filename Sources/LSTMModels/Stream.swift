internal import LSTMDescription
public import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// One sequence that arrives step by step. After `make`, nothing here allocates.
public final class Stream {
  private let model: Model
  private let run: Run
  /// All stages' states, one after the other.
  private let states: Buffer
  /// Where each stage's begins.
  private let places: Buffer
  private let pieces: [Piece]
  /// Numbers in and out of a step.
  public let inputs: Int
  public let outputs: Int
  /// Numbers of state.
  public let stateCount: Int

  /// A run of numbers with a meaning among the states; padding lies between.
  private struct Piece {
    let place: Int
    let count: Int
  }

  private init(_ model: Model, _ run: Run, _ states: Buffer, _ places: Buffer, _ pieces: [Piece], outputs: Int) {
    (self.model, self.run, self.states, self.places, self.pieces) = (model, run, states, places, pieces)
    (inputs, self.outputs) = (run.inputWidth, outputs)
    var count = 0
    for piece in pieces { count += piece.count }
    stateCount = count
  }

  public static func make(_ model: Model) throws(LSTMError) -> Stream {
    var carver = Carver()
    var pieces: [Piece] = []
    let places = try Buffer.make(model.allocator, model.stages.count, of: Int.self)
    for i in 0..<model.stages.count {
      let stage = model.stages[i]
      guard stage.isCausal else {
        throw .unsupported("a stream: layer \"\(stage.name)\" needs the whole sequence first (go_backwards)")
      }
      // A stage's pieces lie side by side, without the gaps that the carver leaves between stages.
      var size = 0
      let place = carver.count
      for piece in stage.statePieces(model.kernels) {
        try Memory.append(Piece(place: place + size, count: piece.meaningful), to: &pieces)
        size += piece.count
      }
      places.pointer(to: Int.self)[i] = carver.take(size)
    }
    let states = try Buffer.make(model.allocator, carver.count, of: Float.self)
    let run = try Run.make(model, .stream)
    try run.prepare(steps: 1, batch: 1)
    let stream = Stream(
      model, run, states, places, pieces, outputs: model.stages[model.stages.count - 1].outputWidth)
    try Memory.check()
    return stream
  }

  /// Whether `process` may be called with these counts and this input.
  public func accepts(_ steps: Int, _ x: Floats, _ xCount: Int, _ yCount: Int) -> Bool {
    guard steps > 0, steps <= Size.limit, xCount == Carver.product(steps, inputs),
      yCount == Carver.product(steps, outputs)
    else { return false }
    return firstBadToken(x, count: xCount) == nil
  }

  /// Some timesteps that are accepted. For a single one `y` may be `x`.
  public func process(_ steps: Int, _ x: Floats, _ y: MutableFloats) {
    for t in 0..<steps { advance(x + t * inputs, y + t * outputs) }
  }

  public func checkTokens(_ x: Floats, count: Int) throws(LSTMError) {
    guard let i = firstBadToken(x, count: count) else { return }
    throw .argument(
      "x[\(i)]: expected a token from 0 to \((model.vocabularySize ?? 0) - 1), got \(Double(x[i]))")
  }

  private func firstBadToken(_ x: Floats, count: Int) -> Int? {
    guard let vocabulary = model.vocabularySize else { return nil }
    for i in 0..<count where !(x[i] >= 0 && x[i] < Float(vocabulary) && x[i] == x[i].rounded(.towardZero)) { return i }
    return nil
  }

  private func advance(_ x: Floats, _ y: MutableFloats) {
    if model.vocabularySize != nil {
      run.tokens[0] = Int32(x[0])
      run.markStep(model.masksZero ? x[0] != 0 : nil)
    } else {
      run.values.update(from: x, count: inputs)
    }
    let output = run.forward(states: (states.floats, UnsafePointer(places.pointer(to: Int.self))))
    y.update(from: output.values, count: outputs)
  }

  public func reset() { states.floats.update(repeating: 0, count: states.byteCount / 4) }

  /// Copies the state out: `stateCount` numbers.
  public func copyState(to out: MutableFloats) {
    var out = out
    for piece in pieces {
      out.update(from: states.floats + piece.place, count: piece.count)
      out += piece.count
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
    for piece in pieces {
      (states.floats + piece.place).update(from: state, count: piece.count)
      state += piece.count
    }
  }
}

extension Run {
  /// Whether the one step of the one row is valid; nil: there is no mask.
  fileprivate func markStep(_ isValid: Bool?) {
    isMasked = isValid != nil
    if let isValid { mask[0] = isValid ? 1 : 0 }
  }
}

extension Model {
  /// The number of tokens the model knows, if it reads tokens.
  public var vocabularySize: Int? { firstEmbedding?.vocabulary }
  var masksZero: Bool { textLayer != nil || firstEmbedding?.masksZero ?? false }

  private var firstEmbedding: EmbeddingLayer? {
    if case .values = input { return nil }
    return stages[firstStage] as? EmbeddingLayer
  }
}
