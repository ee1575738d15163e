/// One named array among the parameters.
public struct Parameter {
  /// "<layer>.<kind>".
  public let name: String
  public let shape: Shape
  /// In floats, from the start of the buffer.
  public let offset: Int
  public let count: Int
  public let isTrainable: Bool
}

/// Names, shapes and places of all parameters in one flat buffer; gradients and optimizer state share the plan.
public struct ParameterPlan {
  public private(set) var entries: [Parameter] = []
  public private(set) var count = 0

  public init() {}

  /// Adds an array; its index is its place in `entries`. Arrays begin at multiples of 16 floats.
  public mutating func add(
    layer: String, kind: StaticString, _ shape: Shape, isTrainable: Bool = true
  ) throws(LSTMError) -> Int {
    let size = try shape.count()
    let parameter = Parameter(
      name: layer + "." + kind.text, shape: shape, offset: count, count: size, isTrainable: isTrainable)
    try Memory.append(parameter, to: &entries)
    count = try Size.sum(count, (try Size.sum(size, 15)) / 16 * 16)
    return entries.count - 1
  }

  public func index(of name: some Collection<UInt8>) -> Int? {
    for i in 0..<entries.count where entries[i].name.utf8.elementsEqual(name) { return i }
    return nil
  }
}
