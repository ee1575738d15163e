internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

extension Model {
  /// The shape of the output for an array of samples.
  public func outputShape(for x: ArrayView) throws(LSTMError) -> Shape {
    try Feed.make(self, x, sameSteps: outputHasTime).outputShape()
  }
}

/// Predictions of one model, with the working memory and the threads for them, which it keeps between calls.
public final class Predictor: TeamWork {
  private let model: Model
  private let workers: Workers
  /// For calls on it, if it is kept.
  public let supply: Supply?
  private var feed: Feed?
  private var runs: [Run] = []
  private var table: TokenTable?
  /// Tokens predicted from so far, while there is no table.
  private var tokens = 0
  // Of the batch at work.
  private var division: Division
  private var rows = 0
  private var y = UnsafeMutablePointer<Float>(bitPattern: 64)!

  public init(_ model: Model, _ workers: Workers, _ supply: Supply? = nil) {
    (self.model, self.workers, self.supply) = (model, workers, supply)
    division = Division(model, rows: 0)
  }

  /// Fits a new array of samples; the result has this shape.
  public func take(_ x: ArrayView) throws(LSTMError) -> Shape {
    if let feed {
      try feed.take(x, sameSteps: model.outputHasTime)
      return try feed.outputShape()
    }
    let feed = try Feed.make(model, x, sameSteps: model.outputHasTime)
    self.feed = feed
    return try feed.outputShape()
  }

  /// Writes the outputs for all rows of the array taken, row-major.
  public func predict(rows count: Int, batchSize: Int, into y: UnsafeMutablePointer<Float>) throws(LSTMError) {
    guard let feed else { throw .internal("a prediction without samples") }
    // Nothing may be written before the last thing that can fail, so bad input in a late row is looked for first. Numbers
    // cannot be bad, and the memory for their first batch does for all.
    if feed.mayRefuseRows, count > batchSize {
      for first in stride(from: 0, to: count, by: batchSize) {
        try feed.begin(Rows(first: first, count: min(batchSize, count - first)))
      }
    }
    self.y = y
    for first in stride(from: 0, to: count, by: batchSize) {
      rows = min(batchSize, count - first)
      try feed.begin(Rows(first: first, count: rows))
      workers.start(model, rows: count, steps: feed.batchSteps)
      division = Division(model, rows: rows)
      if first == 0 { makeTable(tokens: Carver.product(count, feed.batchSteps)) }
      try load(feed, table?.products(workers))
      if first == 0 { try Memory.check() }
      if division.isTogether { workers.together(self) } else { workers.share(division.parts, self) }
    }
  }

  /// Makes a table, if one is worth it, before so many tokens are predicted from.
  private func makeTable(tokens: Int) {
    guard table == nil, let worth = TokenTable.worth(model) else { return }
    self.tokens = min(self.tokens, worth) + tokens
    if self.tokens >= worth { table = TokenTable.make(model) }
  }

  private func load(_ feed: Feed, _ products: Floats?) throws(LSTMError) {
    while runs.count < division.parts { try Memory.append(try Run.make(model, .predict), to: &runs) }
    for part in 0..<division.parts {
      let run = runs[part]
      try feed.load(division.range(part, of: rows), into: run)
      run.tokenProducts = products
      run.layOut()
    }
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
    let output = run.forward(part)
    let first = whole.lowerBound
    for row in division.isTogether ? part.range(of: rows) : whole {
      copyOut(output, row - first, feed.length(row), row: feed.row(row))
    }
  }

  /// From time-first to row-major. Padding at the end, cut off or not, gets the output of the step before it.
  private func copyOut(_ signal: Signal, _ i: Int, _ length: Int, row: Int) {
    let steps = feed?.outputSteps ?? signal.steps
    let width = signal.width
    var out = y + row * steps * width
    let repeats = model.cutsPadding && model.keepsTime
    for step in 0..<steps {
      let last = repeats ? min(step, length - 1) : step
      out.copy(from: signal.values + (signal.first(last) + i) * width, count: width)
      out += width
    }
  }
}
