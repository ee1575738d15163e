/// All that can go wrong, with a line for the user: the argument, the value and what was expected.
public enum LSTMError: Error {
  case argument(Message)
  /// An array of the wrong element type.
  case type(Message)
  case noMemory
  case io(Message)
  case format(Message)
  case version(Message)
  case diverged(Message)
  case unsupported(Message)
  /// The caller's own function that gives data failed.
  case source(Message)
  /// A defect of the library.
  case `internal`(Message)
}

/// The text of an error, written as a string with values in it: numbers, names and finished texts.
///
/// A type of its own because the standard library's interpolation is inlined, which for some hundred messages would be a
/// quarter of the whole library, and because Embedded Swift's cannot print enums, optionals or arrays but compiles them.
public struct Message: ExpressibleByStringInterpolation, Sendable {
  public private(set) var text: String

  @inline(never) public init(stringLiteral text: StaticString) { self.text = text.text }
  @inline(never) public init(stringInterpolation parts: Parts) { text = parts.text }
  private init(_ text: String) { self.text = text }

  @inline(never) public static func + (a: Message, b: Message) -> Message { Message(a.text + b.text) }

  public struct Parts: StringInterpolationProtocol {
    fileprivate var text = ""

    @inline(never) public init(literalCapacity: Int, interpolationCount: Int) {}
    @inline(never) public mutating func appendLiteral(_ literal: StaticString) { text += literal.text }
    @inline(never) public mutating func appendInterpolation(_ text: String) { self.text += text }
    @inline(never) public mutating func appendInterpolation(_ text: StaticString) { self.text += text.text }
    @inline(never) public mutating func appendInterpolation(_ message: Message) { text += message.text }
    public mutating func appendInterpolation(_ name: ArrayName) { appendInterpolation(name.spoken) }
    @inline(never) public mutating func appendInterpolation(_ number: Int) { text += String(number, radix: 10) }
    @inline(never) public mutating func appendInterpolation(_ number: UInt) { text += String(number, radix: 10) }
    @inline(never) public mutating func appendInterpolation(_ number: Double) { text += numberText(number) }
    @inline(__always) public mutating func appendInterpolation(_ number: some FixedWidthInteger) {
      appendInterpolation(Int(truncatingIfNeeded: number))
    }
  }
}

/// The shortest decimal that reads back as this number; whole numbers without ".0".
@inline(never) public func numberText(_ x: Double) -> String {
  if x == x.rounded(.towardZero), x.magnitude <= 0x1p53 { return "\(Int(x))" }
  return "\(x)"
}

/// User text for an error message: in double quotes, at most `limit` bytes of it, control characters as `?` and invalid
/// UTF-8 as replacement characters.
@inline(never) public func quoted(_ text: some Sequence<UInt8>, limit: Int = 60) -> String {
  var result = "\""
  var taken = 0
  var bytes: [UInt8] = []
  for byte in text {
    taken += 1
    if taken > limit { break }
    bytes.append(byte < 0x20 || byte == 0x7f ? UInt8(ascii: "?") : byte)
  }
  result += String(decoding: bytes, as: UTF8.self)
  return result + (taken > limit ? "...\"" : "\"")
}

extension StaticString {
  /// Equal to these bytes. Strings are compared as bytes throughout, so that no Unicode tables are needed.
  public func matches(_ bytes: some Collection<UInt8>) -> Bool {
    guard bytes.count == utf8CodeUnitCount else { return false }
    var i = 0
    for byte in bytes {
      if utf8Start[i] != byte { return false }
      i += 1
    }
    return true
  }

  @inline(never) public var text: String {
    String(decoding: UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount), as: UTF8.self)
  }
}

extension String {
  public func matches(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

/// The name of the entry that these bytes spell, with its place in the table.
public func index(of bytes: some Collection<UInt8>, in table: [StaticString]) -> Int? {
  for i in 0..<table.count where table[i].matches(bytes) { return i }
  return nil
}

/// "a, b or c"; of more names than a message holds those that begin as what was given instead.
@inline(never) public func listing(_ names: [StaticString], near given: UnsafeBufferPointer<UInt8>?) -> String {
  var length = 0
  for name in names { length += name.utf8CodeUnitCount + 2 }
  if length <= 400 { return listing(names) }
  var result = ""
  var others = names.count
  for name in names where name.utf8Start[0] == given?.first {
    result += name.text + ", "
    others -= 1
  }
  return result + (others < names.count ? "or " : "") + "one of " + String(others, radix: 10) + " others"
}

/// "a, b or c", for messages.
@inline(never) public func listing(_ names: [StaticString]) -> String {
  var result = ""
  for i in 0..<names.count {
    if i > 0 { result += i == names.count - 1 ? " or " : ", " }
    result += names[i].text
  }
  return result
}
