internal import LSTMLayers
internal import LSTMModels
public import LSTMTensors

/// Samples with their targets and weights, as the caller holds them.
public struct Examples {
  /// For each input of the model.
  let x: Arrays
  /// For each output of the model, as are the weights.
  let y: Arrays
  /// `[samples]` or `[samples, timesteps]` numbers of at least 0. One without axes stands for none.
  let weights: Arrays?
  /// One weight for each label.
  let classWeights: UnsafeBufferPointer<Double>?

  public init(x: Arrays, y: Arrays, weights: Arrays?, classWeights: UnsafeBufferPointer<Double>? = nil) {
    (self.x, self.y, self.weights, self.classWeights) = (x, y, weights, classWeights)
  }

  /// Of a model of one input and one output.
  public init(x: ArrayView, y: ArrayView, weights: ArrayView?, classWeights: UnsafeBufferPointer<Double>? = nil) {
    self.init(x: Arrays(x), y: Arrays(y), weights: weights.map { Arrays($0) }, classWeights: classWeights)
  }

  var count: Int { x[0].rows }

  /// The weights for an output.
  func weights(_ output: Int) -> ArrayView? {
    guard let weights, output < weights.count, weights[output].shape.rank > 0 else { return nil }
    return weights[output]
  }

  func slice(_ range: Range<Int>, withClassWeights: Bool) throws(LSTMError) -> Examples {
    Examples(
      x: try x.slice(range), y: try y.slice(range), weights: try weights?.slice(range),
      classWeights: withClassWeights ? classWeights : nil)
  }
}

/// Reads batches of examples: their inputs by way of a feed, targets and weights into memory that the caller keeps.
final class ExampleReader {
  private(set) var examples: Examples
  let feed: Feed
  /// One for each output of the model.
  private var targets: [TargetReader] = []

  private init(_ examples: Examples, _ feed: Feed) { (self.examples, self.feed) = (examples, feed) }

  static func make(_ model: Model, _ examples: Examples, _ goals: [Goal]) throws(LSTMError) -> ExampleReader {
    let reader = ExampleReader(examples, try Feed.make(model, examples.x, sameSteps: model.outputHasTime))
    reader.targets.reserveCapacity(goals.count)
    for (i, goal) in goals.enumerated() {
      reader.targets.append(TargetReader(model, goal.loss, i, examples.y[0]))
      // As of the feed's readers.
      if i % 4 == 3 { try Memory.check() }
    }
    try reader.check()
    return reader
  }

  /// Turns to other examples, with the memory there is.
  func take(_ model: Model, _ examples: Examples) throws(LSTMError) {
    self.examples = examples
    try feed.take(examples.x, sameSteps: model.outputHasTime)
    try check()
  }

  /// Samples.
  var count: Int { examples.count }

  private func check() throws(LSTMError) {
    let x = examples.x[0]
    if x.rows == 0 { throw .argument("\(x.name).shape: expected at least one sample, got \(x.shape.text)") }
    guard examples.y.count == targets.count else {
      throw .argument("y: expected \(targets.count) arrays, one for each output of the model, got \(examples.y.count)")
    }
    if let weights = examples.weights, weights.count != targets.count {
      throw .argument("weights: expected \(targets.count) arrays, one for each output, got \(weights.count)")
    }
    if examples.classWeights != nil, targets.count > 1 {
      throw .unsupported("class_weights: expected none for a model of several outputs, got some")
    }
    for (i, reader) in targets.enumerated() {
      try reader.take(examples.y[i], examples.weights(i), examples.classWeights, try feed.outputShape(i))
    }
  }

  /// Reads the targets and weights of a part of the feed's batch, for an output that is like this one.
  ///
  /// - Returns: how many elements count.
  func load(_ range: Range<Int>, _ i: Int, for output: Signal, into targets: BatchTargets) throws(LSTMError) -> Int {
    try self.targets[i].load(feed.rows(range), for: output, into: targets)
  }
}
