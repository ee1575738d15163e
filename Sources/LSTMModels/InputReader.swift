internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
internal import LSTMTensors

/// Reads the rows of one of a model's inputs for a feed: checks them, finds their lengths, and copies them into runs.
final class InputReader {
  private let kernels: Kernels
  /// Its number among the inputs.
  private let number: Int
  private let input: Input
  private let maskValue: Float?
  private var x: ArrayView
  /// Of every batch; nil: as many as the longest text of a batch needs.
  private(set) var steps: Int?
  /// Of the batch begun.
  private(set) var batchSteps = 0
  /// The batch's rows.
  private let items = List<Item>()
  private let unsorted = List<Item>()
  private let tokenIDs = List<Int32>()
  private let scratch = List<UInt8>()

  /// A row of the batch.
  struct Item: BitwiseCopyable {
    let row: Int
    /// Steps up to the last that is no padding.
    let length: Int
    /// Whether all steps before that are no padding either, and there is one.
    let isWhole: Bool
    /// Its tokens.
    fileprivate let firstToken: Int
    fileprivate let tokens: Int
  }

  init(_ model: Model, _ number: Int, _ x: ArrayView) {
    let entry = model.ports.entries[number]
    (kernels, input, maskValue) = (model.kernels, entry.input, entry.maskValue)
    (self.number, self.x) = (number, x)
  }

  /// Whether there are rows that `begin` refuses: texts and tokens.
  var mayRefuseRows: Bool { if case .values = input { false } else { true } }
  var hasTime: Bool { input.hasTime }

  subscript(i: Int) -> Item { items[i] }

  /// Turns to another array, with the memory there is.
  @inline(never) func take(_ x: ArrayView, sameSteps: Bool) throws(LSTMError) {
    self.x = x
    switch input {
    case .strings(let layer):
      try InputReader.checkTexts(x)
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
      try InputReader.checkNumbers(x, shape, "tokens")
      steps = x.shape[1]
    case .values(let shape):
      try InputReader.checkNumbers(x, shape, "numbers")
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

  // MARK: Batches

  /// Reads what must be known of all rows of a batch before its parts are loaded: tokens and lengths.
  @inline(never) func begin(_ rows: Rows) throws(LSTMError) {
    items.removeAll()
    tokenIDs.removeAll()
    try items.reserve(rows.count)
    var longest = 1
    for i in 0..<rows.count {
      let row = rows[i]
      let first = tokenIDs.count
      switch input {
      case .strings(let layer):
        let count = try readText(row, layer)
        longest = max(longest, count)
        let kept = min(count, steps ?? count)
        try items.append(
          Item(row: row, length: kept, isWhole: kept > 0 && !layer.padsLeft, firstToken: first, tokens: count))
      case .tokens(_, let vocabulary, let padding):
        try readTokens(row, vocabulary)
        try items.append(item(row, firstToken: first, masksZero: padding == 0))
      case .values:
        try items.append(item(row, firstToken: 0, masksZero: false))
      }
    }
    batchSteps = steps ?? longest
  }

  /// Appends the tokens of a text; their number.
  private func readText(_ row: Int, _ layer: TextLayer) throws(LSTMError) -> Int {
    let vocabulary = try layer.learned()
    let first = tokenIDs.count
    try layer.forEachToken(of: x, row: row, scratch) { (token) throws(LSTMError) in
      try tokenIDs.append(vocabulary.index(of: token))
    }
    return tokenIDs.count - first
  }

  /// Brings the rows into an order.
  func sort(_ order: List<Int>) throws(LSTMError) {
    unsorted.removeAll()
    for i in 0..<items.count { try unsorted.append(items[i]) }
    for i in 0..<items.count { items[i] = unsorted[order[i]] }
  }

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
    var length = x.length(row) ?? steps
    while length > 0, !isValid(row, length - 1, firstToken, masksZero) { length -= 1 }
    var isWhole = length > 0
    if x.mask != nil || masksZero || maskValue != nil {
      for step in 0..<length where !isValid(row, step, firstToken, masksZero) { isWhole = false }
    }
    return Item(row: row, length: length, isWhole: isWhole, firstToken: firstToken, tokens: steps)
  }

  /// Places tokens and the mask of a part of the batch in a run that is ready for it; numbers are left to `fill`.
  func load(_ range: Range<Int>, _ run: Run) {
    let (steps, padding, batch) = (run.steps(number), run.padding(number), range.count)
    let starts = padding == .cut ? UnsafePointer(run.starts) : nil
    for i in range {
      let place = RowPlace(starts: starts, batch: batch, row: i - range.lowerBound)
      let item = items[i]
      switch input {
      case .strings(let layer): placeText(item, layer, place, run)
      case .tokens(_, _, let zero):
        let (from, to) = (tokenIDs.start + item.firstToken, run.tokens(number))
        for step in 0..<(starts == nil ? steps : item.length) { to[place.at(step)] = from[step] }
        if padding == .masked { markPadding(item, zero == 0, place, run) }
      case .values: if padding == .masked { markPadding(item, false, place, run) }
      }
    }
  }

  /// Copies the numbers of a part of the batch into the run that is ready for it: a worker's share of the timesteps.
  ///
  /// - Returns: whether all of them are finite.
  @inline(never) func fill(_ range: Range<Int>, _ run: Run, _ part: Part) -> Bool {
    guard case .values = input else { return true }
    let (width, values) = (run.width(number), run.values(number))
    let starts = run.padding(number) == .cut ? UnsafePointer(run.starts) : nil
    let hasTime = x.shape.rank > 2
    let (stepStride, axis) = hasTime ? (x.strides[1], 2) : (0, 1)
    var areFinite = true
    for step in part.range(of: run.steps(number)) {
      let place = RowPlace(starts: starts, batch: range.count, row: 0)
      let first = values + place.at(step) * width
      let rows = starts.map { $0[step + 1] - $0[step] } ?? range.count
      for i in 0..<rows {
        let (row, to) = (items[range.lowerBound + i].row, first + i * width)
        if isValid(row, step, 0, false) {
          x.copy(row: row, offset: step &* stepStride, axis: axis, count: width, into: to)
        } else {
          to.clear(width)
        }
      }
      areFinite = areFinite && kernels.sumOfSquares(rows * width, first).isFinite
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

  private func markPadding(_ item: Item, _ masksZero: Bool, _ place: RowPlace, _ run: Run) {
    for step in 0..<run.steps(number) {
      run.mask(number)[place.at(step)] = isValid(item.row, step, item.firstToken, masksZero) ? 1 : 0
    }
  }

  /// Appends the tokens of a row of numbers; padding is 0.
  private func readTokens(_ row: Int, _ vocabulary: Int) throws(LSTMError) {
    let steps = x.shape[1]
    let to = try tokenIDs.extend(by: steps)
    var step = 0
    while step < steps {
      // A run of steps without padding.
      var end = x.length(row) ?? steps
      if x.mask != nil {
        end = step
        while end < steps, x.isValid(row: row, step: end) { end += 1 }
      }
      if end > step {
        step += x.readTokens(row: row, steps: step..<end, limit: vocabulary, into: to + step, kernels)
        if step < end {
          let number = x.number(row: row, offset: step &* x.strides[1])
          throw .argument(
            "\(x.name)[\(row), \(x.firstStep + step)]: expected a token from 0 to \(vocabulary - 1), got \(number)")
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
    let to = layer.padsLeft ? run.steps(number) - kept : 0
    for step in 0..<(run.padding(number) == .cut ? kept : run.steps(number)) {
      let isText = step >= to && step < to + kept
      let token = isText ? tokenIDs[from + step - to] : Vocabulary.padding
      run.tokens(number)[place.at(step)] = token
      // Token 0 is padding even inside of a text.
      if run.padding(number) == .masked { run.mask(number)[place.at(step)] = token == Vocabulary.padding ? 0 : 1 }
    }
  }

  /// Refuses numbers that are not finite, when `fill` has found some, and names the first in the batch's order.
  func checkFinite(_ range: Range<Int>, _ run: Run) throws(LSTMError) {
    guard case .values = input else { return }
    let (width, values) = (run.width(number), run.values(number))
    let starts = run.padding(number) == .cut ? UnsafePointer(run.starts) : nil
    for i in range {
      let place = RowPlace(starts: starts, batch: range.count, row: i - range.lowerBound)
      for step in 0..<(starts == nil ? run.steps(number) : items[i].length) {
        for k in 0..<width where !values[place.at(step) * width + k].isFinite {
          throw .argument(
            "\(x.name)\(x.shape.rank > 2 ? "[\(items[i].row), \(x.firstStep + step)]" : "[\(items[i].row)]"): expected finite "
              + "numbers, got \(Double(values[place.at(step) * width + k])) as value \(k)")
        }
      }
    }
  }
}
