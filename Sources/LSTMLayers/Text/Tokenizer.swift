internal import CLSTMShim
public import LSTMTensors

/// Cuts text into tokens.
///
/// By words: a run of letters, marks and digits is a token, with an apostrophe (' or U+2019) inside where letters stand
/// on both sides: `don't`. Every other sign is a token of its own, with the marks that follow it, and so is every
/// ideograph. White space, control and format characters (byte order mark, soft hyphen) separate tokens; but the join
/// controls U+200C and U+200D, which Persian and Indic spelling needs, stay inside a word as apostrophes do.
///
/// By characters: every character code is a token, white space too; a mark is not joined to its letter.
///
/// Lower case is that of each character code by itself: `İ` gives `i` and a dot above, a final Σ gives `σ` and not `ς`.
/// Letters, marks and digits are told by their Unicode category; texts are taken as they are, not normalised.
public struct Tokenizer: Sendable {
  public enum Level: Sendable { case word, character }

  public let level: Level
  public let lowers: Bool

  public init(level: Level, lowers: Bool) { (self.level, self.lowers) = (level, lowers) }

  /// Calls `body` with the bytes of each token in order; they are good until `body` returns.
  ///
  /// - Parameters:
  ///   - text: UTF-8 ending with a zero byte. `body` gets the tokens before the first byte that is wrong.
  ///   - scratch: holds the token in lower case; the same one for many texts saves allocations.
  ///   - name: what the caller calls the text, for messages: "x[3]".
  public func forEachToken(
    of text: UnsafePointer<UInt8>, scratch: List<UInt8>, name: () -> String,
    _ body: (UnsafeBufferPointer<UInt8>) throws(LSTMError) -> Void
  ) throws(LSTMError) {
    let text = UnsafeBufferPointer(zeroTerminated: text)
    var position = 0
    while position < text.count {
      let start = position
      let first = Symbol(text, at: start)
      guard first.length > 0 else { throw Self.notUTF8(text, at: start, name()) }
      position += first.length
      if level == .word {
        if first.kind == .separator || first.kind == .joinControl { continue }
        position = Self.end(of: text, at: position, after: first.kind)
      }
      let token = UnsafeBufferPointer(rebasing: text[start..<position])
      try body(lowers ? Self.lowered(token, scratch) : token)
    }
  }

  private static func notUTF8(_ text: UnsafeBufferPointer<UInt8>, at offset: Int, _ name: String) -> LSTMError {
    .argument("\(name): expected UTF-8, got byte 0x\(String(text[offset], radix: 16)) at offset \(offset)")
  }

  /// Where the token ends whose first symbol, of this kind, ends at `position`.
  @inline(__always)
  private static func end(of text: UnsafeBufferPointer<UInt8>, at position: Int, after kind: Symbol.Kind) -> Int {
    var (position, last) = (position, kind)
    let isWord = last.isInWord
    while true {
      let next = Symbol(text, at: position)
      switch next.kind {
      case .mark: break
      case .letter where isWord, .digit where isWord: break
      case .apostrophe where isWord && last != .digit, .joinControl where isWord && last != .digit:
        guard Symbol(text, at: position + next.length).kind == .letter else { return position }
      default: return position
      }
      position += next.length
      last = next.kind
    }
  }

  private static func lowered(
    _ token: UnsafeBufferPointer<UInt8>, _ scratch: List<UInt8>
  ) throws(LSTMError) -> UnsafeBufferPointer<UInt8> {
    scratch.removeAll()
    try scratch.reserve(token.count)
    var i = 0
    while let (scalar, length) = token.scalar(at: i) {
      i += length
      switch scalar {
      case "A"..."Z": try scratch.append(UInt8(scalar.value) | 0x20)
      case "\0"..."\u{7f}": try scratch.append(UInt8(scalar.value))
      // The only character whose lower case is two.
      case "\u{130}":
        try append("i", to: scratch)
        try append("\u{307}", to: scratch)
      default: try append(Unicode.Scalar(shim_lower_case(scalar.value)) ?? scalar, to: scratch)
      }
    }
    return scratch.elements
  }

  private static func append(_ scalar: Unicode.Scalar, to bytes: List<UInt8>) throws(LSTMError) {
    for byte in scalar.utf8 { try bytes.append(byte) }
  }
}

/// A character code as the rule for words sees it.
struct Symbol {
  enum Kind {
    case letter, mark, digit, apostrophe, joinControl, sign, separator
    /// The end of the text, or bytes that are not UTF-8.
    case none

    var isInWord: Bool { self == .letter || self == .mark || self == .digit }
  }

  let kind: Kind
  /// In bytes; 0 of `none`.
  let length: Int

  @inline(__always) init(_ text: UnsafeBufferPointer<UInt8>, at i: Int) {
    guard let (scalar, length) = text.scalar(at: i) else {
      (kind, self.length) = (.none, 0)
      return
    }
    self.length = length
    switch scalar {
    case "a"..."z", "A"..."Z": kind = .letter
    case "\0"..." ": kind = .separator
    case "0"..."9": kind = .digit
    case "'", "\u{2019}": kind = .apostrophe
    case "!"..."~": kind = .sign
    default: kind = Self.kind(of: scalar)
    }
  }

  private static func kind(of scalar: Unicode.Scalar) -> Kind {
    switch Int(shim_character_kind(scalar.value)) {
    case SHIM_LETTER: .letter
    case SHIM_MARK: .mark
    case SHIM_DIGIT: .digit
    case SHIM_SEPARATOR: .separator
    case SHIM_JOIN_CONTROL: .joinControl
    default: .sign
    }
  }
}
