/// All that can go wrong, with a line for the user: the argument, the value and what was expected.
///
/// Only plain strings and integers go into the text: Embedded Swift cannot print enums, optionals or arrays.
public enum LSTMError: Error {
  case argument(String)
  /// An array of the wrong element type.
  case type(String)
  case noMemory
  case io(String)
  case format(String)
  case version(String)
  case diverged(String)
  case unsupported(String)
  /// A defect of the library.
  case `internal`(String)
}

/// User text for an error message: in double quotes, at most 60 bytes of it, unprintable and invalid bytes as `?`.
@inline(never) public func quoted(_ text: some Sequence<UInt8>) -> String {
  var result = "\""
  var taken = 0
  var bytes: [UInt8] = []
  for byte in text {
    taken += 1
    if taken > 60 { break }
    bytes.append(byte < 0x20 || byte == 0x7f ? UInt8(ascii: "?") : byte)
  }
  result += String(decoding: bytes, as: UTF8.self)
  return result + (taken > 60 ? "...\"" : "\"")
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

  @inline(never) public var text: String { String(decoding: UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount), as: UTF8.self) }
}

extension String {
  public func matches(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

/// The name of the entry that these bytes spell, with its place in the table.
public func index(of bytes: some Collection<UInt8>, in table: [StaticString]) -> Int? {
  for i in 0..<table.count where table[i].matches(bytes) { return i }
  return nil
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
