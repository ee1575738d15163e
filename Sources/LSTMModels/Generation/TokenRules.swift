internal import LSTMKernels
internal import LSTMLayers
internal import LSTMTensors

/// Which tokens may come, and which end a sequence.
final class TokenRules {
  private let flags: Buffer
  private static let suppressed: UInt8 = 1
  private static let end: UInt8 = 2
  private let suppressed = List<Int32>()
  private let ends = List<Int32>()
  private let minLength: Int

  private init(_ flags: Buffer, minLength: Int) { (self.flags, self.minLength) = (flags, minLength) }

  static func make(_ language: LanguageModel, _ settings: GenerationSettings) throws(LSTMError) -> TokenRules {
    let (model, vocabulary) = (language.model, language.vocabulary)
    let rules = TokenRules(
      try Buffer.make(model.allocator, vocabulary, of: UInt8.self), minLength: settings.minLength)
    try check(settings.endTokens, "options.end_tokens", vocabulary)
    try check(settings.suppressed, "options.suppressed", vocabulary)
    for token in settings.endTokens { try rules.mark(Int(token), end, in: rules.ends) }
    for token in settings.suppressed { try rules.mark(Int(token), suppressed, in: rules.suppressed) }
    // Padding is nothing to go on from, and what the vocabulary does not have is no text.
    if language.masksZero, !rules.isEnd(0) { try rules.mark(0, suppressed, in: rules.suppressed) }
    if let known = language.knownTokens, known < vocabulary {
      for token in known..<vocabulary { try rules.mark(token, suppressed, in: rules.suppressed) }
    }
    guard (0..<vocabulary).contains(where: { rules.allows($0, at: 0) && !rules.isEnd($0) }) else {
      throw .argument("options.suppressed: expected to leave a token that does not end the sequence, got none left")
    }
    return rules
  }

  private static func check(
    _ tokens: UnsafeBufferPointer<Int32>, _ name: StaticString, _ vocabulary: Int
  ) throws(LSTMError) {
    for i in 0..<tokens.count where tokens[i] < 0 || Int(tokens[i]) >= vocabulary {
      throw .argument("\(name)[\(i)]: expected a token from 0 to \(vocabulary - 1), got \(tokens[i])")
    }
  }

  private func mark(_ token: Int, _ flag: UInt8, in list: List<Int32>) throws(LSTMError) {
    let flags = flags.pointer(to: UInt8.self)
    if flags[token] & flag != 0 { return }
    try list.append(Int32(token))
    flags[token] |= flag
  }

  /// How many tokens end a sequence.
  var endCount: Int { ends.count }

  @inline(__always) func isEnd(_ token: Int) -> Bool { flags.pointer(to: UInt8.self)[token] & TokenRules.end != 0 }

  /// Whether a token may come at place `index` of a sequence.
  @inline(__always) func allows(_ token: Int, at index: Int) -> Bool {
    let flag = flags.pointer(to: UInt8.self)[token]
    return flag == 0 || (flag == TokenRules.end && index >= minLength)
  }

  /// Makes the scores of tokens that may not come at place `index` those of tokens that never come.
  func suppress(_ scores: MutableFloats, at index: Int) {
    for token in suppressed.elements { scores[Int(token)] = -.infinity }
    if index < minLength { for token in ends.elements { scores[Int(token)] = -.infinity } }
  }
}
