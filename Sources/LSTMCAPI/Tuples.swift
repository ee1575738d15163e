internal import CLSTM

/// C arrays inside structs reach Swift as tuples; these read and write them by index.
private func entry<Tuple, Element: BitwiseCopyable>(_ i: Int, of tuple: Tuple) -> Element {
  withUnsafeBytes(of: tuple) { $0.load(fromByteOffset: i * MemoryLayout<Element>.stride, as: Element.self) }
}

private func setEntry<Tuple, Element: BitwiseCopyable>(_ i: Int, of tuple: inout Tuple, to value: Element) {
  withUnsafeMutableBytes(of: &tuple) {
    $0.storeBytes(of: value, toByteOffset: i * MemoryLayout<Element>.stride, as: Element.self)
  }
}

extension lstm_array {
  func extent(_ axis: Int) -> Int64 { entry(axis, of: shape) }
  func stride(_ axis: Int) -> Int64 { entry(axis, of: strides) }
  mutating func setAxis(_ axis: Int, extent: Int64, stride: Int64) {
    setEntry(axis, of: &shape, to: extent)
    setEntry(axis, of: &strides, to: stride)
  }
}

extension lstm_parameter {
  mutating func setExtent(_ axis: Int, to extent: Int64) { setEntry(axis, of: &shape, to: extent) }
  /// Zero-terminated; what does not fit is cut off.
  mutating func setName(_ text: String) {
    var i = 0
    for unit in text.utf8 where i < Int(LSTM_NAME_SIZE) - 1 {
      setEntry(i, of: &name, to: CChar(bitPattern: unit))
      i += 1
    }
  }
}

extension lstm_history {
  mutating func setName(_ column: Int, to text: UnsafePointer<CChar>?) { setEntry(column, of: &names, to: text) }
}
