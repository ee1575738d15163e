internal import LSTMTensors

/// The figures of an epoch, each with its name: loss and metrics, then the same on the validation data.
public final class Columns {
  public static let limit = 32

  public private(set) var count = 0
  /// Zero-terminated static texts.
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

  func append(_ name: StaticString, _ value: Double) {
    precondition(count < Columns.limit)
    names[count] = UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
    values[count] = value
    count += 1
  }
}
