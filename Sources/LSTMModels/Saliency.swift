internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// How an output of a model depends on each number that it reads, or on each number of the vectors of the tokens that it
/// reads: the gradient, or integrated gradients, the mean of the gradients on the straight way from zeros to the input,
/// times the input.
///
/// - Source: Simonyan et al. 2014 (gradient); Sundararajan, Taly & Yan 2017 (integrated gradients), by the midpoint rule.
public final class Saliency {
  /// Like the caller's, with all that gradients of inputs need.
  private let model: Model
  private let feed: Feed
  private let rows: Int
  /// Of the numbers of a sample's output.
  private let output: Int
  /// Of the way; 0: only its end.
  private let steps: Int
  /// The embedding whose vectors it is about, if the model reads tokens.
  private let table: Int?
  /// Of the result.
  public let shape: Shape
  /// Gradients of weights, which nobody asks for.
  private let gradients: Buffer

  private init(
    _ model: Model, _ feed: Feed, rows: Int, output: Int, steps: Int, table: Int?, _ shape: Shape, _ gradients: Buffer
  ) {
    (self.model, self.feed, self.rows, self.output, self.steps) = (model, feed, rows, output, steps)
    (self.table, self.shape, self.gradients) = (table, shape, gradients)
  }

  public static func make(
    _ original: Model, _ x: ArrayView, output: Int, steps: Int
  ) throws(LSTMError) -> Saliency {
    try original.checkSingle("model")
    try original.checkTrainable()
    if let last = original.stages.last, last.chain != nil {
      throw .unsupported("model: expected an output that has a gradient, got that of layer \"\(last.name)\"")
    }
    let model = try original.differentiating()
    let feed = try Feed.make(model, Arrays(x), sameSteps: true)
    var sample = try feed.outputShape()
    sample[0] = 1
    let count = try sample.count()
    guard output >= 0, output < count else {
      throw .argument("output: expected 0 to \(count - 1), got \(UInt(bitPattern: output))")
    }
    var (table, shape): (Int?, Shape) = (nil, x.shape)
    if case .values = model.input {
    } else {
      let found = try model.onlyTable()
      table = found
      shape = Shape(x.rows, try feed.steps(of: model.wiring.output(of: found)), model.stages[found].outputWidth)
    }
    _ = try shape.count()
    let gradients = try Buffer.make(model.allocator, model.plan.count, of: Float.self)
    gradients.floats.clear(model.plan.count)
    return Saliency(model, feed, rows: x.rows, output: output, steps: steps, table: table, shape, gradients)
  }

  /// Writes all numbers; zeros where padding is.
  public func write(into y: UnsafeMutablePointer<Float>) throws(LSTMError) {
    let count = try shape.count() / max(1, rows)
    let run = try Run.make(model, .differentiate)
    try feed.forEachBatch(of: rows, in: run) { batch in
      for i in batch { (y + feed.row(i) * count).clear(count) }
      for step in 0..<max(1, steps) {
        if step > 0 { _ = feed.fill(batch, run, .whole) }
        let signal = forward(run, at: steps == 0 ? 1 : (Float(step) + 0.5) / Float(steps))
        setOutputGradient(run, batch)
        run.backward(gradients: gradients.floats)
        addGradient(run, signal, count: count, to: y)
      }
      if steps > 0 { multiplyInput(run, batch, count: count, y) }
    }
  }

  /// A pass from an input on the way.
  ///
  /// - Returns: the signal that the result is about.
  private func forward(_ run: Run, at place: Float) -> Int {
    let signal = table.map { model.wiring.output(of: $0) } ?? model.ports.entries[0].signal
    if let table { run.forward(to: table + 1) }
    model.kernels.scale(run.signal(signal).count, by: place, run.signal(signal).values)
    run.forward(from: table.map { $0 + 1 } ?? 0)
    return signal
  }

  /// 1 for the output that was asked for, of each row; where padding is, that is the output of the step before it.
  private func setOutputGradient(_ run: Run, _ batch: Range<Int>) {
    let (signal, dy) = (run.output, run.outputGradient)
    dy.clear(signal.count)
    let time = model.cutsPadding ? model.time(of: model.ports.exits[0].signal) : nil
    for i in batch {
      let length = time.map { feed.length(i, of: $0) } ?? signal.steps
      let step = min(output / signal.width, length - 1)
      dy[(signal.first(step) + i) * signal.width + output % signal.width] = 1
    }
  }

  private func addGradient(_ run: Run, _ number: Int, count: Int, to y: MutableFloats) {
    let (signal, gradient) = (run.signal(number), run.gradient(of: number))
    let share = 1 / Float(max(1, steps))
    signal.forEachValid { (step, row, place) in
      model.kernels.add(
        signal.width, share, times: gradient + place * signal.width,
        to: y + feed.row(row) * count + step * signal.width)
    }
  }

  /// Multiplies the means of gradients with the end of the way.
  private func multiplyInput(_ run: Run, _ batch: Range<Int>, count: Int, _ y: MutableFloats) {
    _ = feed.fill(batch, run, .whole)
    if let table { run.forward(to: table + 1) }
    let signal = run.signal(table.map { model.wiring.output(of: $0) } ?? model.ports.entries[0].signal)
    signal.forEachValid { (step, row, place) in
      let to = y + feed.row(row) * count + step * signal.width
      model.kernels.multiply(signal.width, to, signal.values + place * signal.width, to)
    }
  }
}

extension Model {
  /// The same model with all that gradients of its inputs need.
  fileprivate func differentiating() throws(LSTMError) -> Model {
    let text = try describe()
    let description = try Document.parse(text.text, name: "description")
    withExtendedLifetime(text) {}
    let copy = try Model.make(
      description.root, path: "description", allocator, kernels, differentiatesInputs: true)
    let pinned = pin()
    defer { unpin(pinned) }
    let weights = pinned.weights.parameters
    copy.parameters.base.copyMemory(from: weights.base, byteCount: weights.byteCount)
    try copy.prepareBackward()
    return copy
  }

  /// The embedding that reads the model's input.
  fileprivate func onlyTable() throws(LSTMError) -> Int {
    var found: Int?
    for i in 0..<stages.count where stages[i] is EmbeddingLayer {
      if found != nil { throw .unsupported("model: expected one embedding of its tokens, got several") }
      found = i
    }
    guard let found else { throw .unsupported("model: expected an embedding of its tokens, got none") }
    return found
  }
}
