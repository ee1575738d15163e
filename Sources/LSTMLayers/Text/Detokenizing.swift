public import LSTMTensors

extension TextLayer {
  /// The text of tokens: characters one after the other, words with spaces between them but for where signs are written
  /// without. Padding has no text, and an unknown token is U+FFFD.
  ///
  /// - Parameter name: what the caller calls the tokens, for messages.
  public func text(of tokens: UnsafeBufferPointer<Int32>, name: StaticString) throws(LSTMError) -> List<UInt8> {
    let (vocabulary, text) = (try learned(), List<UInt8>())
    // The last character code before a token; nil: there is none.
    var last: Unicode.Scalar?
    for i in 0..<tokens.count {
      let token = tokens[i]
      guard token >= 0, token < vocabulary.count else {
        throw .argument("\(name)[\(i)]: expected a token from 0 to \(vocabulary.count - 1), got \(token)")
      }
      if token == Vocabulary.padding { continue }
      let spelling = token == Vocabulary.unknown ? TextLayer.unknown : vocabulary.token(Int(token))
      let first = spelling.scalar(at: 0)?.scalar ?? " "
      if tokenizer.level == .word, let last, Spacing.stands(between: last, first) { try text.append(0x20) }
      try text.append(spelling)
      last = first
    }
    return text
  }

  /// U+FFFD in UTF-8.
  private static var unknown: UnsafeBufferPointer<UInt8> {
    let text: StaticString = "\u{fffd}"
    return UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
  }
}

/// Where spaces stand between words and signs, by the first character codes of both: what is most often right in print,
/// as the text that was cut into tokens is not known.
private enum Spacing {
  static func stands(between a: Unicode.Scalar, _ b: Unicode.Scalar) -> Bool { !adheresAfter(a) && !adheresBefore(b) }

  /// Whether what follows adheres to it.
  private static func adheresAfter(_ a: Unicode.Scalar) -> Bool {
    switch a {
    case "(", "[", "{", "-", "/", "#", "@", "\u{201c}", "\u{2018}", "\u{ab}", "\u{a1}", "\u{bf}": true
    default: isIdeograph(a)
    }
  }

  /// Whether it adheres to what comes before it.
  private static func adheresBefore(_ b: Unicode.Scalar) -> Bool {
    switch b {
    case ".", ",", ";", ":", "!", "?", ")", "]", "}", "%", "-", "/", "\u{2019}", "\u{201d}", "\u{bb}", "\u{2026}": true
    default: isIdeograph(b)
    }
  }

  /// Chinese characters, kana and the signs between them.
  private static func isIdeograph(_ x: Unicode.Scalar) -> Bool {
    (0x2e80...0x9fff).contains(x.value) || (0xff00...0xff65).contains(x.value)
  }
}
