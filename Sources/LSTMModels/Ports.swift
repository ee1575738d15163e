internal import LSTMDescription
public import LSTMLayers
public import LSTMTensors

/// How a model reads one of its inputs.
public enum Input {
  case strings(TextLayer)
  /// Indices 0..<vocabulary, of which `padding` is padding; -1: none is.
  case tokens(Shape, vocabulary: Int, padding: Int)
  case values(Shape)

  /// Whether a sample is a sequence.
  public var hasTime: Bool { if case .values(let shape) = self { shape.rank > 1 } else { true } }
}

/// What a model reads and what it gives.
public struct Ports {
  /// One array of samples.
  public struct Entry {
    /// "input" where the description has one input without a name.
    public let name: String
    /// As described.
    let shape: Shape?
    public let input: Input
    /// Where a run finds what was read: the input itself, or the tokens of its text layer.
    public let signal: Int
    /// What all numbers of a step of padding are, if a layer says it.
    let maskValue: Float?

    var textLayer: TextLayer? { if case .strings(let layer) = input { layer } else { nil } }
  }

  public struct Exit {
    /// The layer's.
    public let name: String
    public let signal: Int
    /// Of one sample.
    public let shape: Shape
    /// Whether it has an entry for each timestep.
    public var hasTime: Bool { shape.rank > 1 }
  }

  public internal(set) var entries: [Entry] = []
  public internal(set) var exits: [Exit] = []
  /// Whether the description lists them.
  var namesEntries = false
  var namesExits = false

  /// As many as there may be of either.
  public static let most = 64
}

/// An input as described.
struct DescribedInput {
  let name: String
  let shape: Shape?
}

extension Ports {
  /// The members 'input_shape' or 'inputs' of a description.
  static func readInputs(_ fields: Fields) throws(LSTMError) -> [DescribedInput] {
    let shape = try fields.value("input_shape").map { (list) throws(LSTMError) in
      try readShape(list) { fields.error("input_shape", $0, $1) }
    }
    guard let list = fields.value("inputs") else { return [DescribedInput(name: "input", shape: shape)] }
    if shape != nil { throw fields.error("input_shape", "none beside inputs", nil) }
    guard list.isArray, list.count >= 1, list.count <= most else {
      throw fields.error("inputs", "a list of 1 to \(most) inputs", list)
    }
    var inputs: [DescribedInput] = []
    try list.forEach { (item) throws(LSTMError) in
      let one = try Fields(item, path: "inputs[\(inputs.count)]")
      guard item.isObject, let name = try one.name(limit: Model.nameLimit) else {
        throw .argument("inputs[\(inputs.count)]: expected an object with a name, got \(item.spoken)")
      }
      for other in inputs where other.name.matches(name) {
        throw .argument("inputs[\(inputs.count)].name: expected a name of its own, got \(quoted(name.utf8))")
      }
      let shape = try one.value("shape").map { (list) throws(LSTMError) in
        try readShape(list) { one.error("shape", $0, $1) }
      }
      try one.finish()
      try Memory.append(DescribedInput(name: name, shape: shape), to: &inputs)
    }
    return inputs
  }

  private static func readShape(_ list: Value, _ error: (Message, Value) -> LSTMError) throws(LSTMError) -> Shape {
    let expected: Message = "a list of 1 to 7 positive integers, the first of them possibly null"
    guard list.isArray, list.count >= 1, list.count < Shape.maxRank else { throw error(expected, list) }
    var shape = Shape()
    try list.forEach { (item) throws(LSTMError) in
      if item.isNull, shape.rank == 0 {
        shape.append(Shape.any)
      } else if let number = item.number, number >= 1, number <= Double(Fields.unlimited), number == number.rounded() {
        shape.append(Int(number))
      } else {
        throw error(expected, item)
      }
    }
    return shape
  }
}

extension Parts {
  /// Finds out from the layers that read the inputs what these are.
  mutating func findEntries(_ described: [DescribedInput]) throws(LSTMError) {
    for (signal, input) in described.enumerated() {
      var (found, at): (Input?, Int) = (nil, signal)
      for (i, stage) in stages.enumerated() {
        for read in wiring.inputs(of: i) where read == signal {
          let way = Parts.reading(stage, input.shape)
          guard let before = found else {
            found = way
            if case .strings = way { at = wiring.output(of: i) }
            continue
          }
          guard let both = before.joined(with: way) else {
            throw .argument(
              "layers: expected layers that read input \(quoted(input.name.utf8)) alike, got \"\(stage.name)\", which "
                + "reads it otherwise than those before it")
          }
          found = both
        }
      }
      guard let found else {
        throw .argument("inputs: expected a layer that reads \(quoted(input.name.utf8)), got none")
      }
      let entry = Ports.Entry(
        name: input.name, shape: input.shape, input: found, signal: at, maskValue: try maskValue(of: signal, input.name)
      )
      try Memory.append(entry, to: &ports.entries)
    }
  }

  /// That of the masking layer that reads an input, if one does: its mask is then that of the input.
  private func maskValue(of signal: Int, _ input: String) throws(LSTMError) -> Float? {
    for (i, stage) in stages.enumerated() where wiring.inputs(of: i)[0] == signal {
      guard let masking = stage as? MaskingLayer else { continue }
      let readers = wiring.readers(of: signal)
      if readers == 1 { return masking.value }
      throw .argument(
        "layers (\(masking.name)): expected a masking layer to be the only reader of input \(quoted(input.utf8))"
          + ", got \(readers)")
    }
    return nil
  }

  private static func reading(_ stage: Layer, _ shape: Shape?) -> Input {
    if let text = stage as? TextLayer { return .strings(text) }
    if let embedding = stage as? EmbeddingLayer {
      return .tokens(
        Shape(embedding.outputShape[0]), vocabulary: embedding.vocabulary, padding: embedding.masksZero ? 0 : -1)
    }
    return .values(shape ?? Shape())
  }

  /// The member 'outputs' of a description: names of layers; the last layer if it is not there.
  mutating func findExits(_ list: Value?, _ sources: [NamedSource]) throws(LSTMError) {
    guard let list else {
      let last = sources[sources.count - 1]
      return try addExit(last)
    }
    ports.namesExits = true
    guard list.isArray, list.count >= 1, list.count <= Ports.most else {
      throw .argument("outputs: expected a list of 1 to \(Ports.most) names of layers, got \(list.spoken)")
    }
    try list.forEach { (item) throws(LSTMError) in
      guard let name = item.string, let source = try find(name, sources),
        wiring.maker(of: source.source.signal).stage != nil
      else { throw .argument("outputs: expected names of layers, got \(item.spoken)") }
      for other in ports.exits where other.signal == source.source.signal {
        throw .argument("outputs: expected each layer once, got \(item.spoken) again")
      }
      try addExit(source)
    }
  }

  private mutating func addExit(_ named: NamedSource) throws(LSTMError) {
    guard case .values(let shape) = named.source.flow else {
      throw .argument("layers: expected a layer after text, got none")
    }
    try Memory.append(Ports.Exit(name: named.name, signal: named.source.signal, shape: shape), to: &ports.exits)
  }
}

extension Input {
  /// How two layers read one input; nil: not in one way.
  fileprivate func joined(with other: Input) -> Input? {
    switch (self, other) {
    case (.values, .values): return self
    case (.tokens(let shape, let count, let padding), .tokens(_, let otherCount, let otherPadding)):
      return padding == otherPadding ? .tokens(shape, vocabulary: min(count, otherCount), padding: padding) : nil
    default: return nil
    }
  }
}

extension Model {
  /// Those of the model's description.
  func describePorts(_ writer: Writer) throws(LSTMError) {
    if ports.namesEntries {
      try writer.key("inputs")
      try writer.open("[")
      for entry in ports.entries {
        try writer.open("{")
        try writer.key("name")
        try writer.string(entry.name)
        if let shape = entry.shape {
          try writer.key("shape")
          try writer.shape(shape)
        }
        try writer.close("}")
      }
      try writer.close("]")
    } else if let shape = ports.entries[0].shape {
      try writer.key("input_shape")
      try writer.shape(shape)
    }
    if !ports.namesExits { return }
    try writer.key("outputs")
    try writer.open("[")
    for exit in ports.exits { try writer.string(exit.name) }
    try writer.close("]")
  }
}

extension Writer {
  fileprivate func shape(_ shape: Shape) throws(LSTMError) {
    try open("[")
    for axis in 0..<shape.rank {
      if shape[axis] == Shape.any { try null() } else { try number(Double(shape[axis])) }
    }
    try close("]")
  }
}
