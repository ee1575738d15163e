public import LSTMTensors

/// Builds JSON text in memory that may run out without harm.
public final class Writer {
  public let bytes = List<UInt8>()
  /// Whether a comma is due before the next element or member.
  private var needsComma = false

  public init() {}

  public var text: UnsafeBufferPointer<UInt8> { bytes.elements }

  public func raw(_ text: StaticString) throws(LSTMError) {
    try bytes.append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  private func separate() throws(LSTMError) {
    if needsComma { try raw(", ") }
    needsComma = true
  }

  public func open(_ bracket: StaticString) throws(LSTMError) {
    try separate()
    try raw(bracket)
    needsComma = false
  }

  public func close(_ bracket: StaticString) throws(LSTMError) {
    try raw(bracket)
    needsComma = true
  }

  /// A member's key; a value must follow.
  public func key(_ key: StaticString) throws(LSTMError) {
    try self.key(UnsafeBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount))
  }

  private func key(_ key: UnsafeBufferPointer<UInt8>) throws(LSTMError) {
    try string(key)
    try raw(": ")
    needsComma = false
  }

  public func key(name: String) throws(LSTMError) {
    try string(name)
    try raw(": ")
    needsComma = false
  }

  public func null() throws(LSTMError) {
    try separate()
    try raw("null")
  }

  public func boolean(_ value: Bool) throws(LSTMError) {
    try separate()
    try raw(value ? "true" : "false")
  }

  public func number(_ value: Double) throws(LSTMError) {
    try separate()
    try unescaped(numberText(value))
  }

  /// What another writer holds, as a piece of this text.
  public func json(_ piece: Writer) throws(LSTMError) {
    defer { withExtendedLifetime(piece) {} }
    try separate()
    try bytes.append(piece.text)
  }

  /// What another writer holds, as a string.
  public func string(_ piece: Writer) throws(LSTMError) {
    defer { withExtendedLifetime(piece) {} }
    try string(piece.text)
  }

  private func unescaped(_ text: String) throws(LSTMError) {
    for unit in text.utf8 { try bytes.append(unit) }
  }

  public func string(_ text: String) throws(LSTMError) {
    try separate()
    try raw("\"")
    for unit in text.utf8 { try escaped(unit) }
    try raw("\"")
  }

  public func string(_ text: UnsafeBufferPointer<UInt8>) throws(LSTMError) {
    try separate()
    try raw("\"")
    for unit in text { try escaped(unit) }
    try raw("\"")
  }

  private func escaped(_ unit: UInt8) throws(LSTMError) {
    switch unit {
    case UInt8(ascii: "\""): try raw("\\\"")
    case UInt8(ascii: "\\"): try raw("\\\\")
    case 0x0a: try raw("\\n")
    case 0x0d: try raw("\\r")
    case 0x09: try raw("\\t")
    case 0..<0x20:
      let hex: StaticString = "0123456789abcdef"
      try raw("\\u00")
      try bytes.append(hex.utf8Start[Int(unit >> 4)])
      try bytes.append(hex.utf8Start[Int(unit & 15)])
    default: try bytes.append(unit)
    }
  }
}
