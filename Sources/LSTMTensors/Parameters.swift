/// One named array among the parameters.
public struct Parameter {
  /// "<layer>.<kind>".
  public let name: String
  public let shape: Shape
  /// In floats, from the start of the buffer.
  public let offset: Int
  public let count: Int
  public let isTrainable: Bool
  public let lines: Lines
  /// Of training.
  public fileprivate(set) var penalty: Penalty?
  public fileprivate(set) var constraint: Constraint?

  /// The lines of a matrix of weights that are rounded together when weights are compressed.
  public enum Lines: Sendable {
    /// It is not compressed.
    case none
    case columns, rows
  }

  public var lineCount: Int { lines == .none ? 0 : shape[lines == .columns ? 1 : 0] }
  /// Numbers of a line.
  public var lineLength: Int { shape[lines == .columns ? 0 : 1] }
  /// Floats from one number of a line to the next.
  public var lineStep: Int { lines == .columns ? shape[1] : 1 }
  /// Where a line begins, from the start of the buffer.
  public func linePlace(_ line: Int) -> Int { offset + line * (lines == .columns ? 1 : shape[1]) }
}

/// Names, shapes and places of all parameters in one flat buffer; gradients and optimizer state share the plan.
public struct ParameterPlan {
  public private(set) var entries: [Parameter] = []
  public private(set) var count = 0

  public init() {}

  /// Adds an array; its index is its place in `entries`. Arrays begin at multiples of 16 floats.
  public mutating func add(
    layer: String, kind: StaticString, _ shape: Shape, isTrainable: Bool = true, lines: Parameter.Lines = .none
  ) throws(LSTMError) -> Int {
    let size = try shape.count()
    let parameter = Parameter(
      name: layer + "." + kind.text, shape: shape, offset: count, count: size, isTrainable: isTrainable,
      lines: lines)
    try Memory.append(parameter, to: &entries)
    count = try Size.sum(count, (try Size.sum(size, 15)) / 16 * 16)
    return entries.count - 1
  }

  public mutating func penalize(_ index: Int, _ penalty: Penalty) { entries[index].penalty = penalty }
  public mutating func constrain(_ index: Int, _ constraint: Constraint) { entries[index].constraint = constraint }

  public func index(of name: some Collection<UInt8>) -> Int? {
    for i in 0..<entries.count where entries[i].name.utf8.elementsEqual(name) { return i }
    return nil
  }
}
