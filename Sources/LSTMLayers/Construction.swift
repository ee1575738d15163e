public import LSTMDescription
public import LSTMTensors

/// What reaches a layer.
public enum Flow: Sendable {
  /// The model's input; its sample shape, if the description says it.
  case input(Shape?)
  /// Token indices 0..<count (count 0: not known), of the sample shape [timesteps].
  case tokens(Shape, count: Int)
  case values(Shape)
}

/// A model in the making: what the layers so far have become, and what reaches the next.
public struct Construction {
  /// The fields of the layer being made.
  public var fields: Fields
  public var name: String
  public var flow: Flow
  /// Sigmoid and tanh by their fast kernels.
  public let usesFastActivations: Bool
  public var plan = ParameterPlan()
  /// Layers as they run. One described layer may become several: a dense layer and its activation.
  public var stages: [Layer] = []
  /// The allocator of what a layer keeps.
  public let allocator: Allocator

  public init(fields: Fields, name: String, flow: Flow, usesFastActivations: Bool, allocator: Allocator) {
    (self.fields, self.name, self.flow, self.allocator) = (fields, name, flow, allocator)
    self.usesFastActivations = usesFastActivations
  }

  /// The sample shape of the numbers that reach the layer, of at least `rank` axes, the last of them known.
  public func values(rank: Int = 1) throws(LSTMError) -> Shape {
    switch flow {
    case .values(let shape):
      if shape.rank < rank { throw wrongInput("[timesteps, features]: the layer before needs return_sequences", shape) }
      return shape
    case .input(let shape?):
      if shape.rank < rank { throw wrongInput("[timesteps, features]", shape) }
      if shape.last == Shape.any { throw wrongInput("a known last extent", shape) }
      return shape
    case .input(nil):
      throw .argument(
        "input_shape: expected the shape of one sample, as [null, 7], since \(fields.path) does not tell it"
          + ", got nothing")
    case .tokens:
      throw .argument("\(fields.path): expected numbers as input, got tokens: put an embedding before")
    }
  }

  /// The sample shape of the tokens that reach the layer.
  public func tokens() throws(LSTMError) -> Shape {
    switch flow {
    case .tokens(let shape, _): return shape
    case .input(nil): return Shape(Shape.any)
    case .input(let shape?):
      guard shape.rank == 1 else { throw wrongInput("[timesteps] tokens", shape) }
      return shape
    case .values(let shape): throw wrongInput("[timesteps] tokens", shape)
    }
  }

  private func wrongInput(_ expected: String, _ shape: Shape) -> LSTMError {
    .argument("\(fields.path): expected an input of shape \(expected), got \(shape.text)")
  }

  /// Declares a parameter of the layer.
  public mutating func parameter(
    _ kind: StaticString, _ shape: Shape, isTrainable: Bool = true, lines: Parameter.Lines = .none
  ) throws(LSTMError) -> Parameter {
    let index = try plan.add(layer: name, kind: kind, shape, isTrainable: isTrainable, lines: lines)
    return plan.entries[index]
  }

  /// Adds a finished layer, whose output is numbers.
  public mutating func append(_ layer: Layer) throws(LSTMError) {
    try Memory.append(layer, to: &stages)
    flow = .values(layer.outputShape)
  }
}
