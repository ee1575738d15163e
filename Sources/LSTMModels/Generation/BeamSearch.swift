internal import CLSTMShim
internal import LSTMKernels
internal import LSTMTensors

/// The most probable sequences behind a prompt, looked for from left to right among `beams` of them at a time.
///
/// Of all that the live beams may become by one more token, those go on that are the most probable, up to `beams` of them;
/// what ends with an end token and is more probable than the last of these is finished. A finished sequence of `length`
/// tokens is worth its log-probability / ((5 + length) / 6)^lengthPenalty. It is over when no live beam can become worth
/// more than the least of `beams` finished ones.
/// - Source: Wu et al., "Google's neural machine translation system", 2016, for the penalty.
final class BeamSearch {
  /// What a live beam may become.
  private struct Candidate: Ranked {
    /// The log-probability of the whole.
    let worth: Double
    let row: Int32
    let token: Int32
  }

  private struct Finished: Ranked {
    let worth: Double
    let logProbability: Double
    let length: Int
    /// Its last token, and the beam before that.
    let token: Int32
    let row: Int32
  }

  /// A live beam's last token, and the beam before that.
  private struct Node: BitwiseCopyable {
    let token: Int32
    let row: Int32
  }

  private let settings: GenerationSettings
  private let kernels: Kernels
  private let streams: TokenStreams
  private let rules: TokenRules
  private let candidates: Ranking<Candidate>
  private let finished: Ranking<Finished>
  /// `[maxLength, beams]`.
  private let nodes: Buffer
  /// The log-probability of each live beam.
  private let sums: Buffer
  private var live = 1

  private init(
    _ model: Model, _ settings: GenerationSettings, _ streams: TokenStreams, _ rules: TokenRules,
    _ candidates: Ranking<Candidate>, _ finished: Ranking<Finished>, nodes: Buffer, sums: Buffer
  ) {
    (kernels, self.settings, self.streams, self.rules) = (model.kernels, settings, streams, rules)
    (self.candidates, self.finished, self.nodes, self.sums) = (candidates, finished, nodes, sums)
  }

  static func make(
    _ model: Model, _ weights: PinnedWeights, from source: ArrayView?, _ prompt: ArrayView,
    _ settings: GenerationSettings
  ) throws(LSTMError) -> BeamSearch {
    let language = try LanguageModel(model, weights, hasSource: source != nil)
    let tokens = try language.read(prompt)
    let (count, allocator) = (settings.beams, model.allocator)
    let rules = try TokenRules.make(language, settings)
    let streams = try TokenStreams.make(language, source, tokens, settings, count: count)
    // Each beam may end in as many ways as there are end tokens, before as many as there are beams go on.
    let candidates = try Ranking<Candidate>.make(allocator, try Size.product(count, rules.endCount + 1))
    let finished = try Ranking<Finished>.make(allocator, count)
    let nodes = try Buffer.make(allocator, try Size.product(settings.maxLength, count), of: Node.self)
    let sums = try Buffer.make(allocator, count, of: Double.self)
    try Memory.check()
    streams.read(tokens)
    return BeamSearch(model, settings, streams, rules, candidates, finished, nodes: nodes, sums: sums)
  }

  func run(into result: Generated) throws(LSTMError) {
    for index in 0..<settings.maxLength {
      if index > 0 { try streams.step(live) }
      try rank(at: index)
      if select(at: index) { break }
    }
    if finished.count == 0 { throw notFinite(0) }
    for sequence in 0..<min(settings.sequences, finished.count) {
      write(finished[sequence], as: sequence, into: result)
    }
  }

  /// Finds what the live beams may become.
  private func rank(at index: Int) throws(LSTMError) {
    let vocabulary = streams.vocabulary
    candidates.removeAll()
    for row in 0..<live {
      let logits = streams.logits(row)
      let base = sums.pointer(to: Double.self)[row] - kernels.logarithmOfSum(logits, vocabulary)
      guard base.isFinite else { throw notFinite(index) }
      for token in 0..<vocabulary {
        let worth = base + Double(logits[token])
        if worth > candidates.least, rules.allows(token, at: index) {
          candidates.insert(Candidate(worth: worth, row: Int32(row), token: Int32(token)))
        }
      }
    }
  }

  /// Takes the best of them: some end, the others are the live beams from now on.
  ///
  /// - Returns: whether the search is over.
  private func select(at index: Int) -> Bool {
    let (sums, length) = (sums.pointer(to: Double.self), index + 1)
    let nodes = nodes.pointer(to: Node.self) + index * settings.beams
    var next = 0
    for i in 0..<candidates.count where next < settings.beams {
      let candidate = candidates[i]
      if length == settings.maxLength || rules.isEnd(Int(candidate.token)) {
        let worth = candidate.worth / penalty(length)
        if worth > finished.least {
          finished.insert(
            Finished(
              worth: worth, logProbability: candidate.worth, length: length, token: candidate.token,
              row: candidate.row))
        }
      } else {
        nodes[next] = Node(token: candidate.token, row: candidate.row)
        sums[next] = candidate.worth
        next += 1
      }
    }
    // A log-probability only falls, and is worth the most in the longest sequence.
    if next == 0 || (finished.isFull && sums[0] / penalty(settings.maxLength) <= finished.least) { return true }
    streams.branch(next) { Int(nodes[$0].row) }
    for row in 0..<next { streams.setToken(row, Int(nodes[row].token)) }
    live = next
    return false
  }

  private func penalty(_ length: Int) -> Double { shim_pow(Double(5 + length) / 6, settings.lengthPenalty) }

  private func write(_ finished: Finished, as sequence: Int, into result: Generated) {
    var (token, row) = (finished.token, finished.row)
    for index in (0..<finished.length).reversed() {
      result.set(sequence, index, token)
      if index == 0 { break }
      let node = nodes.pointer(to: Node.self)[(index - 1) * settings.beams + Int(row)]
      (token, row) = (node.token, node.row)
    }
    result.setLogProbability(finished.logProbability, of: sequence)
  }
}

private protocol Ranked: BitwiseCopyable {
  var worth: Double { get }
}

/// The best of what there is, in order; of equals what came first.
private final class Ranking<Entry: Ranked> {
  private let entries: Buffer
  private let capacity: Int
  private(set) var count = 0
  /// What an entry must be worth more than.
  private(set) var least = -Double.infinity

  private init(_ entries: Buffer, _ capacity: Int) { (self.entries, self.capacity) = (entries, capacity) }

  static func make(_ allocator: Allocator, _ capacity: Int) throws(LSTMError) -> Ranking<Entry> {
    Ranking(try Buffer.make(allocator, capacity, of: Entry.self), capacity)
  }

  subscript(i: Int) -> Entry { entries.pointer(to: Entry.self)[i] }
  var isFull: Bool { count == capacity }

  func removeAll() { (count, least) = (0, -.infinity) }

  /// An entry that is worth more than `least`.
  func insert(_ entry: Entry) {
    let entries = entries.pointer(to: Entry.self)
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].worth < entry.worth { high = middle } else { low = middle + 1 }
    }
    if !isFull { count += 1 }
    (entries + low + 1).copy(from: entries + low, count: count - 1 - low)
    entries[low] = entry
    if isFull { least = entries[count - 1].worth }
  }
}
