import Foundation
import LSTMTensors
import Testing

@testable import LSTMLayers

/// What independent programs expect: make_text_cases.py writes the file.
private struct Cases: Decodable {
  struct Tokens: Decodable {
    let text: String
    let level: String
    let lower: Bool
    let tokens: [String]
  }
  struct Bad: Decodable {
    /// Hexadecimal.
    let bytes: String
    let offset: Int
  }
  struct Counted: Decodable {
    let tokens: [String]
    let vocabulary: [String]
  }
  let tokens: [Tokens]
  let errors: [Bad]
  let vocabularies: [Counted]

  static func load() throws -> Cases {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "text_cases.json")
    return try JSONDecoder().decode(Cases.self, from: Data(contentsOf: file))
  }
}

/// Bytes, because Swift takes strings for equal that differ in how marks are composed.
private typealias Bytes = [UInt8]

private func bytes(_ texts: [String]) -> [Bytes] { texts.map { Bytes($0.utf8) } }

private func tokens(_ tokenizer: Tokenizer, _ text: Bytes, _ scratch: List<UInt8> = List()) throws -> [Bytes] {
  var result: [Bytes] = []
  try tokenizer.forEachToken(of: text + [0], scratch: scratch, name: { "x[7]" }) { result.append(Bytes($0)) }
  return result
}

extension Vocabulary {
  fileprivate func index(_ token: Bytes) -> Int32 { token.withUnsafeBufferPointer { index(of: $0) } }

  fileprivate func add(_ token: Bytes) throws(LSTMError) -> Bool {
    // A zero byte follows, so that the pointer is never nil.
    let padded = token + [0]
    return try padded.span.withUnsafeBufferPointer { (b) throws(LSTMError) in
      try append(UnsafeBufferPointer(rebasing: b.dropLast()))
    }
  }

  /// Without the first two.
  fileprivate var texts: [Bytes] { (2..<count).map { Bytes(token($0)) } }
}

extension TokenCounts {
  fileprivate func add(_ token: Bytes) throws(LSTMError) {
    try token.span.withUnsafeBufferPointer { (b) throws(LSTMError) in try add(b) }
  }
}

/// Every token is at its place, and a few that are not there are unknown.
private func expectSound(_ vocabulary: Vocabulary, _ texts: [Bytes]) {
  #expect(vocabulary.count == texts.count + 2)
  #expect(vocabulary.texts == texts)
  #expect(vocabulary.token(0).isEmpty && vocabulary.token(1).isEmpty)
  #expect(texts.indices.allSatisfy { vocabulary.index(texts[$0]) == $0 + 2 })
  for text in texts.prefix(100) where !texts.contains(text + [0xff]) {
    #expect(vocabulary.index(text + [0xff]) == Vocabulary.unknown)
  }
}

/// The same tokens on every run, some of them many times: 0 to 19 bytes of any value.
private func randomTokens(_ count: Int) -> [Bytes] {
  var random = RandomSequence(seed: 5, .shuffling, place: (0, 0))
  let pool = (0..<count / 4).map { _ in (0..<random.index(below: 20)).map { _ in UInt8(random.index(below: 256)) } }
  return (0..<count).map { _ in pool[random.index(below: random.index(below: pool.count) + 1)] }
}

@Suite struct UTF8Tests {
  @Test func everyScalarIsDecoded() throws {
    for code in UInt32(0)...0x10ffff {
      guard let scalar = Unicode.Scalar(code) else { continue }
      let encoded = Array(UTF8.encode(scalar)!)
      let found = encoded.withUnsafeBufferPointer { $0.scalar(at: 0) }
      guard found?.scalar == scalar, found?.length == encoded.count else {
        Issue.record("U+\(String(code, radix: 16))")
        return
      }
    }
  }

  /// All sequences of two bytes and many longer ones, near the edges of what is well-formed.
  @Test func judgesAsTheStandardLibrary() {
    let edges: Bytes = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf]
    let leads: Bytes = [0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff]
    var texts: [Bytes] = []
    for a in UInt8.min...255 { for b in UInt8.min...255 { texts.append([a, b]) } }
    for a in edges + leads { for b in edges { for c in edges { texts.append([a, b, c]) } } }
    for a in leads { for b in edges { for c in edges { for d in edges { texts.append([a, b, c, d]) } } } }
    let wrong = texts.filter { text in
      text.withUnsafeBufferPointer { isUTF8($0) } != (String(validating: text, as: UTF8.self) != nil)
    }
    #expect(wrong == [])
  }
}

@Suite struct TokenizerTests {
  @Test func cutsAsTheIndependentProgram() throws {
    let scratch = List<UInt8>()
    let cases = try Cases.load().tokens
    #expect(cases.count > 100)
    for one in cases {
      let tokenizer = Tokenizer(level: one.level == "word" ? .word : .character, lowers: one.lower)
      let found = try tokens(tokenizer, Bytes(one.text.utf8), scratch)
      #expect(found == bytes(one.tokens), "\(one.level), lower \(one.lower): \(one.text)")
    }
  }

  @Test func namesTheTextAndTheByteThatIsNotUTF8() throws {
    let cases = try Cases.load().errors
    #expect(cases.count > 50)
    for one in cases {
      let digits = Array(one.bytes)
      let text = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
      let byte = String(text[one.offset], radix: 16)
      for level in [Tokenizer.Level.word, .character] {
        let error = #expect(throws: LSTMError.self) { try tokens(Tokenizer(level: level, lowers: true), text) }
        guard case .argument(let message) = error else {
          Issue.record("\(one.bytes): \(String(describing: error))")
          continue
        }
        #expect(message.text == "x[7]: expected UTF-8, got byte 0x\(byte) at offset \(one.offset)")
      }
    }
  }

  /// The fast way for ASCII and the way for all else follow one rule: no token changes when the text around it does.
  @Test func wordsDoNotDependOnTheirNeighbours() throws {
    let words = Tokenizer(level: .word, lowers: true)
    let parts = ["Don't", "x²", "ÄRGER", ",", "漢", "👍", "क्\u{200d}ष"].map { Bytes($0.utf8) }
    let expected = try parts.flatMap { try tokens(words, $0) }
    #expect(expected.count == parts.count)
    for space in [" ", "\n", "\u{3000}", "\u{feff}", " \t\u{85}"] {
      let text = Bytes(parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: space).utf8)
      #expect(try tokens(words, text) == expected)
    }
  }

  @Test func anErrorOfTheBodyEndsTheWalk() {
    var seen = 0
    #expect(throws: LSTMError.self) {
      try Tokenizer(level: .word, lowers: false).forEachToken(of: "a b c", scratch: List(), name: { "" }) {
        (_) throws(LSTMError) in
        seen += 1
        if seen == 2 { throw .noMemory }
      }
    }
    #expect(seen == 2)
  }
}

@Suite struct VocabularyTests {
  @Test func ordersAsCollectionsCounter() throws {
    for one in try Cases.load().vocabularies {
      let expected = bytes(one.vocabulary)
      for found in [one.tokens, one.tokens.reversed(), one.tokens.sorted()] {
        let counts = try TokenCounts.make(.system)
        for token in bytes(found) { try counts.add(token) }
        expectSound(try counts.vocabulary(maxTokens: nil, .system), expected)
        for limit in [0, 2, 3, 5, 28, expected.count + 1, expected.count + 2, expected.count + 3] {
          let vocabulary = try counts.vocabulary(maxTokens: limit, .system)
          expectSound(vocabulary, Array(expected.prefix(max(0, limit - 2))))
        }
      }
    }
  }

  @Test func ordersManyTokensAsTheStandardLibrary() throws {
    let found = randomTokens(100_000)
    let counts = try TokenCounts.make(.system)
    for token in found { try counts.add(token) }
    let expected = Dictionary(found.map { ($0, 1) }, uniquingKeysWith: +).sorted {
      $0.value != $1.value ? $0.value > $1.value : $0.key.lexicographicallyPrecedes($1.key)
    }
    #expect(expected.count > 10_000)
    expectSound(try counts.vocabulary(maxTokens: nil, .system), expected.map(\.key))
    expectSound(try counts.vocabulary(maxTokens: 5_000, .system), expected.prefix(4_998).map(\.key))
  }

  @Test func refusesATokenThatIsThere() throws {
    let vocabulary = try Vocabulary.make(.system)
    #expect(vocabulary.count == 2)
    #expect(vocabulary.index(Bytes("a".utf8)) == Vocabulary.unknown)
    #expect(vocabulary.index([]) == Vocabulary.unknown)
    #expect(try vocabulary.add(Bytes("a".utf8)))
    #expect(try vocabulary.add([]))
    #expect(try !vocabulary.add(Bytes("a".utf8)))
    #expect(try !vocabulary.add([]))
    expectSound(vocabulary, [Bytes("a".utf8), []])
  }

  @Test func copiesAreIndependent() throws {
    let original = try Vocabulary.make(.system)
    let texts = (0..<100).map { Bytes("token \($0)".utf8) }
    for text in texts { #expect(try original.add(text)) }
    let copy = try original.copy(.system)
    #expect(try copy.add(Bytes("more".utf8)))
    #expect(try original.add(Bytes("other".utf8)))
    expectSound(original, texts + [Bytes("other".utf8)])
    expectSound(copy, texts + [Bytes("more".utf8)])
  }

  @Test func tellsTokensOfOneHashApart() throws {
    func value(_ x: UInt64) -> Bytes { withUnsafeBytes(of: x.littleEndian) { Bytes($0) } }
    // Of two words each: the second makes good for what the first changes, in the table as it is made.
    let start = Vocabulary.seed(byteCount: 16, slotCount: 16)
    let base = Vocabulary.mix(start ^ 1)
    let texts = (1...5).map { (n: UInt64) in value(n) + value(base ^ Vocabulary.mix(start ^ n)) }
    let hashes = texts.map { $0.withUnsafeBufferPointer { Vocabulary.hash($0, 16) } }
    #expect(Set(hashes).count == 1)
    let vocabulary = try Vocabulary.make(.system)
    for text in texts { #expect(try vocabulary.add(text)) }
    #expect(vocabulary.slotCount == 16)
    expectSound(vocabulary, texts)
  }

  @Test func growsAwayFromTokensMadeToCollide() throws {
    let slotCount = 1024
    let texts = (0...).lazy.map { Bytes("\($0)".utf8) }.filter { text in
      text.withUnsafeBufferPointer { Vocabulary.hash($0, slotCount) } % UInt64(slotCount) == 3
    }.prefix(300)
    let vocabulary = try Vocabulary.make(.system)
    for text in texts { #expect(try vocabulary.add(text)) }
    // 302 entries fit 1024 slots.
    #expect(vocabulary.slotCount == 2 * slotCount)
    expectSound(vocabulary, Array(texts))
  }

  /// Each allocation fails once: the call says so and has changed nothing, and succeeds when it is made again.
  @Test func survivesFailedAllocations() throws {
    let texts = (0..<300).map { Bytes("token \($0)".utf8) }
    var failures = 0
    for k in 1... {
      let memory = FailingMemory(at: k)
      let vocabulary = try memory.retry { () throws(LSTMError) in try Vocabulary.make(memory.allocator) }
      for text in texts {
        let before = vocabulary.count
        let isNew = try memory.retry { () throws(LSTMError) in
          #expect(vocabulary.count == before)
          return try vocabulary.add(text)
        }
        #expect(isNew)
      }
      expectSound(vocabulary, texts)
      expectSound(try memory.retry { () throws(LSTMError) in try vocabulary.copy(memory.allocator) }, texts)

      let counts = try memory.retry { () throws(LSTMError) in try TokenCounts.make(memory.allocator) }
      for text in texts + texts[100...] { try memory.retry { () throws(LSTMError) in try counts.add(text) } }
      let learned = try memory.retry { () throws(LSTMError) in try counts.vocabulary(maxTokens: 202, memory.allocator) }
      expectSound(learned, texts[100...].sorted { $0.lexicographicallyPrecedes($1) })
      if !memory.hasFailed { break }
      failures += 1
    }
    #expect(failures > 20)
  }
}

/// malloc, of which one allocation fails.
private final class FailingMemory {
  private var left: Int
  private(set) var hasFailed = false

  init(at k: Int) { left = k }

  var allocator: Allocator {
    Allocator(
      allocate: { size, alignment, user in
        let memory = Unmanaged<FailingMemory>.fromOpaque(user!).takeUnretainedValue()
        memory.left -= 1
        if memory.left == 0 { return nil }
        return .allocate(byteCount: size, alignment: alignment)
      },
      deallocate: { block, _, _ in block?.deallocate() }, user: Unmanaged.passUnretained(self).toOpaque())
  }

  /// Calls again after the failure, which must be for want of memory.
  func retry<T>(_ body: () throws(LSTMError) -> T) throws -> T {
    do {
      return try body()
    } catch .noMemory where left == 0 {
      hasFailed = true
      return try body()
    }
  }
}
