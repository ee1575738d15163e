internal import LSTMDescription
internal import LSTMKernels
public import LSTMLayers
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

/// Turns rows of the caller's array into what a model's first layer takes: time first, checked, without padding where that
/// can be cut off, else with a mask. `begin` reads a batch, `load` readies runs for parts of it, and `fill`, in which
/// several workers may share, copies what numbers there are.
public final class Feed {
  private let model: Model
  /// That of the model.
  private let maskValue: Float?
  private var x: ArrayView
  /// Of every batch; nil: as many as the longest text of a batch needs.
  private var steps: Int?
  /// Of the batch begun.
  private(set) var batchSteps = 0
  /// The batch's rows. Where padding can be cut, the longest come first.
  private let items = List<Item>()
  private let order = List<Int>()
  private let sorted = List<Item>()
  private let places = List<Int>()
  private let tokenIDs = List<Int32>()
  private let scratch = List<UInt8>()

  /// A row of the batch.
  private struct Item {
    let row: Int
    /// Steps up to the last that is no padding.
    let length: Int
    /// Whether all steps before that are no padding either, and there is one.
    let isWhole: Bool
    /// Its tokens.
    let firstToken: Int
    let tokens: Int
  }

  /// - Parameter sameSteps: every batch must have the same number of steps, because the outputs of all make one array.
  public static func make(_ model: Model, _ x: ArrayView, sameSteps: Bool) throws(LSTMError) -> Feed {
    let feed = Feed(model, x)
    try feed.take(x, sameSteps: sameSteps)
    return feed
  }

  private init(_ model: Model, _ x: ArrayView) { (self.model, maskValue, self.x) = (model, model.maskValue, x) }

  /// Turns to another array, with the memory there is.
  @inline(never) public func take(_ x: ArrayView, sameSteps: Bool) throws(LSTMError) {
    try read(x, sameSteps: sameSteps)
    outputSteps = nil
    if model.outputHasTime, let steps { outputSteps = try model.outputSteps(steps) }
  }

  private func read(_ x: ArrayView, sameSteps: Bool) throws(LSTMError) {
    self.x = x
    switch model.input {
    case .strings(let layer):
      try Feed.checkTexts(x)
      steps = layer.length
      if steps != nil || !sameSteps { return }
      var longest = 1
      for row in 0..<x.rows {
        var count = 0
        try layer.forEachToken(of: x, row: row, scratch) { (_) throws(LSTMError) in count += 1 }
        longest = max(longest, count)
      }
      steps = longest
    case .tokens(let shape, _, _):
      try Feed.checkNumbers(x, shape, "tokens")
      steps = x.shape[1]
    case .values(let shape):
      try Feed.checkNumbers(x, shape, "numbers")
      if shape.rank == 1, x.isPadded {
        throw .argument("\(x.name).lengths: expected none, since the model reads no sequences, got some")
      }
      steps = shape.rank > 1 ? x.shape[1] : 1
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

  /// Of the whole array's output.
  public func outputShape() throws(LSTMError) -> Shape {
    var sample = model.outputShape
    if let steps = outputSteps { sample[0] = steps }
    return sample.prepending(x.rows)
  }

  /// Steps of the output for every row of the array, as `sameSteps` promises.
  private(set) var outputSteps: Int?

  // MARK: Batches

  /// Reads what must be known of all rows of a batch before its parts are loaded: tokens and lengths.
  @inline(never) public func begin(_ rows: Rows) throws(LSTMError) {
    items.removeAll()
    tokenIDs.removeAll()
    try items.reserve(rows.count)
    try order.reserve(max(0, rows.count - order.count))
    var longest = 1
    for i in 0..<rows.count {
      let row = rows[i]
      let first = tokenIDs.count
      switch model.input {
      case .strings(let layer):
        let vocabulary = try layer.learned()
        try layer.forEachToken(of: x, row: row, scratch) { (token) throws(LSTMError) in
          try tokenIDs.append(vocabulary.index(of: token))
        }
        let count = tokenIDs.count - first
        longest = max(longest, count)
        let kept = min(count, steps ?? count)
        try items.append(
          Item(row: row, length: kept, isWhole: kept > 0 && !layer.padsLeft, firstToken: first, tokens: count))
      case .tokens(_, let vocabulary, let masksZero):
        try readTokens(row, vocabulary)
        try items.append(item(row, firstToken: first, masksZero: masksZero))
      case .values:
        try items.append(item(row, firstToken: 0, masksZero: false))
      }
    }
    batchSteps = steps ?? longest
    if model.cutsPadding { try sort() }
    order.removeAll()
    for i in 0..<items.count { try order.append(items[i].row) }
  }

  /// Whether there are rows that `begin` refuses: texts and tokens.
  var mayRefuseRows: Bool { if case .values = model.input { false } else { true } }

  /// Whether a step of a row of numbers is no padding.
  private func isValid(_ row: Int, _ step: Int, _ firstToken: Int, _ masksZero: Bool) -> Bool {
    x.isValid(row: row, step: step) && !(masksZero && tokenIDs[firstToken + step] == 0) && !isMasked(row, step)
  }

  /// Whether all numbers of a step are what the model takes for padding.
  private func isMasked(_ row: Int, _ step: Int) -> Bool {
    guard let maskValue else { return false }
    var isMasked = true
    x.forEachInner(from: 2) { (_, inner) in
      isMasked = isMasked && Float(x.number(row: row, offset: step &* x.strides[1] &+ inner)) == maskValue
    }
    return isMasked
  }

  private func item(_ row: Int, firstToken: Int, masksZero: Bool) -> Item {
    let steps = steps ?? 1
    var length = x.lengths.map { Int($0[row]) } ?? steps
    while length > 0, !isValid(row, length - 1, firstToken, masksZero) { length -= 1 }
    var isWhole = length > 0
    if x.mask != nil || masksZero || maskValue != nil {
      for step in 0..<length where !isValid(row, step, firstToken, masksZero) { isWhole = false }
    }
    return Item(row: row, length: length, isWhole: isWhole, firstToken: firstToken, tokens: steps)
  }

  /// By falling length, rows of one length in the order in which they came.
  private func sort() throws(LSTMError) {
    var (least, most) = (batchSteps, 0)
    for i in 0..<items.count { (least, most) = (min(least, items[i].length), max(most, items[i].length)) }
    if least >= most { return }
    places.removeAll()
    for _ in 0...most + 1 { try places.append(0) }
    for i in 0..<items.count { places[most - items[i].length + 1] += 1 }
    for i in 0..<most { places[i + 1] += places[i] }
    sorted.removeAll()
    for i in 0..<items.count { try sorted.append(items[i]) }
    for i in 0..<sorted.count {
      let place = places[most - sorted[i].length]
      places[most - sorted[i].length] += 1
      items[place] = sorted[i]
    }
  }

  /// The row of the array that row `i` of the batch is.
  func row(_ i: Int) -> Int { items[i].row }

  /// Rows of the batch begun, in its order.
  public func rows(_ range: Range<Int>) -> Rows {
    Rows(order: UnsafePointer(order.start), first: range.lowerBound, count: range.count)
  }

  /// How many steps of a row of the batch are there before the padding at the end: all, if there is padding before them.
  func length(_ i: Int) -> Int { items[i].isWhole ? items[i].length : batchSteps }

  /// Readies a run for a part of the batch, to the last token; numbers are left to `fill`.
  @inline(never) public func load(_ range: Range<Int>, into run: Run) throws(LSTMError) {
    var (cuts, isFull) = (model.cutsPadding, true)
    for i in range {
      cuts = cuts && items[i].isWhole
      isFull = isFull && items[i].isWhole && items[i].length == batchSteps
    }
    let steps = cuts && range.count > 0 ? items[range.lowerBound].length : batchSteps
    try run.prepare(steps: steps, batch: range.count)
    if cuts, range.count > 0 {
      cutPadding(range, run)
    } else if !isFull {
      run.padding = .masked
    }
    let starts = run.padding == .cut ? UnsafePointer(run.starts) : nil
    for i in range {
      let place = RowPlace(starts: starts, batch: range.count, row: i - range.lowerBound)
      let item = items[i]
      switch model.input {
      case .strings(let layer): placeText(item, layer, place, run)
      case .tokens(_, _, let masksZero):
        let (from, to) = (tokenIDs.start + item.firstToken, run.tokens)
        for step in 0..<(cuts ? item.length : steps) { to[place.at(step)] = from[step] }
        if run.padding == .masked { markPadding(item, masksZero, place, run) }
      case .values: if run.padding == .masked { markPadding(item, false, place, run) }
      }
    }
  }

  /// Copies the numbers of a part of the batch into the run that is ready for it: a worker's share of the timesteps.
  ///
  /// - Returns: whether all of them are finite.
  @inline(never) public func fill(_ range: Range<Int>, _ run: Run, _ part: Part) -> Bool {
    guard case .values = model.input else { return true }
    let width = run.inputWidth
    let starts = run.padding == .cut ? UnsafePointer(run.starts) : nil
    let hasTime = x.shape.rank > 2
    let (stepStride, axis) = hasTime ? (x.strides[1], 2) : (0, 1)
    var areFinite = true
    for step in part.range(of: run.steps) {
      let place = RowPlace(starts: starts, batch: range.count, row: 0)
      let first = run.values + place.at(step) * width
      let rows = starts.map { $0[step + 1] - $0[step] } ?? range.count
      for i in 0..<rows {
        let (row, to) = (items[range.lowerBound + i].row, first + i * width)
        if isValid(row, step, 0, false) {
          x.copy(row: row, offset: step &* stepStride, axis: axis, count: width, into: to)
        } else {
          to.clear(width)
        }
      }
      areFinite = areFinite && model.kernels.sumOfSquares(rows * width, first).isFinite
    }
    return areFinite
  }

  /// Where a row lies in a run.
  private struct RowPlace {
    let starts: UnsafePointer<Int>?
    let batch: Int
    let row: Int

    @inline(__always) func at(_ step: Int) -> Int { (starts?[step] ?? step * batch) + row }
  }

  /// Leaves at each step only the rows that go on.
  private func cutPadding(_ range: Range<Int>, _ run: Run) {
    var going = range.count
    if items[range.upperBound - 1].length == run.steps { return }
    run.padding = .cut
    run.starts[0] = 0
    for step in 0..<run.steps {
      while items[range.lowerBound + going - 1].length <= step { going -= 1 }
      run.starts[step + 1] = run.starts[step] + going
    }
  }

  private func markPadding(_ item: Item, _ masksZero: Bool, _ place: RowPlace, _ run: Run) {
    for step in 0..<run.steps {
      run.mask[place.at(step)] = isValid(item.row, step, item.firstToken, masksZero) ? 1 : 0
    }
  }

  /// Appends the tokens of a row of numbers; padding is 0.
  private func readTokens(_ row: Int, _ vocabulary: Int) throws(LSTMError) {
    let steps = x.shape[1]
    let to = try tokenIDs.extend(by: steps)
    var step = 0
    while step < steps {
      // A run of steps without padding.
      var end = x.lengths.map { Int($0[row]) } ?? steps
      if x.mask != nil {
        end = step
        while end < steps, x.isValid(row: row, step: end) { end += 1 }
      }
      if end > step {
        step += x.readTokens(row: row, steps: step..<end, limit: vocabulary, into: to + step, model.kernels)
        if step < end {
          let number = x.number(row: row, offset: step &* x.strides[1])
          throw .argument("\(x.name)[\(row), \(step)]: expected a token from 0 to \(vocabulary - 1), got \(number)")
        }
      }
      while step < steps, !x.isValid(row: row, step: step) {
        to[step] = 0
        step += 1
      }
    }
  }

  /// The tokens of a text, cut and padded, and the mask if there is one.
  private func placeText(_ item: Item, _ layer: TextLayer, _ place: RowPlace, _ run: Run) {
    let kept = item.length
    let from = item.firstToken + (layer.truncatesLeft ? item.tokens - kept : 0)
    let to = layer.padsLeft ? run.steps - kept : 0
    for step in 0..<(run.padding == .cut ? kept : run.steps) {
      let isText = step >= to && step < to + kept
      let token = isText ? tokenIDs[from + step - to] : Vocabulary.padding
      run.tokens[place.at(step)] = token
      // Token 0 is padding even inside of a text.
      if run.padding == .masked { run.mask[place.at(step)] = token == Vocabulary.padding ? 0 : 1 }
    }
  }

  /// Refuses numbers that are not finite, when `fill` has found some, and names the first in the batch's order.
  public func checkFinite(_ range: Range<Int>, _ run: Run) throws(LSTMError) {
    let width = run.inputWidth
    let starts = run.padding == .cut ? UnsafePointer(run.starts) : nil
    for i in range {
      let place = RowPlace(starts: starts, batch: range.count, row: i - range.lowerBound)
      for step in 0..<(starts == nil ? run.steps : items[i].length) {
        for k in 0..<width where !run.values[place.at(step) * width + k].isFinite {
          throw .argument(
            "\(x.name)\(x.shape.rank > 2 ? "[\(items[i].row), \(step)]" : "[\(items[i].row)]"): expected finite "
              + "numbers, got \(Double(run.values[place.at(step) * width + k])) as value \(k)")
        }
      }
    }
  }
}

extension ArrayView {
  /// The numbers of one step of a row, all axes from `axis` on, as float32.
  func copy(row: Int, offset: Int, axis: Int, count: Int, into to: UnsafeMutablePointer<Float>) {
    if element == .float32, shape.rank == axis + 1, strides[axis] == 4 {
      let from = data + (row &* strides[0] &+ offset)
      UnsafeMutableRawPointer(to).copyMemory(from: from, byteCount: count * 4)
      return
    }
    forEachInner(from: axis) { (k, inner) in to[k] = Float(number(row: row, offset: offset &+ inner)) }
  }
}
