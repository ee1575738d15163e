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

/// Turns rows of the caller's arrays into what a model's first layers take: time first, checked, without padding where that
/// can be cut off, else with a mask. `begin` reads a batch, `load` readies runs for parts of it, and `fill`, in which
/// several workers may share, copies what numbers there are.
public final class Feed {
  private let model: Model
  private var xs: Arrays
  /// One for each input of the model.
  private var readers: [InputReader] = []
  /// The batch's rows. Where padding can be cut, the longest come first.
  private let order = List<Int>()
  private let places = List<Int>()
  private let sorted = List<Int>()
  private var isSorted = false
  /// Whether in the batch begun what ends, ends at the same step in all inputs that are sequences.
  private var endsTogether = true

  /// - Parameter sameSteps: every batch must have the same number of steps, because the outputs of all make one array.
  public static func make(_ model: Model, _ xs: Arrays, sameSteps: Bool) throws(LSTMError) -> Feed {
    let feed = Feed(model, xs)
    try feed.checkCount(xs)
    feed.readers.reserveCapacity(xs.count)
    for i in 0..<xs.count {
      feed.readers.append(InputReader(model, i, xs[i]))
      // A few find room in what is set aside, and stay for the next call.
      if i % 4 == 3 { try Memory.check() }
    }
    try feed.take(xs, sameSteps: sameSteps)
    return feed
  }

  private init(_ model: Model, _ xs: Arrays) { (self.model, self.xs) = (model, xs) }

  /// Turns to other arrays, with the memory there is.
  @inline(never) public func take(_ xs: Arrays, sameSteps: Bool) throws(LSTMError) {
    try checkCount(xs)
    self.xs = xs
    for i in 0..<xs.count {
      try readers[i].take(xs[i], sameSteps: sameSteps)
      guard xs[i].rows == xs[0].rows else {
        throw .argument(
          "\(xs[i].name).shape: expected as many samples as of x[0], \(xs[0].rows), got \(xs[i].shape.text)")
      }
    }
    for exit in model.ports.exits { _ = try steps(of: exit) }
  }

  /// nil: the output has none, or a batch decides.
  private func steps(of exit: Ports.Exit) throws(LSTMError) -> Int? {
    if !exit.hasTime { return nil }
    for reader in readers where reader.steps == nil { return nil }
    return try model.steps(of: exit.signal) { readers[$0].steps ?? 0 }
  }

  private func checkCount(_ xs: Arrays) throws(LSTMError) {
    let count = model.ports.entries.count
    guard xs.count == count else {
      throw .argument("x: expected \(count) arrays, one for each input of the model, got \(xs.count)")
    }
  }

  /// Of one of the model's outputs for all samples.
  public func outputShape(_ i: Int = 0) throws(LSTMError) -> Shape {
    var sample = model.ports.exits[i].shape
    if let steps = outputSteps(i) { sample[0] = steps }
    return sample.prepending(xs[0].rows)
  }

  /// Steps of an output for every row of the arrays, as `sameSteps` promises.
  func outputSteps(_ i: Int = 0) -> Int? { (try? steps(of: model.ports.exits[i])) ?? nil }

  /// Steps of a signal for every row of the arrays, as `sameSteps` promises.
  func steps(of signal: Int) throws(LSTMError) -> Int { try model.steps(of: signal) { readers[$0].steps ?? 1 } }

  // MARK: Batches

  /// Calls `body` with each batch of so many rows when it is ready in a run of one worker. Before the first call all that
  /// can fail has been done once.
  func forEachBatch(
    of rows: Int, in run: Run, _ body: (_ batch: Range<Int>) -> Void
  ) throws(LSTMError) {
    let batchSize = 32
    for isReading in [true, false] {
      for first in stride(from: 0, to: rows, by: batchSize) {
        let batch = 0..<min(batchSize, rows - first)
        try begin(Rows(first: first, count: batch.count))
        try load(batch, into: run)
        run.layOut()
        try Memory.check()
        if isReading { continue }
        _ = fill(batch, run, .whole)
        body(batch)
      }
    }
  }

  /// Reads what must be known of all rows of a batch before its parts are loaded: tokens and lengths.
  @inline(never) public func begin(_ rows: Rows) throws(LSTMError) {
    for reader in readers { try reader.begin(rows) }
    try order.reserve(max(0, rows.count - order.count))
    endsTogether = shareLengths(rows.count)
    isSorted = false
    if model.cutsPadding, endsTogether { try sort(rows.count) }
    order.removeAll()
    for i in 0..<rows.count { try order.append(readers[0][i].row) }
  }

  /// The input whose lengths are those of all that are sequences.
  private var leader: InputReader { readers.first { $0.hasTime } ?? readers[0] }

  private func shareLengths(_ count: Int) -> Bool {
    let leader = leader
    for reader in readers where reader !== leader && reader.hasTime {
      if reader.batchSteps != leader.batchSteps { return false }
      for i in 0..<count where reader[i].length != leader[i].length || reader[i].isWhole != leader[i].isWhole {
        return false
      }
    }
    return true
  }

  /// Whether there are rows that `begin` refuses: texts and tokens.
  var mayRefuseRows: Bool { readers.contains { $0.mayRefuseRows } }

  /// By falling length, rows of one length in the order in which they came.
  private func sort(_ count: Int) throws(LSTMError) {
    let leader = leader
    var (least, most) = (leader.batchSteps, 0)
    for i in 0..<count { (least, most) = (min(least, leader[i].length), max(most, leader[i].length)) }
    if least >= most { return }
    places.removeAll()
    for _ in 0...most + 1 { try places.append(0) }
    for i in 0..<count { places[most - leader[i].length + 1] += 1 }
    for i in 0..<most { places[i + 1] += places[i] }
    sorted.removeAll()
    for _ in 0..<count { try sorted.append(0) }
    for i in 0..<count {
      let length = leader[i].length
      sorted[places[most - length]] = i
      places[most - length] += 1
    }
    for reader in readers { try reader.sort(sorted) }
    isSorted = true
  }

  /// The place that a row of the batch had among those it was begun with.
  func place(_ i: Int) -> Int { isSorted ? sorted[i] : i }

  /// The row of the arrays that row `i` of the batch is.
  func row(_ i: Int) -> Int { readers[0][i].row }

  /// Rows of the batch begun, in its order.
  public func rows(_ range: Range<Int>) -> Rows {
    Rows(order: UnsafePointer(order.start), first: range.lowerBound, count: range.count)
  }

  /// How many steps of a row of the batch are there in an input before the padding at the end: all, if there is padding
  /// before them.
  func length(_ i: Int, of input: Int) -> Int {
    let reader = readers[input]
    return reader[i].isWhole ? reader[i].length : reader.batchSteps
  }

  /// Readies a run for a part of the batch, to the last token; numbers are left to `fill`.
  @inline(never) public func load(_ range: Range<Int>, into run: Run) throws(LSTMError) {
    let leader = leader
    var cuts = model.cutsPadding && endsTogether && range.count > 0
    for i in range { cuts = cuts && leader[i].isWhole }
    let longest = cuts ? leader[range.lowerBound].length : 0
    try run.prepare(batch: range.count) { cuts && readers[$0].hasTime ? longest : readers[$0].batchSteps }
    if cuts {
      cutPadding(range, run, longest)
    } else {
      for (k, reader) in readers.enumerated() {
        for i in range where !reader[i].isWhole || reader[i].length != reader.batchSteps { run.setPadding(k, .masked) }
      }
    }
    for reader in readers { reader.load(range, run) }
  }

  /// Leaves at each step only the rows that go on.
  private func cutPadding(_ range: Range<Int>, _ run: Run, _ steps: Int) {
    let leader = leader
    var going = range.count
    if leader[range.upperBound - 1].length == steps { return }
    for (k, reader) in readers.enumerated() where reader.hasTime { run.setPadding(k, .cut) }
    run.starts[0] = 0
    for step in 0..<steps {
      while leader[range.lowerBound + going - 1].length <= step { going -= 1 }
      run.starts[step + 1] = run.starts[step] + going
    }
  }

  /// Copies the numbers of a part of the batch into the run that is ready for it: a worker's share of the timesteps.
  ///
  /// - Returns: whether all of them are finite.
  @inline(never) public func fill(_ range: Range<Int>, _ run: Run, _ part: Part) -> Bool {
    var areFinite = true
    for reader in readers where !reader.fill(range, run, part) { areFinite = false }
    return areFinite
  }

  /// Refuses numbers that are not finite, when `fill` has found some, and names the first in the batch's order.
  public func checkFinite(_ range: Range<Int>, _ run: Run) throws(LSTMError) {
    for reader in readers { try reader.checkFinite(range, run) }
  }
}
