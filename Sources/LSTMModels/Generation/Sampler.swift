internal import LSTMKernels
internal import LSTMTensors

/// Chooses a token by the logits of a step: the most probable one, or one drawn from what temperature, top-k (Fan et al.
/// 2018) and top-p (nucleus; Holtzman et al. 2020) leave, of which tokens that were there before may be made less probable
/// (Keskar et al. 2019).
final class Sampler {
  struct Choice {
    let token: Int
    /// By the model alone: at temperature 1 and with nothing left out.
    let logProbability: Double
  }

  let rules: TokenRules
  private let settings: GenerationSettings
  private let vocabulary: Int
  private let kernels: Kernels
  private let scores: Buffer
  /// For the largest of them; nil: not asked for.
  private let order: Buffer?
  /// Of each sequence, 1 for each token that was in it or in the prompt; nil: not asked for.
  private let seen: Buffer?

  private init(
    _ language: LanguageModel, _ settings: GenerationSettings, _ rules: TokenRules, scores: Buffer, order: Buffer?,
    seen: Buffer?
  ) {
    (self.settings, self.rules, vocabulary) = (settings, rules, language.vocabulary)
    (kernels, self.scores, self.order, self.seen) = (language.model.kernels, scores, order, seen)
  }

  static func make(
    _ language: LanguageModel, _ settings: GenerationSettings, prompt: List<Int32>
  ) throws(LSTMError) -> Sampler {
    let (allocator, vocabulary) = (language.model.allocator, language.vocabulary)
    let rules = try TokenRules.make(language, settings)
    let scores = try Buffer.make(allocator, vocabulary, of: Float.self)
    let cuts = settings.topK > 0 || settings.topP < 1
    let order = cuts ? try Buffer.make(allocator, vocabulary, of: Int32.self) : nil
    var seen: Buffer?
    if settings.repetitionPenalty != 1 {
      seen = try Buffer.make(allocator, try Size.product(settings.sequences, vocabulary), of: UInt8.self)
    }
    let sampler = Sampler(language, settings, rules, scores: scores, order: order, seen: seen)
    for sequence in 0..<settings.sequences {
      for token in prompt.elements { sampler.note(Int(token), sequence) }
    }
    return sampler
  }

  private func note(_ token: Int, _ sequence: Int) {
    seen?.pointer(to: UInt8.self)[sequence * vocabulary + token] = 1
  }

  /// The token at place `index` of a sequence. nil: the logits say nothing, as they are not finite.
  func choose(_ logits: Floats, sequence: Int, index: Int) -> Choice? {
    let scores = scores.floats
    scores.copy(from: logits, count: vocabulary)
    penalize(scores, sequence)
    rules.suppress(scores, at: index)
    let token =
      settings.temperature == 0
      ? firstLargest(Floats(scores), vocabulary) : draw(scores, sequence: sequence, index: index)
    let logProbability = Double(logits[token]) - kernels.logarithmOfSum(logits, vocabulary)
    guard logProbability.isFinite else { return nil }
    note(token, sequence)
    return Choice(token: token, logProbability: logProbability)
  }

  private func penalize(_ scores: MutableFloats, _ sequence: Int) {
    guard let seen else { return }
    let factor = Float(settings.repetitionPenalty)
    let own = seen.pointer(to: UInt8.self) + sequence * vocabulary
    for token in 0..<vocabulary where own[token] != 0 {
      scores[token] = scores[token] > 0 ? scores[token] / factor : scores[token] * factor
    }
  }

  /// Every token's number is its own, whatever comes before it.
  private func draw(_ scores: MutableFloats, sequence: Int, index: Int) -> Int {
    if settings.temperature != 1 { kernels.scale(vocabulary, by: Float(1 / settings.temperature), scores) }
    kernels.softmax(rows: 1, width: vocabulary, Floats(scores), scores)
    var random = RandomSequence(
      seed: settings.seed, .generation, place: (UInt64(sequence), UInt64(index)))
    let uniform = random.uniform()
    guard let order = order?.pointer(to: Int32.self) else {
      return pick(vocabulary, uniform) { ($0, scores[$0]) }
    }
    let count = keepLargest(Floats(scores), order)
    return pick(count, uniform) { place in
      let token = Int(order[self.vocabulary - 1 - place])
      return (token, scores[token])
    }
  }

  /// Of `count` tokens the one in whose part of all their probabilities a number from 0 to below 1 falls.
  @inline(__always)
  private func pick(_ count: Int, _ uniform: Double, _ entry: (Int) -> (token: Int, probability: Float)) -> Int {
    var all = 0.0
    for i in 0..<count { all += Double(entry(i).probability) }
    var (sum, token) = (0.0, entry(0).token)
    for i in 0..<count {
      let next = entry(i)
      if next.probability > 0 { token = next.token }
      sum += Double(next.probability)
      if sum > uniform * all { break }
    }
    return token
  }

  /// Puts the most probable tokens into `order`, from its end on: `topK` of them, or of these the fewest that have the
  /// share `topP` of their probability.
  ///
  /// - Returns: how many.
  private func keepLargest(_ p: Floats, _ order: UnsafeMutablePointer<Int32>) -> Int {
    for token in 0..<vocabulary { order[token] = Int32(token) }
    for i in (0..<vocabulary / 2).reversed() { siftDown(p, order, i, vocabulary) }
    let limit = settings.topK == 0 ? vocabulary : min(settings.topK, vocabulary)
    var (all, kept) = (0.0, 0)
    if settings.topK == 0 { for token in 0..<vocabulary { all += Double(p[token]) } }
    // Without top-k no more of them are put in order than are kept.
    var sum = 0.0
    while kept < limit, settings.topK > 0 || kept == 0 || sum < settings.topP * all {
      let last = vocabulary - 1 - kept
      (order[0], order[last]) = (order[last], order[0])
      siftDown(p, order, 0, last)
      sum += Double(p[Int(order[last])])
      kept += 1
    }
    guard settings.topK > 0, settings.topP < 1 else { return kept }
    (all, sum, kept) = (sum, 0, 0)
    while kept < limit, kept == 0 || sum < settings.topP * all {
      sum += Double(p[Int(order[vocabulary - 1 - kept])])
      kept += 1
    }
    return kept
  }

  /// Moves the entry at place `i` of a heap down until it comes before both entries below it.
  private func siftDown(_ p: Floats, _ heap: UnsafeMutablePointer<Int32>, _ i: Int, _ count: Int) {
    func comes(_ a: Int32, before b: Int32) -> Bool {
      let (x, y) = (p[Int(a)], p[Int(b)])
      return x > y || (x == y && a < b)
    }
    var i = i
    while 2 * i + 1 < count {
      var child = 2 * i + 1
      if child + 1 < count, comes(heap[child + 1], before: heap[child]) { child += 1 }
      if comes(heap[i], before: heap[child]) { return }
      (heap[i], heap[child]) = (heap[child], heap[i])
      i = child
    }
  }
}

/// The place of the largest number, of equals the first.
func firstLargest(_ x: Floats, _ count: Int) -> Int {
  var best = 0
  for i in 1..<max(1, count) where x[i] > x[best] || x[best].isNaN { best = i }
  return best
}

extension Kernels {
  /// ln Σ exp x; not finite if any x is not, but for -infinity.
  func logarithmOfSum(_ x: Floats, _ count: Int) -> Double {
    var (label, weight, loss) = (Int32(firstLargest(x, count)), Float(1), 0.0)
    softmaxCrossEntropy(rows: 1, width: count, x, &label, weights: &weight, dx: nil, losses: &loss)
    return loss + Double(x[Int(label)])
  }
}

/// That a model's outputs are no numbers to choose by.
func notFinite(_ index: Int) -> LSTMError {
  .argument("model: expected outputs that are finite, got others at token \(index)")
}
