public import LSTMTensors

/// A column of the history whose figures are looked at after each epoch.
public struct Monitor {
  public enum Mode { case auto, min, max }

  let name: String
  private let mode: Mode
  /// The least change that counts as an improvement.
  private let minDelta: Double

  public init(_ name: String, _ mode: Mode, minDelta: Double) {
    (self.name, self.mode, self.minDelta) = (name, mode, minDelta)
  }

  private var biggerIsBetter: Bool {
    switch mode {
    case .min: false
    case .max: true
    case .auto: Metric.biggerIsBetter(name.utf8)
    }
  }

  /// - Parameter field: where the name was given, for messages: "options.monitor".
  func check(_ field: StaticString, _ compilation: Compilation, hasValidation: Bool) throws(LSTMError) {
    var names: [UnsafePointer<CChar>] = []
    for column in compilation.columns { try Memory.append(column.name, to: &names) }
    if hasValidation {
      for column in compilation.columns { try Memory.append(column.valName, to: &names) }
    }
    if names.contains(where: { name.utf8.elementsEqual(Column.bytes($0)) }) { return }
    var list = ""
    for (i, one) in names.enumerated() {
      if i > 0 { list += i == names.count - 1 ? " or " : ", " }
      list += String(decoding: Column.bytes(one), as: UTF8.self)
    }
    throw .argument(
      "\(field): expected \(list)\(hasValidation ? "" : " (there are no validation data)")"
        + ", got \(quoted(name.utf8))")
  }

  func improves(_ value: Double, on best: Double) -> Bool {
    biggerIsBetter ? value - minDelta > best : value + minDelta < best
  }

  /// The column's figure; nil: it has none in this epoch.
  func value(in columns: Columns) -> Double? {
    for i in 0..<columns.count {
      if let other = columns.names[i], name.utf8.elementsEqual(Column.bytes(other)) { return columns.values[i] }
    }
    return nil
  }
}
