internal import LSTMKernels
public import LSTMTensors

/// The sequences that a generation has made.
public final class Generated {
  private let sequences: Int
  private let maxLength: Int
  /// `[sequences, maxLength]`; -1 behind the end of each.
  private let tokens: Buffer
  /// The sums of those of the tokens.
  private let logProbabilities: Buffer

  private init(_ settings: GenerationSettings, tokens: Buffer, logProbabilities: Buffer) {
    (sequences, maxLength) = (settings.sequences, settings.maxLength)
    (self.tokens, self.logProbabilities) = (tokens, logProbabilities)
  }

  /// Generates.
  ///
  /// - Parameters:
  ///   - source: of a model that writes from one, one sample.
  ///   - prompt: `[tokens]`, or one text.
  ///   - hear: is told of each token, but not by a beam search; false to stop.
  /// - Returns: the sequences, and whether they were stopped.
  public static func make(
    _ model: Model, from source: ArrayView?, _ prompt: ArrayView, _ settings: GenerationSettings,
    _ hear: (TokenGenerator.Token) -> Bool
  ) throws(LSTMError) -> (Generated, isStopped: Bool) {
    let count = try Size.product(settings.sequences, settings.maxLength)
    let result = Generated(
      settings, tokens: try Buffer.make(model.allocator, count, of: Int32.self),
      logProbabilities: try Buffer.make(model.allocator, settings.sequences, of: Double.self))
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    result.tokens.base.initializeMemory(as: UInt8.self, repeating: 0xff, count: result.tokens.byteCount)
    if settings.beams > 1 {
      // Of those that there may not be.
      for sequence in 0..<settings.sequences { result.setLogProbability(-.infinity, of: sequence) }
      try BeamSearch.make(model, pinned, from: source, prompt, settings).run(into: result)
      return (result, false)
    }
    let generator = try TokenGenerator.make(model, pinned, from: source, prompt, settings)
    while true {
      let progress = try generator.advance { token in
        result.set(token.sequence, token.index, Int32(token.token))
        result.logProbabilities.pointer(to: Double.self)[token.sequence] += token.logProbability
        return hear(token)
      }
      if case .goesOn = progress { continue }
      if case .stopped = progress { return (result, true) }
      return (result, false)
    }
  }

  func set(_ sequence: Int, _ index: Int, _ token: Int32) {
    tokens.pointer(to: Int32.self)[sequence * maxLength + index] = token
  }

  func setLogProbability(_ logProbability: Double, of sequence: Int) {
    logProbabilities.pointer(to: Double.self)[sequence] = logProbability
  }

  /// Copies out `[sequences, maxLength]` tokens and, of each sequence, its log-probability.
  public func copy(to tokens: UnsafeMutablePointer<Int32>, _ logProbabilities: UnsafeMutablePointer<Double>?) {
    tokens.copy(from: self.tokens.pointer(to: Int32.self), count: sequences * maxLength)
    logProbabilities?.copy(from: self.logProbabilities.pointer(to: Double.self), count: sequences)
  }
}
