internal import CLSTMShim
internal import LSTMTensors

/// Reads JSON text into a document's lists. Depth is limited; length is limited by memory alone.
struct Parser {
  let text: UnsafeBufferPointer<UInt8>
  let name: StaticString
  let document: Document
  var position = 0

  static let maxDepth = 64

  mutating func parseDocument() throws(LSTMError) {
    try value(depth: 0)
    skipSpace()
    if position < text.count { throw error("expected the end of the text") }
  }

  private func error(_ what: String) -> LSTMError {
    var line = 1
    var column = 1
    for i in 0..<min(position, text.count) {
      if text[i] == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else {
        column += 1
      }
    }
    let found = position < text.count ? quoted(text[position..<min(position + 12, text.count)]) : "the end of the text"
    return .argument("\(name): line \(line), column \(column): \(what), got \(found)")
  }

  private mutating func skipSpace() {
    while position < text.count {
      switch text[position] {
      case 0x20, 0x09, 0x0a, 0x0d: position += 1
      default: return
      }
    }
  }

  private var byte: UInt8? { position < text.count ? text[position] : nil }

  private mutating func take(_ expected: Unicode.Scalar, _ what: StaticString) throws(LSTMError) {
    skipSpace()
    guard byte == UInt8(ascii: expected) else { throw error("expected " + what.text) }
    position += 1
  }

  private mutating func value(depth: Int) throws(LSTMError) {
    skipSpace()
    guard let first = byte else { throw error("expected a value") }
    if depth > Self.maxDepth { throw error("expected at most 64 levels") }
    let place = document.nodes.count
    switch first {
    case UInt8(ascii: "{"):
      try document.nodes.append(Document.Node(kind: .object))
      document.nodes[place].count = try members(place, depth)
    case UInt8(ascii: "["):
      try document.nodes.append(Document.Node(kind: .array))
      document.nodes[place].count = try elements(depth)
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      let (start, count) = try string()
      try document.nodes.append(Document.Node(kind: .string, start: start, count: count))
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      let number = try number()
      try document.nodes.append(Document.Node(kind: .number, number: number))
    default:
      try document.nodes.append(try word())
    }
    document.nodes[place].next = document.nodes.count
    try Memory.check()
  }

  private mutating func word() throws(LSTMError) -> Document.Node {
    if takeWord("null") { return Document.Node(kind: .null) }
    if takeWord("true") { return Document.Node(kind: .boolean, number: 1) }
    if takeWord("false") { return Document.Node(kind: .boolean) }
    throw error("expected a value")
  }

  private mutating func takeWord(_ word: StaticString) -> Bool {
    let end = position + word.utf8CodeUnitCount
    guard end <= text.count, word.matches(text[position..<end]) else { return false }
    position = end
    return true
  }

  /// After "{": members up to and with "}".
  private mutating func members(_ object: Int, _ depth: Int) throws(LSTMError) -> Int {
    position += 1
    var count = 0
    skipSpace()
    if byte == UInt8(ascii: "}") {
      position += 1
      return 0
    }
    while true {
      skipSpace()
      guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") else {
        throw error("expected a field name in quotes")
      }
      let at = position
      let (start, length) = try string()
      let key = document.text(start, length)
      var earlier = object + 1
      for _ in 0..<count {
        let node = document.nodes[earlier]
        if document.text(node.keyStart, node.keyCount).elementsEqual(key) {
          position = at
          throw error("expected each field once")
        }
        earlier = node.next
      }
      try take(":", "a colon")
      let place = document.nodes.count
      try value(depth: depth + 1)
      document.nodes[place].keyStart = start
      document.nodes[place].keyCount = length
      count += 1
      if try isLast("}", "a comma or a closing brace") { return count }
    }
  }

  /// After "[": values up to and with "]".
  private mutating func elements(_ depth: Int) throws(LSTMError) -> Int {
    position += 1
    var count = 0
    skipSpace()
    if byte == UInt8(ascii: "]") {
      position += 1
      return 0
    }
    while true {
      try value(depth: depth + 1)
      count += 1
      if try isLast("]", "a comma or a closing bracket") { return count }
    }
  }

  private mutating func isLast(_ closing: Unicode.Scalar, _ what: StaticString) throws(LSTMError) -> Bool {
    skipSpace()
    if byte == UInt8(ascii: closing) {
      position += 1
      return true
    }
    guard byte == UInt8(ascii: ",") else { throw error("expected " + what.text) }
    position += 1
    return false
  }

  /// Skips digits; how many there are.
  private mutating func digits() -> Int {
    let start = position
    while let digit = byte, digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") { position += 1 }
    return position - start
  }

  private mutating func number() throws(LSTMError) -> Double {
    let start = position
    let negative = byte == UInt8(ascii: "-")
    if negative { position += 1 }
    let first = position
    let leadingZero = byte == UInt8(ascii: "0")
    let whole = digits()
    var bad = whole == 0 || (leadingZero && whole > 1)
    if byte == UInt8(ascii: ".") {
      position += 1
      bad = digits() == 0 || bad
    }
    if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
      position += 1
      if byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") { position += 1 }
      bad = digits() == 0 || bad
    }
    let value = bad ? .infinity : shim_decimal(text.baseAddress! + first, position - first)
    if !value.isFinite {
      position = start
      throw error("expected a number")
    }
    return negative ? -value : value
  }

  /// A string in either kind of quotes, unescaped into the document's texts: its place there.
  private mutating func string() throws(LSTMError) -> (Int, Int) {
    let open = position
    let quote = text[position]
    let start = document.texts.count
    position += 1
    while let byte {
      position += 1
      if byte == quote {
        let bytes = document.text(start, document.texts.count - start)
        guard isUTF8(bytes) else {
          position = open
          throw error("expected UTF-8")
        }
        return (start, bytes.count)
      }
      if byte < 0x20 {
        position -= 1
        throw error("expected no control character in a string")
      }
      if byte == UInt8(ascii: "\\") { try escape() } else { try document.texts.append(byte) }
    }
    position = open
    throw error("expected a closing quote")
  }

  private mutating func escape() throws(LSTMError) {
    guard let byte else { throw error("expected an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"), UInt8(ascii: "/"): try document.texts.append(byte)
    case UInt8(ascii: "b"): try document.texts.append(8)
    case UInt8(ascii: "f"): try document.texts.append(12)
    case UInt8(ascii: "n"): try document.texts.append(10)
    case UInt8(ascii: "r"): try document.texts.append(13)
    case UInt8(ascii: "t"): try document.texts.append(9)
    case UInt8(ascii: "u"):
      var code = try hex4()
      if (0xd800..<0xdc00).contains(code), self.byte == UInt8(ascii: "\\") {
        position += 1
        guard self.byte == UInt8(ascii: "u") else { throw error("expected the second half of a surrogate pair") }
        position += 1
        let low = try hex4()
        guard (0xdc00..<0xe000).contains(low) else { throw error("expected the second half of a surrogate pair") }
        code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(code), code != 0 else { throw error("expected a character code that exists") }
      for unit in UTF8.encode(scalar)! { try document.texts.append(unit) }
    default:
      position -= 1
      throw error("expected an escape")
    }
  }

  private mutating func hex4() throws(LSTMError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte else { throw error("expected four hexadecimal digits") }
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): code = code << 4 | UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): code = code << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): code = code << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
      default: throw error("expected four hexadecimal digits")
      }
      position += 1
    }
    return code
  }
}
