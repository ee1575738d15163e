public import LSTMKernels
internal import LSTMTensors

/// What causal attention keeps of a stream: keys and values of the latest steps, as many as the window has.
///
/// The state of one stream is `[heads · keyWidth, window]` of keys (of an additive score `[window, heads · keyWidth]`),
/// `[window, heads · valueWidth]` of values, step s at place s modulo the window, and the number of steps, which from the
/// double of the window on goes back to it. The same numbers with any set of kernels.
extension AttentionCore {
  /// Numbers of a stream's state.
  func stateCount(_ window: Int) -> Int {
    min(Size.limit, Carver.product(window, Carver.product(heads, min(Size.limit, keyWidth + valueWidth))) + 1)
  }

  /// Floats from the state of one stream to the next.
  private func stateStride(_ window: Int) -> Int { (stateCount(window) + 15) / 16 * 16 }

  /// - Parameter window: nil: it is not known, and there can be no stream.
  func statePieces(window: Int?) -> [StatePiece] {
    guard isCausal, let window else { return [] }
    return [
      StatePiece(blocks: 1, lanes: min(Size.limit, stateStride(window)), meaningful: stateCount(window))
    ]
  }

  /// One stream's state.
  private struct State {
    let keys, values, number: MutableFloats
    let window: Int

    init(_ core: AttentionCore, _ state: MutableFloats, _ stream: Int, _ pass: Pass) {
      window = core.window ?? pass.window
      keys = state + stream * core.stateStride(window)
      values = keys + window * core.heads * core.keyWidth
      number = values + window * core.heads * core.valueWidth
    }

    /// Steps so far, in the sense of the state. A number that a caller made up is as good as any other in range.
    var steps: Int { number[0] >= 0 && number[0] < Float(2 * window) ? Int(number[0]) : 0 }
  }

  /// Puts the keys and values of one head's step, one row each, in their place.
  func keep(_ k: Matrix, _ v: Matrix, of stream: Int, head: Int, _ pass: Pass) {
    guard k.rows > 0, let memory = pass.state else { return }
    let state = State(self, memory, stream, pass)
    let place = state.steps % state.window
    switch score {
    case .product:
      for i in 0..<keyWidth { state.keys[(head * keyWidth + i) * state.window + place] = k.at[i] }
    case .additive: (state.keys + (place * heads + head) * keyWidth).copy(from: k.at, count: keyWidth)
    }
    (state.values + (place * heads + head) * valueWidth).copy(from: v.at, count: valueWidth)
  }

  /// Writes the outputs of one head for the step that has been kept last: as `forward` does with a sequence of the same
  /// steps.
  ///
  /// - Parameter isKept: whether there was a step to be kept, which is not yet counted.
  func step(_ q: Matrix, isKept: Bool, of stream: Int, head: Int, into o: Matrix, _ desk: Desk, _ pass: Pass) {
    guard q.rows > 0, let memory = pass.state else { return }
    let state = State(self, memory, stream, pass)
    let (window, kernels) = (state.window, pass.kernels)
    let steps = state.steps + (isKept ? 1 : 0)
    // The oldest first, to the end of the memory, then those at its beginning.
    let oldest = steps > window ? steps % window : 0
    let pieces = (oldest..<min(steps, window), 0..<oldest)
    func forEachPiece(_ body: (_ piece: Range<Int>, _ before: Int) -> Void) {
      body(pieces.0, 0)
      if !pieces.1.isEmpty { body(pieces.1, pieces.0.count) }
    }
    forEachPiece { (piece, before) in
      switch score {
      case .product:
        kernels.multiply(
          rows: 1, depth: keyWidth, columns: (piece.count + 15) / 16 * 16, q.at, aRow: q.stride,
          state.keys + head * keyWidth * window + piece.lowerBound, bRow: window, into: desk.weights + before,
          cRow: desk.row, start: .zero)
      case .additive:
        let k = state.keys + (piece.lowerBound * heads + head) * keyWidth
        scoreAdditively(
          q.at, Matrix(at: k, rows: piece.count, stride: heads * keyWidth), into: desk.weights + before, desk, pass)
      }
    }
    kernels.softmax(rows: 1, width: pieces.0.count + pieces.1.count, desk.weights, desk.weights)
    forEachPiece { (piece, before) in
      kernels.multiply(
        rows: 1, depth: piece.count, columns: valueWidth, desk.weights + before, aRow: desk.row,
        state.values + (piece.lowerBound * heads + head) * valueWidth, bRow: heads * valueWidth, into: o.at,
        cRow: o.stride, start: before == 0 ? .zero : .accumulate)
    }
  }

  /// Counts the step that has been kept.
  func count(_ stream: Int, _ pass: Pass) {
    guard let memory = pass.state else { return }
    let state = State(self, memory, stream, pass)
    let steps = state.steps + 1
    state.number[0] = Float(steps < 2 * state.window ? steps : state.window)
  }
}

/// What only attention says of itself.
extension Layer {
  private var attention: AttentionLayer? { self as? AttentionLayer }

  /// Whether each step of the first input sees all steps of the inputs behind it.
  public var seesWhole: Bool { attention.map { !$0.core.isCausal } ?? false }

  /// Whether the only reason for `needsFuture` is that a stream must say how many steps it will have at most.
  public var needsWindow: Bool { attention.map { $0.core.isCausal && $0.core.window == nil } ?? false }

  /// What is kept between two steps of a stream that says it.
  public func statePieces(window: Int, _ kernels: Kernels) -> [StatePiece] {
    needsWindow ? attention?.core.statePieces(window: window) ?? [] : statePieces(kernels)
  }

  /// Floats of workspace that a step of such a stream needs besides.
  public func windowCount(_ window: Int, batch: Int) -> Int {
    needsWindow ? attention?.core.workspaceCount(steps: window, batch: batch, .stream) ?? 0 : 0
  }
}
