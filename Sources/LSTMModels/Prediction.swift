internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

extension Model {
  /// The shape of an output for arrays of samples.
  public func outputShape(_ i: Int = 0, for xs: Arrays) throws(LSTMError) -> Shape {
    try Feed.make(self, xs, sameSteps: outputHasTime).outputShape(i)
  }
}

/// Predictions of one model, with the working memory and the threads for them, which it keeps between calls.
public final class Predictor: TeamWork {
  public let model: Model
  private let workers: Workers
  /// For calls on it, if it is kept.
  public let supply: Supply?
  /// Likewise.
  public let lists = ArrayLists()
  private var feed: Feed?
  private var runs: [Run] = []
  /// Where each output begins among all.
  private let places = List<Int>()
  private var table: TokenTable?
  /// Tokens predicted from so far with the weights of a version, and after how many the table is worth filling.
  private var tokens = 0
  private var version = -1
  private var worth = Int.max
  // Of the batch at work.
  private var division: Division
  private var rows = 0
  private var y = UnsafeMutablePointer<Float>(bitPattern: 64)!

  public init(_ model: Model, _ workers: Workers, _ supply: Supply? = nil) {
    (self.model, self.workers, self.supply) = (model, workers, supply)
    division = Division(model, rows: 0)
  }

  /// Fits new arrays of samples; how many numbers come out for them.
  public func take(_ xs: Arrays) throws(LSTMError) -> Int {
    let made: Feed
    if let feed {
      try feed.take(xs, sameSteps: model.outputHasTime)
      made = feed
    } else {
      made = try Feed.make(model, xs, sameSteps: model.outputHasTime)
      feed = made
    }
    places.removeAll()
    var count = 0
    for i in 0..<model.ports.exits.count {
      try places.append(count)
      count = try Size.sum(count, try made.outputShape(i).count())
    }
    return count
  }

  /// Writes the outputs for all rows of the arrays taken, row-major, one output behind the other.
  public func predict(rows count: Int, batchSize: Int, into y: UnsafeMutablePointer<Float>) throws(LSTMError) {
    guard let feed else { throw .internal("a prediction without samples") }
    // Nothing may be written before the last thing that can fail, so late rows that are bad, too short or need more memory
    // are looked for first. Numbers are as good and as long in all batches.
    if feed.mayRefuseRows, count > batchSize {
      for first in stride(from: 0, to: count, by: batchSize) {
        try begin(feed, Rows(first: first, count: min(batchSize, count - first)))
      }
    }
    self.y = y
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    let weights = pinned.weights
    for first in stride(from: 0, to: count, by: batchSize) {
      try begin(feed, Rows(first: first, count: min(batchSize, count - first)))
      workers.start(model, rows: count, steps: runs[0].steps)
      if first == 0 {
        readyTable(weights, tokens: Carver.product(count, runs[0].steps))
        try Memory.check()
      }
      let products = tokens >= worth ? table?.products(weights, workers) : nil
      for run in runs[..<division.parts] {
        run.weights = weights
        run.tokenProducts = products
        run.layOut()
      }
      if division.isTogether { workers.together(self) } else { workers.share(division.parts, self) }
    }
  }

  /// Makes a table if one may be of use, before so many tokens are predicted from. A predictor that is kept does so at its
  /// first call, since later ones allocate nothing.
  private func readyTable(_ weights: Weights, tokens count: Int) {
    worth = TokenTable.worth(model) ?? .max
    if worth == .max { return }
    if version != weights.version { (tokens, version) = (0, weights.version) }
    tokens = min(tokens, worth) + count
    if table == nil, tokens >= worth || supply != nil { table = TokenTable.make(model) }
  }

  private func begin(_ feed: Feed, _ batch: Rows) throws(LSTMError) {
    rows = batch.count
    try feed.begin(batch)
    division = Division(model, rows: rows)
    while runs.count < division.parts { try Memory.append(try Run.make(model, .predict), to: &runs) }
    for part in 0..<division.parts { try feed.load(division.range(part, of: rows), into: runs[part]) }
  }

  /// One part of a batch, or one worker's share of the whole.
  public override func run(_ item: Int, of count: Int) {
    guard let feed else { return }
    let run = runs[division.isTogether ? 0 : item]
    let part = division.isTogether ? Part(item, of: count, workers.team) : .whole
    let whole = division.range(division.isTogether ? 0 : item, of: rows)
    // Numbers that are not finite are predicted from as they are.
    _ = feed.fill(whole, run, part)
    part.meet()
    run.forward(part)
    let own = division.isTogether ? part.range(of: rows) : whole
    for i in 0..<places.count { copyOut(i, run.output(i), own, first: whole.lowerBound, feed) }
  }

  /// From time-first to row-major. Padding at the end, cut off or not, gets the output of the step before it.
  private func copyOut(_ output: Int, _ signal: Signal, _ rows: Range<Int>, first: Int, _ feed: Feed) {
    let steps = feed.outputSteps(output) ?? signal.steps
    let time = model.cutsPadding ? model.time(of: model.ports.exits[output].signal) : nil
    for row in rows {
      let length = time.map { feed.length(row, of: $0) } ?? signal.steps
      signal.copyOut(row - first, length, steps, to: y + places[output] + feed.row(row) * steps * signal.width)
    }
  }
}

extension Signal {
  /// Copies so many steps of a row of the batch, behind its length those of its last step.
  func copyOut(_ row: Int, _ length: Int, _ steps: Int, to y: MutableFloats) {
    var out = y
    for step in 0..<steps {
      let last = min(step, length - 1)
      out.copy(from: values + (first(last) + row) * width, count: width)
      out += width
    }
  }
}
