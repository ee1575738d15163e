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
  /// What comes out of a layer, or the model's input.
  public struct Source {
    public let signal: Int
    public let flow: Flow

    public init(signal: Int, flow: Flow) { (self.signal, self.flow) = (signal, flow) }
  }

  /// The fields of the layer being made.
  public private(set) var fields: Fields
  public private(set) var name: String
  /// What reaches the layer being made, first of its inputs if there are several; when it has been made, what comes out.
  public var flow: Flow
  /// All inputs of the layer being made.
  public private(set) var inputs: [Source] = []
  /// What the next stage reads.
  private var pending: [Int] = []
  public let wiring: Wiring
  /// Sigmoid and tanh by their fast kernels.
  public let usesFastActivations: Bool
  public var plan = ParameterPlan()
  /// Layers as they run. One described layer may become several: a dense layer and its activation.
  public var stages: [Layer] = []
  /// The allocator of what a layer keeps.
  public let allocator: Allocator

  /// - Parameter wiring: with the inputs of the model.
  public init(fields: Fields, name: String, usesFastActivations: Bool, allocator: Allocator, wiring: Wiring) {
    (self.fields, self.name, self.allocator, self.wiring) = (fields, name, allocator, wiring)
    (flow, self.usesFastActivations) = (.input(nil), usesFastActivations)
  }

  /// Turns to the next layer.
  ///
  /// - Parameter inputs: at least one.
  public mutating func begin(_ fields: Fields, _ name: String, _ inputs: [Source]) throws(LSTMError) {
    (self.fields, self.name, self.inputs, flow) = (fields, name, inputs, inputs[0].flow)
    pending = []
    for input in inputs { try Memory.append(input.signal, to: &pending) }
  }

  /// What came out of the layer made last.
  public var output: Source { Source(signal: wiring.output(of: stages.count - 1), flow: flow) }

  /// The sample shape of the numbers that reach the layer, of at least `rank` axes, the last of them known.
  public func values(rank: Int = 1) throws(LSTMError) -> Shape { try values(flow, rank: rank) }

  /// The same of one of several inputs.
  public func values(of input: Source, rank: Int = 1) throws(LSTMError) -> Shape { try values(input.flow, rank: rank) }

  private func values(_ flow: Flow, rank: Int) throws(LSTMError) -> Shape {
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

  /// Adds a finished layer, whose output is numbers unless it says otherwise. The first of a described layer reads its
  /// inputs, a further one what that before it makes.
  public mutating func append(_ layer: Layer, flow: Flow? = nil) throws(LSTMError) {
    try wiring.append(pending)
    try Memory.append(layer, to: &stages)
    self.flow = flow ?? .values(layer.outputShape)
    pending.removeAll(keepingCapacity: true)
    try Memory.append(wiring.output(of: stages.count - 1), to: &pending)
  }

  /// The same for a layer that reads the described layer's inputs, or what its stages before make, in any order.
  ///
  /// - Returns: what it makes.
  mutating func append(_ layer: Layer, reading sources: Source...) throws(LSTMError) -> Source {
    pending.removeAll(keepingCapacity: true)
    for source in sources { try Memory.append(source.signal, to: &pending) }
    try append(layer)
    return output
  }
}
