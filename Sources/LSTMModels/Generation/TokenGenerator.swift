internal import LSTMKernels
public import LSTMTensors

/// Sequences that go on token by token behind one prompt, each for itself.
///
/// After `make`, and after the first step of several, nothing here allocates.
public final class TokenGenerator {
  public struct Token {
    public let sequence: Int
    /// Its place in the sequence, from 0.
    public let index: Int
    public let token: Int
    /// Of what the model gives it.
    public let logProbability: Double
  }

  public enum Progress {
    case goesOn
    /// There was nothing left to do.
    case ended
    /// The listener asked for it.
    case stopped
  }

  /// For calls on it, if it is kept.
  public let supply: Supply?
  private let settings: GenerationSettings
  private let streams: TokenStreams
  private let sampler: Sampler
  /// The sequence of each row of the streams.
  private let rows: List<Int>
  /// Of the sequences that go on.
  private var length = 0

  private init(
    _ settings: GenerationSettings, _ streams: TokenStreams, _ sampler: Sampler, _ rows: List<Int>, _ supply: Supply?
  ) {
    (self.settings, self.streams, self.sampler, self.rows) = (settings, streams, sampler, rows)
    self.supply = supply
  }

  /// One for calls that each see the weights that are published then.
  ///
  /// - Parameters:
  ///   - source: of a model that writes from one, one sample.
  ///   - prompt: `[tokens]`, or one text.
  public static func make(
    _ model: Model, from source: ArrayView?, _ prompt: ArrayView, _ settings: GenerationSettings, _ supply: Supply
  ) throws(LSTMError) -> TokenGenerator {
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    let generator = try make(model, pinned, from: source, prompt, settings, supply)
    generator.streams.held = nil
    return generator
  }

  /// One for the call that has pinned these weights.
  static func make(
    _ model: Model, _ weights: PinnedWeights, from source: ArrayView?, _ prompt: ArrayView,
    _ settings: GenerationSettings, _ supply: Supply? = nil
  ) throws(LSTMError) -> TokenGenerator {
    let language = try LanguageModel(model, weights, hasSource: source != nil)
    let tokens = try language.read(prompt)
    let sampler = try Sampler.make(language, settings, prompt: tokens)
    let streams = try TokenStreams.make(language, source, tokens, settings, count: settings.sequences)
    let rows = List<Int>()
    for sequence in 0..<settings.sequences { try rows.append(sequence) }
    try Memory.check()
    streams.read(tokens)
    streams.spread()
    return TokenGenerator(settings, streams, sampler, rows, supply)
  }

  /// One more token of each sequence that has not ended. After an error all have.
  ///
  /// - Parameter hear: is told of each token; false to stop.
  public func advance(_ hear: (Token) -> Bool) throws(LSTMError) -> Progress {
    if rows.count == 0 || length == settings.maxLength { return .ended }
    if length > 0 { try streams.step(rows.count) }
    var kept = 0
    for row in 0..<rows.count {
      let sequence = rows[row]
      guard let choice = sampler.choose(streams.logits(row), sequence: sequence, index: length) else {
        rows.removeAll()
        throw notFinite(length)
      }
      let token = Token(
        sequence: sequence, index: length, token: choice.token, logProbability: choice.logProbability)
      guard hear(token) else { return .stopped }
      if sampler.rules.isEnd(choice.token) { continue }
      streams.move(row, to: kept)
      streams.setToken(kept, choice.token)
      rows[kept] = sequence
      kept += 1
    }
    rows.removeLast(rows.count - kept)
    length += 1
    return .goesOn
  }
}
