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
      (construction.fields, construction.name) = (fields, name)
      let first = construction.stages.count
      let firstParameter = construction.plan.entries.count
      try entries[type].make(&construction)
      try construction.plan.readRules(fields, layer: name, from: firstParameter)
      try fields.finish()
      try Memory.append(
        Model.Block(type: types[type], name: name, stages: first..<construction.stages.count, record: fields.record),
        to: &blocks)
      made = construction
      number += 1
    }
    if let made { (plan, stages) = (made.plan, made.stages) }
    if let last = stages.last, last is TextLayer {
      throw .argument("layers: expected a layer after text, got none")
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
