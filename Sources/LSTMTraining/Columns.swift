internal import LSTMTensors

/// The figures of an epoch, each with its name: loss and metrics, then the same on the validation data.
public final class Columns {
  public static let limit = 32

  public private(set) var count = 0
  /// Zero-terminated texts, static or of what the model is compiled for.
  private let nameMemory: Buffer
  private let valueMemory: Buffer

  private init(_ names: Buffer, _ values: Buffer) { (nameMemory, valueMemory) = (names, values) }

  static func make() throws(LSTMError) -> Columns {
    Columns(
      try Buffer.make(.system, limit, of: UnsafePointer<CChar>?.self),
      try Buffer.make(.system, limit, of: Double.self))
  }

  public var names: UnsafeMutablePointer<UnsafePointer<CChar>?> { nameMemory.pointer(to: UnsafePointer<CChar>?.self) }
  public var values: UnsafeMutablePointer<Double> { valueMemory.pointer(to: Double.self) }

  func removeAll() { count = 0 }

  func append(_ name: StaticString, _ value: Double) { append(text: Column.text(name), value) }

  private func append(text name: UnsafePointer<CChar>, _ value: Double) {
    precondition(count < Columns.limit)
    names[count] = name
    values[count] = value
    count += 1
  }

  /// What `compilation` gives, under its names of validation data if it is of these.
  ///
  /// - Parameter losses: the whole, and of several outputs that of each.
  func append(_ compilation: Compilation, _ losses: UnsafePointer<Double>, validation: Bool = false) {
    let (columns, metrics) = (compilation.columns, compilation.metrics)
    for (i, column) in columns.enumerated() {
      let value = i > 0 && i <= metrics.count ? metrics[i - 1].result : losses[max(0, i - metrics.count)]
      append(text: validation ? column.valName : column.name, value)
    }
  }
}
