extension UnsafeBufferPointer<UInt8> {
  /// The bytes of a text up to its final zero byte, without it.
  public init(zeroTerminated text: UnsafePointer<UInt8>) {
    var count = 0
    while text[count] != 0 { count += 1 }
    self.init(start: text, count: count)
  }

  /// The character code that begins at byte `i`, and its length in bytes; nil at the end, and where these bytes are not
  /// well-formed UTF-8 (cut short, overlong, a surrogate or beyond U+10FFFF).
  ///
  /// - Source: RFC 3629.
  @inline(__always) public func scalar(at i: Int) -> (scalar: Unicode.Scalar, length: Int)? {
    guard i < count else { return nil }
    let first = self[i]
    return first < 0x80 ? (Unicode.Scalar(first), 1) : longScalar(at: i, first)
  }

  @inline(never) private func longScalar(at i: Int, _ first: UInt8) -> (scalar: Unicode.Scalar, length: Int)? {
    let (length, least): (Int, UInt32)
    switch first {
    case 0xc2...0xdf: (length, least) = (2, 0x80)
    case 0xe0...0xef: (length, least) = (3, 0x800)
    case 0xf0...0xf4: (length, least) = (4, 0x10000)
    default: return nil
    }
    guard length <= count - i else { return nil }
    var code = UInt32(first) & (0x7f >> UInt32(length))
    for k in 1..<length {
      guard self[i + k] & 0xc0 == 0x80 else { return nil }
      code = code << 6 | UInt32(self[i + k] & 0x3f)
    }
    guard code >= least, let scalar = Unicode.Scalar(code) else { return nil }
    return (scalar, length)
  }
}

/// Whether these bytes are well-formed UTF-8.
public func isUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
  var i = 0
  while let (_, length) = bytes.scalar(at: i) { i += length }
  return i == bytes.count
}
