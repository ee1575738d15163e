internal import LSTMKernels
internal import LSTMTensors

/// The streams of sequences that a language model goes on with, together, a token each. Row after row they give logits.
final class TokenStreams: TeamWork {
  let vocabulary: Int
  private let model: Model
  /// What a call of several steps has pinned; nil: each step sees what is published then.
  var held: PinnedWeights?
  /// Of the step at work.
  private var here = PinnedWeights.none
  private let streams: [Stream]
  /// What several make a step with; nil: there is one, or each makes its own.
  private let group: StreamGroup?
  private let workers: Workers
  /// The stream of each row.
  private let order: List<Int>
  private let nextOrder: List<Int>
  /// Of each stream, whether a row has it.
  private let isTaken: List<Bool>
  /// What each row reads next.
  private let tokens: Buffer
  private let outputs: Buffer

  private init(
    _ language: LanguageModel, _ streams: [Stream], _ group: StreamGroup?, _ workers: Workers, _ order: List<Int>,
    _ nextOrder: List<Int>, _ isTaken: List<Bool>, tokens: Buffer, outputs: Buffer
  ) {
    (vocabulary, model, held) = (language.vocabulary, language.model, language.weights)
    (self.streams, self.group, self.workers) = (streams, group, workers)
    (self.order, self.nextOrder, self.isTaken) = (order, nextOrder, isTaken)
    (self.tokens, self.outputs) = (tokens, outputs)
  }

  /// - Parameter source: what an encoder reads, if there is one.
  static func make(
    _ language: LanguageModel, _ source: ArrayView?, _ prompt: List<Int32>, _ settings: GenerationSettings, count: Int
  ) throws(LSTMError) -> TokenStreams {
    let threads = settings.threads
    let half = try language.half(
      source, steps: min(Size.limit, prompt.count &+ min(settings.maxLength, Size.limit)))
    let allocator = language.model.allocator
    var streams: [Stream] = []
    let (order, nextOrder, isTaken) = (List<Int>(), List<Int>(), List<Bool>())
    for i in 0..<count {
      let stream = try Stream.make(language.model, language.weights, endsEarly: language.endsInSoftmax, half)
      try Memory.append(stream, to: &streams)
      try order.append(i)
      try nextOrder.append(i)
      try isTaken.append(false)
    }
    if count == 1, threads != 1 { try streams[0].setThreads(threads) }
    return TokenStreams(
      language, streams, count > 1 && half == nil ? try streams[0].prepareGroup() : nil,
      Workers(threads: threads, areKept: true),
      order,
      nextOrder, isTaken, tokens: try Buffer.make(allocator, count, of: Float.self),
      outputs: try Buffer.make(allocator, try Size.product(count, language.vocabulary), of: Float.self))
  }

  func logits(_ row: Int) -> Floats { Floats(outputs.floats + row * vocabulary) }

  /// Reads a prompt into row 0. Only what comes behind its last token is wanted, so it goes token by token.
  func read(_ prompt: List<Int32>) {
    let pinned = held ?? model.pin()
    defer { if held == nil { model.unpin(pinned) } }
    for i in 0..<prompt.count {
      tokens.floats[0] = Float(prompt[i])
      streams[0].go(1, Floats(tokens.floats), outputs.floats, pinned)
    }
  }

  /// Makes all rows what row 0 is.
  func spread() {
    for row in 1..<max(1, streams.count) {
      streams[row].copyState(of: streams[0])
      (outputs.floats + row * vocabulary).copy(from: outputs.floats, count: vocabulary)
    }
  }

  /// Says what a row reads next.
  func setToken(_ row: Int, _ token: Int) { tokens.floats[row] = Float(token) }

  /// Makes a later row this one; its logits stay where they are.
  func move(_ row: Int, to place: Int) { (order[place], order[row]) = (order[row], order[place]) }

  /// Makes each of `count` rows what row `parent(i)` is, whose stream the first of its children takes over.
  func branch(_ count: Int, _ parent: (Int) -> Int) {
    for i in 0..<isTaken.count { isTaken[i] = false }
    for i in 0..<count {
      let stream = order[parent(i)]
      nextOrder[i] = isTaken[stream] ? -1 : stream
      isTaken[stream] = true
    }
    var free = 0
    for i in 0..<count where nextOrder[i] < 0 {
      while isTaken[free] { free += 1 }
      isTaken[free] = true
      nextOrder[i] = free
      streams[free].copyState(of: streams[order[parent(i)]])
    }
    for i in 0..<count { order[i] = nextOrder[i] }
  }

  /// A step of the first rows. Only the first one of several can fail.
  func step(_ rows: Int) throws(LSTMError) {
    let x = Floats(tokens.floats)
    let pinned = held ?? model.pin()
    defer { if held == nil { model.unpin(pinned) } }
    if rows == 1 { return streams[order[0]].go(1, x, outputs.floats, pinned) }
    guard let group else {
      here = pinned
      workers.start(model, rows: rows, steps: 1)
      return workers.share(rows, self)
    }
    defer { group.release() }
    for row in 0..<rows { _ = try group.take(streams[order[row]]) }
    try group.step(x, outputs.floats, workers, pinned)
  }

  override func run(_ row: Int, of count: Int) {
    streams[order[row]].go(1, Floats(tokens.floats + row), outputs.floats + row * vocabulary, here)
  }
}
