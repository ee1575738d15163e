internal import LSTMKernels
internal import LSTMModels
public import LSTMTensors

/// Where the batches of an epoch come from.
public class BatchSource {
  init() {}

  /// In an epoch; nil: that is known at its end.
  var samples: Int? { nil }
  /// In an epoch; 0: that is known at its end.
  var batches: Int { 0 }

  /// Before the batches of an epoch.
  ///
  /// - Parameter epoch: epochs trained.
  func begin(epoch: UInt64) {}

  /// The batch that follows so many batches and samples of the epoch; nil: there is none. What it reads from is good until
  /// the next call.
  func next(batch: Int, sample: Int) throws(LSTMError) -> (reader: ExampleReader, rows: Rows)? { nil }
}

/// Batches of examples in memory.
final class ArraySource: BatchSource {
  private let reader: ExampleReader
  private let count: Int
  private let batchSize: Int
  /// nil: as they stand.
  private let order: List<Int>?
  private let seed: UInt64

  private init(_ reader: ExampleReader, _ count: Int, _ batchSize: Int, _ order: List<Int>?, seed: UInt64) {
    (self.reader, self.count, self.batchSize, self.order, self.seed) = (reader, count, batchSize, order, seed)
    super.init()
  }

  /// - Parameter seed: of the orders of the epochs; nil: the examples come as they stand.
  static func make(
    _ model: Model, _ examples: Examples, _ goals: [Goal], batchSize: Int, shuffledBy seed: UInt64? = nil
  ) throws(LSTMError) -> ArraySource {
    let reader = try ExampleReader.make(model, examples, goals)
    let order = seed.map { _ in List<Int>() }
    if let order {
      try order.reserve(examples.count)
      for row in 0..<examples.count { try order.append(row) }
    }
    return ArraySource(reader, examples.count, batchSize, order, seed: seed ?? 0)
  }

  override var samples: Int? { count }
  override var batches: Int { (count + batchSize - 1) / batchSize }

  /// Makes the order of the epoch, which depends on the seed and the number of epochs trained alone.
  ///
  /// - Source: Fisher & Yates; Durstenfeld 1964.
  override func begin(epoch: UInt64) {
    guard let order else { return }
    for i in 0..<order.count { order[i] = i }
    var random = RandomSequence(seed: seed, .shuffling, place: (epoch, 0))
    for i in stride(from: order.count - 1, to: 0, by: -1) {
      let j = random.index(below: i + 1)
      (order[i], order[j]) = (order[j], order[i])
    }
  }

  override func next(batch: Int, sample: Int) -> (reader: ExampleReader, rows: Rows)? {
    guard sample < count else { return nil }
    let size = min(batchSize, count - sample)
    return (reader, Rows(order: order.map { UnsafePointer($0.start) }, first: sample, count: size))
  }
}

/// Batches that the caller makes one by one.
public final class CalledSource: BatchSource {
  /// Gives the examples of a batch of an epoch, both counted from 0; nil: the epoch is over.
  public typealias Call = (_ epoch: UInt64, _ batch: Int) throws(LSTMError) -> Examples?

  private let call: Call
  private let limit: Int
  private var epoch: UInt64 = 0
  private var reader: ExampleReader?
  private var read: (model: Model, goals: [Goal])?

  /// - Parameter limit: batches of an epoch; 0: those that there are.
  public init(limit: Int, _ call: @escaping Call) {
    (self.limit, self.call) = (limit, call)
    super.init()
  }

  /// Before the first epoch.
  func prepare(_ model: Model, _ goals: [Goal]) throws(LSTMError) {
    try model.checkSingle("source")
    read = (model, goals)
  }

  override var batches: Int { limit }
  override func begin(epoch: UInt64) { self.epoch = epoch }

  override func next(batch: Int, sample: Int) throws(LSTMError) -> (reader: ExampleReader, rows: Rows)? {
    guard limit == 0 || batch < limit, let read, let examples = try call(epoch, batch) else { return nil }
    let rows = Rows(first: 0, count: examples.count)
    if let reader {
      try reader.take(read.model, examples)
      return (reader, rows)
    }
    let made = try ExampleReader.make(read.model, examples, read.goals)
    reader = made
    return (made, rows)
  }
}
