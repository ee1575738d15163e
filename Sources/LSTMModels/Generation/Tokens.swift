internal import LSTMLayers
public import LSTMTensors

extension Model {
  /// The tokens of a text.
  ///
  /// - Parameters:
  ///   - text: UTF-8 ending with a zero byte.
  ///   - name: what the caller calls it.
  public func tokens(of text: UnsafePointer<UInt8>, name: StaticString) throws(LSTMError) -> List<Int32> {
    try requiredTextLayer().tokens(of: text, name: { name.text })
  }

  /// The text of tokens, as UTF-8.
  public func text(of tokens: UnsafeBufferPointer<Int32>, name: StaticString) throws(LSTMError) -> List<UInt8> {
    try requiredTextLayer().text(of: tokens, name: name)
  }

  private func requiredTextLayer() throws(LSTMError) -> TextLayer {
    // Of a source and a target it is the target's.
    guard let textLayer = ports.entries[ports.entries.count - 1].textLayer ?? textLayer else {
      throw .unsupported("model: expected one with a text layer, got one without")
    }
    return textLayer
  }
}
