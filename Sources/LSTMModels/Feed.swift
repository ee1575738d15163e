internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// Which rows of an array make a batch: `count` from `first` on, by way of an order if there is one.
public struct Rows {
  let order: UnsafePointer<Int>?
  let first: Int
  public let count: Int

  public init(order: UnsafePointer<Int>? = nil, first: Int, count: Int) {
    (self.order, self.first, self.count) = (order, first, count)
  }

  @inline(__always) public subscript(i: Int) -> Int { order.map { $0[first + i] } ?? first + i }
}

/// Turns rows of the caller's array into what a model's first layer takes: time first, checked, with a mask.
public struct Feed {
  private let model: Model
  private let x: ArrayView
  /// Of every batch; nil: as many as the longest text of a batch needs.
  private let steps: Int?
  private let tokenIDs = List<Int32>()
  private let tokenEnds = List<Int>()
  private let scratch = List<UInt8>()

  /// - Parameter sameSteps: every batch must have the same number of steps, because the outputs of all make one array.
  @inline(never) public init(_ model: Model, _ x: ArrayView, sameSteps: Bool) throws(LSTMError) {
    (self.model, self.x) = (model, x)
    switch model.input {
    case .strings(let layer):
      try Feed.checkTexts(x)
      var steps = layer.length
      if steps == nil, sameSteps {
        var longest = 1
        for row in 0..<x.rows {
          var count = 0
          try layer.forEachToken(of: x, row: row, scratch) { (_) throws(LSTMError) in count += 1 }
          longest = max(longest, count)
        }
        steps = longest
      }
      self.steps = steps
    case .tokens(let shape, _, _):
      try Feed.checkNumbers(x, shape, "tokens")
      steps = x.shape[1]
    case .values(let shape):
      try Feed.checkNumbers(x, shape, "numbers")
      steps = shape.rank > 1 ? x.shape[1] : 1
      if shape.rank == 1, x.isPadded {
        throw .argument("\(x.name).lengths: expected none, since the model reads no sequences, got some")
      }
    }
  }

  private static func checkTexts(_ x: ArrayView) throws(LSTMError) {
    guard x.element == .string else { throw .type("\(x.name).type: expected string, got \(x.element.name)") }
    guard x.shape.rank == 1 || (x.shape.rank == 2 && x.shape[1] == 1) else {
      throw .argument("\(x.name).shape: expected (samples,), got \(x.shape.text)")
    }
    if x.isPadded { throw .argument("\(x.name).lengths: expected none for text, got some") }
  }

  private static func checkNumbers(_ x: ArrayView, _ sample: Shape, _ what: StaticString) throws(LSTMError) {
    guard x.element != .string else { throw .type("\(x.name).type: expected \(what), got string") }
    var fits = x.shape.rank == sample.rank + 1
    if fits {
      for axis in 0..<sample.rank where sample[axis] != Shape.any && sample[axis] != x.shape[axis + 1] { fits = false }
    }
    guard fits else {
      throw .argument("\(x.name).shape: expected \(sample.prepending(Shape.any).text), got \(x.shape.text)")
    }
    if sample.rank > 1 || what.matches("tokens".utf8), x.shape[1] == 0 {
      throw .argument("\(x.name).shape: expected at least one timestep, got \(x.shape.text)")
    }
  }

  /// Whether there are rows that `load` refuses although it need not find finite numbers: texts and tokens.
  var mayRefuseRows: Bool { if case .values = model.input { false } else { true } }

  /// Of the whole array's output.
  public func outputShape() throws(LSTMError) -> Shape {
    var sample = model.outputShape
    if model.outputHasTime, let steps { sample[0] = steps }
    return sample.prepending(x.rows)
  }

  /// Fills a run with some rows; prepares it for them.
  ///
  /// - Parameter requiresFinite: refuse NaN and infinity.
  @inline(never) public func load(_ rows: Rows, into run: Run, requiresFinite: Bool) throws(LSTMError) {
    switch model.input {
    case .strings(let layer): try loadTexts(rows, layer, into: run)
    case .tokens(_, let vocabulary, let masksZero):
      try run.prepare(steps: steps ?? 1, batch: rows.count)
      markPadding(rows, run)
      try loadTokens(rows, vocabulary, into: run)
      if masksZero { maskZeros(run) }
    case .values:
      try run.prepare(steps: steps ?? 1, batch: rows.count)
      markPadding(rows, run)
      try loadValues(rows, into: run, requiresFinite)
    }
  }

  private func markPadding(_ rows: Rows, _ run: Run) {
    guard x.isPadded else { return }
    run.isMasked = true
    for step in 0..<run.steps {
      for i in 0..<rows.count { run.mask[step * rows.count + i] = x.isValid(row: rows[i], step: step) ? 1 : 0 }
    }
  }

  /// Padding by token 0, besides any padding that the caller named.
  private func maskZeros(_ run: Run) {
    let count = run.steps * run.batch
    if !run.isMasked { run.mask.update(repeating: 1, count: count) }
    run.isMasked = true
    for i in 0..<count where run.tokens[i] == 0 { run.mask[i] = 0 }
  }

  private func loadTokens(_ rows: Rows, _ vocabulary: Int, into run: Run) throws(LSTMError) {
    for i in 0..<rows.count {
      let row = rows[i]
      for step in 0..<run.steps {
        let place = step * rows.count + i
        guard x.isValid(row: row, step: step) else {
          run.tokens[place] = 0
          continue
        }
        let number = x.number(row: row, offset: step &* x.strides[1])
        guard number >= 0, number < Double(vocabulary), number == number.rounded(.towardZero) else {
          throw .argument("\(x.name)[\(row), \(step)]: expected a token from 0 to \(vocabulary - 1), got \(number)")
        }
        run.tokens[place] = Int32(number)
      }
    }
  }

  private func loadValues(_ rows: Rows, into run: Run, _ requiresFinite: Bool) throws(LSTMError) {
    let width = run.inputWidth
    let hasTime = x.shape.rank > 2
    let stepStride = hasTime ? x.strides[1] : 0
    let axis = hasTime ? 2 : 1
    for i in 0..<rows.count {
      let row = rows[i]
      for step in 0..<run.steps {
        let to = run.values + (step * rows.count + i) * width
        guard x.isValid(row: row, step: step) else {
          to.update(repeating: 0, count: width)
          continue
        }
        try x.copy(row: row, offset: step &* stepStride, axis: axis, count: width, into: to)
        guard requiresFinite else { continue }
        for k in 0..<width where !to[k].isFinite {
          throw .argument(
            "\(x.name)\(hasTime ? "[\(row), \(step)]" : "[\(row)]"): expected finite numbers"
              + ", got \(Double(to[k])) as value \(k)")
        }
      }
    }
  }

  private func loadTexts(_ rows: Rows, _ layer: TextLayer, into run: Run) throws(LSTMError) {
    guard let vocabulary = layer.vocabulary else {
      throw .argument(
        "layers[0] (\(layer.name)): expected a vocabulary, got none: call lstm_adapt or give 'vocabulary'")
    }
    tokenIDs.removeAll()
    tokenEnds.removeAll()
    var longest = 1
    for i in 0..<rows.count {
      let start = tokenIDs.count
      try layer.forEachToken(of: x, row: rows[i], scratch) { (token) throws(LSTMError) in
        try tokenIDs.append(vocabulary.index(of: token))
      }
      try tokenEnds.append(tokenIDs.count)
      longest = max(longest, tokenIDs.count - start)
    }
    let steps = steps ?? longest
    try run.prepare(steps: steps, batch: rows.count)
    run.tokens.update(repeating: Vocabulary.padding, count: steps * rows.count)
    var start = 0
    for i in 0..<rows.count {
      let count = tokenEnds[i] - start
      let kept = min(count, steps)
      let from = start + (layer.truncatesLeft ? count - kept : 0)
      let to = layer.padsLeft ? steps - kept : 0
      for k in 0..<kept { run.tokens[(to + k) * rows.count + i] = tokenIDs[from + k] }
      start = tokenEnds[i]
    }
    // Always, whatever the embedding says: how far a text is filled up depends on the others of its batch.
    maskZeros(run)
  }
}

extension ArrayView {
  /// The numbers of one step of a row, all axes from `axis` on, as float32.
  func copy(row: Int, offset: Int, axis: Int, count: Int, into to: UnsafeMutablePointer<Float>) throws(LSTMError) {
    if element == .float32, shape.rank == axis + 1, strides[axis] == 4 {
      let from = data + (row &* strides[0] &+ offset)
      UnsafeMutableRawPointer(to).copyMemory(from: from, byteCount: count * 4)
      return
    }
    try forEachInner(from: axis) { (k, inner) throws(LSTMError) in
      to[k] = Float(number(row: row, offset: offset &+ inner))
    }
  }
}
