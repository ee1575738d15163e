public import LSTMDescription
public import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// All that a model is made of but its memory.
struct Parts {
  var name = "sequential"
  var seed: UInt64 = 0
  var blocks: [Model.Block] = []
  var stages: [Layer] = []
  var wiring = Wiring()
  let signals = List<Model.SignalFacts>()
  var joinsTimes = false
  var input = Input.values(Shape())
  var inputShape: Shape?
  var usesFastActivations = false
  var plan = ParameterPlan()
  var packedPlaces: [Int] = []
  var packedBackwardPlaces: [Int] = []
  var kernels: Kernels
  let allocator: Allocator
}

extension Model {
  /// A model as described, with weights of zero; `initialize` or a file gives it others. The description's member
  /// 'training' is left to the caller.
  public static func make(
    _ description: Value, path: String, _ allocator: Allocator, _ kernels: Kernels
  ) throws(LSTMError) -> Model {
    var parts = Parts(kernels: kernels, allocator: allocator)
    let fields = try Fields(description, path: path)
    guard description.isObject, let layers = fields.value("layers"), layers.isArray, layers.count > 0 else {
      throw fields.error("layers", "a list of at least one layer", description.member("layers"))
    }
    parts.inputShape = try readInputShape(fields)
    parts.seed = UInt64(try fields.integer("seed", 0...Fields.unlimited, default: 0))
    let tiers: [StaticString] = ["exact", "fast"]
    parts.usesFastActivations = try fields.choice("activations", tiers, default: 0) == 1
    if let name = try fields.name(limit: nameLimit) { parts.name = name }
    _ = fields.value("training")
    let weights = WeightFormat(rawValue: try fields.choice("weights", WeightFormat.names, default: 0)) ?? .float32
    parts.kernels = kernels.packing(weights)
    try fields.finish()

    try parts.addLayers(layers)
    try parts.findInput()
    try parts.checkLines()
    try parts.followSignals()
    try parts.placePackedWeights()
    let parameters = try Buffer.make(allocator, parts.plan.count, of: Float.self)
    let packed = try Buffer.make(allocator, parts.packedPlaces[parts.stages.count], of: Float.self)
    try Memory.check()
    return Model(parts, parameters: parameters, packed: packed)
  }

  /// Bytes of a layer's name; a parameter's adds its kind and must fit LSTM_NAME_SIZE.
  static let nameLimit = 96

  private static func readInputShape(_ fields: Fields) throws(LSTMError) -> Shape? {
    guard let list = fields.value("input_shape") else { return nil }
    let expected: Message = "a list of 1 to 7 positive integers, the first of them possibly null"
    guard list.isArray, list.count >= 1, list.count < Shape.maxRank else {
      throw fields.error("input_shape", expected, list)
    }
    var shape = Shape()
    try list.forEach { (item) throws(LSTMError) in
      if item.isNull, shape.rank == 0 {
        shape.append(Shape.any)
      } else if let number = item.number, number >= 1, number <= Double(Fields.unlimited), number == number.rounded() {
        shape.append(Int(number))
      } else {
        throw fields.error("input_shape", expected, item)
      }
    }
    return shape
  }
}

extension Parts {
  mutating func addLayers(_ layers: Value) throws(LSTMError) {
    let types = Registry.types
    let entries = Registry.entries
    var made: Construction?
    // What a layer may read: the model's input, then what comes out of the layers so far.
    var sources: [Construction.Source] = [Construction.Source(signal: 0, flow: .input(inputShape))]
    var number = 0
    try layers.forEach { (layer) throws(LSTMError) in
      let fields = try Fields(layer, path: "layers[\(number)]")
      let type = try fields.type(of: types)
      let name = try uniqueName(try fields.name(limit: Model.nameLimit), types[type], fields)
      try fields.record.key("name")
      try fields.record.string(name)
      var construction =
        made
        ?? Construction(
          fields: fields, name: name, flow: .input(inputShape), usesFastActivations: usesFastActivations,
          allocator: allocator)
      try construction.begin(fields, name, try inputs(fields, entries[type], sources))
      let first = construction.stages.count
      let firstParameter = construction.plan.entries.count
      try entries[type].make(&construction)
      try construction.plan.readRules(fields, layer: name, from: firstParameter)
      try fields.finish()
      try Memory.append(
        Model.Block(type: types[type], name: name, stages: first..<construction.stages.count, record: fields.record),
        to: &blocks)
      try Memory.append(construction.output, to: &sources)
      made = construction
      number += 1
    }
    if let made { (plan, stages, wiring) = (made.plan, made.stages, made.wiring) }
    try checkReaders()
    if let last = stages.last, last is TextLayer {
      throw .argument("layers: expected a layer after text, got none")
    }
  }

  /// The field 'inputs': names of layers before this one, or "input" for what the model reads; the layer before if there
  /// is none.
  private func inputs(
    _ fields: Fields, _ entry: Registry.Entry, _ sources: [Construction.Source]
  ) throws(LSTMError) -> [Construction.Source] {
    var found: [Construction.Source] = []
    let expected: Message =
      entry.inputs.upperBound == 1
      ? "the name of one layer" : "a list of \(entry.inputs.lowerBound) or more names of layers"
    if let list = fields.value("inputs") {
      try fields.record.key("inputs")
      try fields.record.open("[")
      try list.forEachOfList { (item) throws(LSTMError) in
        guard let text = item.string else { throw fields.error("inputs", expected, item) }
        let source = try source(text, sources, fields)
        try fields.record.string(text)
        try Memory.append(source, to: &found)
      }
      try fields.record.close("]")
    } else {
      try Memory.append(sources[sources.count - 1], to: &found)
    }
    guard entry.inputs.contains(found.count) else {
      throw .argument("\(fields.path).inputs: expected \(expected), got \(found.count)")
    }
    return found
  }

  private func source(
    _ name: UnsafeBufferPointer<UInt8>, _ sources: [Construction.Source], _ fields: Fields
  ) throws(LSTMError) -> Construction.Source {
    for (i, block) in blocks.enumerated() where block.name.utf8.elementsEqual(name) { return sources[i + 1] }
    if StaticString("input").matches(name) { return sources[0] }
    throw .argument(
      "\(fields.path).inputs: expected \"input\" or the name of a layer before this one, got \(quoted(name))")
  }

  /// A layer that nothing reads would be a mistake.
  private func checkReaders() throws(LSTMError) {
    for (i, block) in blocks.dropLast().enumerated() where wiring.readers(of: block.stages.upperBound) == 0 {
      throw .argument(
        "layers[\(i)] (\(block.name)): expected a layer that reads its output, or to be the last, got neither")
    }
  }

  /// The name given, or the type with the number of earlier layers of that name.
  private func uniqueName(_ given: String?, _ type: StaticString, _ fields: Fields) throws(LSTMError) -> String {
    func isTaken(_ name: String) -> Bool { blocks.contains { $0.name.matches(name) } }
    if let given {
      if isTaken(given) {
        throw .argument(
          "\(fields.path).name: expected a name of its own, got \(quoted(given.utf8))")
      }
      return given
    }
    var name = type.text
    var number = 0
    while isTaken(name) {
      number += 1
      name = type.text + "_\(number)"
    }
    return name
  }

  mutating func findInput() throws(LSTMError) {
    for (i, stage) in stages.enumerated() where stage is MaskingLayer && (i > 0 || wiring.readers(of: 0) > 1) {
      throw .argument(
        "layers (\(stage.name)): expected a masking layer to be the first, and no other to read the model's input")
    }
    if let text = stages[0] as? TextLayer {
      input = .strings(text)
    } else if let embedding = stages[0] as? EmbeddingLayer {
      input = .tokens(
        Shape(embedding.outputShape[0]), vocabulary: embedding.vocabulary, masksZero: embedding.masksZero)
    } else if let inputShape {
      input = .values(inputShape)
    } else {
      throw .internal("a model without an input shape")
    }
  }

  /// Finds out what depends on what.
  mutating func followSignals() throws(LSTMError) {
    for signal in 0...stages.count { try signals.append(Model.SignalFacts(keepsTime: signal == 0, isTrained: false)) }
    for (i, stage) in stages.enumerated() {
      var (keepsTime, isTrained) = (true, stage.parameters.contains { $0.isTrainable })
      let inputs = wiring.inputs(of: i)
      for input in inputs {
        keepsTime = keepsTime && signals[input].keepsTime
        isTrained = isTrained || signals[input].isTrained
        // Rows that have ended are gone in one and there in the other.
        if signals[input].keepsTime != signals[inputs[0]].keepsTime { joinsTimes = true }
      }
      stage.hasTrainedInput = inputs.contains { signals[$0].isTrained }
      signals[i + 1] = Model.SignalFacts(keepsTime: keepsTime && stage.keepsTime, isTrained: isTrained)
    }
  }

  mutating func placePackedWeights() throws(LSTMError) {
    var forward = Carver()
    var backward = Carver()
    for stage in stages {
      try Memory.append(forward.take(stage.packedCount(kernels)), to: &packedPlaces)
      try Memory.append(backward.take(stage.packedBackwardCount(kernels)), to: &packedBackwardPlaces)
    }
    try Memory.append(forward.count, to: &packedPlaces)
    try Memory.append(backward.count, to: &packedBackwardPlaces)
  }
}
