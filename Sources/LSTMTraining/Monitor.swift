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
    var names: [StaticString] = ["loss"]
    for metric in compilation.metrics { names.append(metric.name) }
    if hasValidation {
      names.append("val_loss")
      for metric in compilation.metrics { names.append(metric.valName) }
    }
    guard index(of: name.utf8, in: names) != nil else {
      throw .argument(
        "\(field): expected \(listing(names))\(hasValidation ? "" : " (there are no validation data)")"
          + ", got \(quoted(name.utf8))")
    }
  }

  func improves(_ value: Double, on best: Double) -> Bool {
    biggerIsBetter ? value - minDelta > best : value + minDelta < best
  }

  /// The column's figure; nil: it has none in this epoch.
  func value(in columns: Columns) -> Double? {
    for i in 0..<columns.count {
      guard let other = columns.names[i] else { continue }
      var k = 0
      var same = true
      for byte in name.utf8 {
        same = same && UInt8(bitPattern: other[k]) == byte
        if !same { break }
        k += 1
      }
      if same, other[k] == 0 { return columns.values[i] }
    }
    return nil
  }
}
