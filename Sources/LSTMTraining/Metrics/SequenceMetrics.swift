internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
internal import LSTMTensors

/// A figure of whole sequences of tokens: the class of the largest output at each step that is no padding, beside the
/// class of the target. Both end before their first `end_token`, if one is given. With a loss of labels the answer is what
/// is left of these classes when repeats are taken together and blanks left out.
class SequenceMetric: Metric {
  /// A sequence of tokens.
  typealias Tokens = UnsafeBufferPointer<Int32>

  private final let endToken: Int32?
  /// Two sequences and scratch, of `room` numbers each.
  private final var memory: Buffer?
  private final var room = 0

  init(_ setting: MetricSetting, endToken: Int?, stateCount: Int) {
    self.endToken = endToken.map { Int32($0) }
    super.init(setting, stateCount: stateCount)
  }

  /// - Returns: the end token.
  static func read(_ setting: MetricSetting) throws(LSTMError) -> Int? {
    if !setting.loss.hasLabels { try setting.needsClasses() }
    guard setting.outputShape.rank == 2 else {
      throw setting.refused("another metric unless the model answers each timestep with the classes of a token")
    }
    return try setting.fields.optionalInteger("end_token", 0...max(0, min(setting.width, Int(Int32.max)) - 1))
  }

  override final func prepare(steps: Int) throws(LSTMError) {
    if steps < room { return }
    let more = try Size.sum(steps, 1)
    memory = try Buffer.make(.system, try Size.product(3, more), of: Int32.self)
    room = more
  }

  override final func update(_ batch: MetricInput) {
    guard let reference = memory?.pointer(to: Int32.self) else { return }
    let answer = reference + room
    let layout = batch.layout
    for row in 0..<layout.batch {
      var count = 0
      for step in 0..<layout.steps where row < layout.rows(at: step) {
        let element = layout.first(step) + row
        if batch.mask[element] == 0 { continue }
        if batch.labels == nil { reference[count] = Int32(batch.label(element)) }
        answer[count] = Int32(firstLargest(batch.outputs(element), batch.width))
        count += 1
      }
      if count == 0 { continue }
      var referenceCount = count
      if let labels = batch.labels {
        count = collapsePath(answer, count, blank: labels.rules.blank)
        referenceCount = labels.count(row)
        reference.copy(from: labels.labels(row), count: referenceCount)
      }
      add(ended(reference, referenceCount), ended(answer, count), answer + room)
    }
  }

  private final func ended(_ tokens: UnsafeMutablePointer<Int32>, _ count: Int) -> Tokens {
    var length = 0
    while length < count, tokens[length] != endToken { length += 1 }
    return Tokens(start: tokens, count: length)
  }

  /// Adds a sequence.
  ///
  /// - Parameter scratch: one more number than the longer sequence has.
  func add(_ reference: Tokens, _ answer: Tokens, _ scratch: UnsafeMutablePointer<Int32>) {}
}

/// The least number of tokens to insert, leave out and replace that makes the answer the reference: its mean over the
/// sequences, or the sum of all divided by the tokens of all references (the token error rate).
///
/// - Source: Levenshtein 1966; Wagner & Fischer 1974.
final class EditDistance: SequenceMetric {
  private let isRate: Bool
  private init(_ setting: MetricSetting, endToken: Int?, isRate: Bool) {
    self.isRate = isRate
    super.init(setting, endToken: endToken, stateCount: 2)
  }

  static func make(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    EditDistance(setting, endToken: try read(setting), isRate: false)
  }

  static func makeRate(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    EditDistance(setting, endToken: try read(setting), isRate: true)
  }

  override func add(_ reference: Tokens, _ answer: Tokens, _ scratch: UnsafeMutablePointer<Int32>) {
    // Of the answer so far to each beginning of the reference.
    for j in 0...reference.count { scratch[j] = Int32(j) }
    for i in 0..<answer.count {
      var diagonal = scratch[0]
      scratch[0] = Int32(i + 1)
      for j in 0..<reference.count {
        let replaced = diagonal + (answer[i] == reference[j] ? 0 : 1)
        diagonal = scratch[j + 1]
        scratch[j + 1] = min(replaced, min(diagonal, scratch[j]) + 1)
      }
    }
    state[0] += Double(scratch[reference.count])
    state[1] += isRate ? Double(reference.count) : 1
  }

  override var result: Double { state[1] == 0 ? 0 : state[0] / state[1] }
}

/// The geometric mean of the shares of the answers' runs of 1, 2, 3 and 4 tokens that the references have too, each as
/// often at most, over all sequences; times exp(1 - references/answers) when the answers are shorter in all. From 0 to 1;
/// 0 when no run of some length is right.
///
/// - Source: Papineni et al. 2002; sacrebleu.corpus_bleu with smooth_method="none" and one reference.
final class BLEU: SequenceMetric {
  private static let longest = 4

  static func make(_ setting: MetricSetting) throws(LSTMError) -> Metric {
    BLEU(setting, endToken: try read(setting), stateCount: 2 + 2 * longest)
  }

  /// Tokens of all references and of all answers.
  private var lengths: UnsafeMutablePointer<Double> { state }
  /// Of each length, the runs of the answers that are right, and all of them.
  private var right: UnsafeMutablePointer<Double> { state + 2 }
  private var all: UnsafeMutablePointer<Double> { right + BLEU.longest }

  override func add(_ reference: Tokens, _ answer: Tokens, _ scratch: UnsafeMutablePointer<Int32>) {
    lengths[0] += Double(reference.count)
    lengths[1] += Double(answer.count)
    for n in 1...min(BLEU.longest, max(1, answer.count)) {
      all[n - 1] += Double(answer.count - n + 1)
      // Which runs of the reference have met their like.
      let used = scratch
      used.clear(reference.count)
      for i in 0..<max(0, answer.count - n + 1) {
        for j in 0..<max(0, reference.count - n + 1) where used[j] == 0 && same(n, answer, i, reference, j) {
          used[j] = 1
          right[n - 1] += 1
          break
        }
      }
    }
  }

  private func same(_ n: Int, _ a: Tokens, _ i: Int, _ b: Tokens, _ j: Int) -> Bool {
    for k in 0..<n where a[i + k] != b[j + k] { return false }
    return true
  }

  override var result: Double {
    var logarithm = 0.0
    for i in 0..<BLEU.longest {
      if right[i] == 0 { return 0 }
      logarithm += shim_log(right[i] / all[i]) / Double(BLEU.longest)
    }
    return shim_exp(logarithm + min(0, 1 - lengths[0] / lengths[1]))
  }
}
