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
  let wiring = Wiring()
  /// Whether gradients with respect to inputs of numbers are wanted.
  var differentiatesInputs = false
  let signals = List<Model.SignalFacts>()
  var joinsTimes = false
  var ports = Ports()
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
    _ description: Value, path: String, _ allocator: Allocator, _ kernels: Kernels, differentiatesInputs: Bool = false
  ) throws(LSTMError) -> Model {
    var parts = Parts(differentiatesInputs: differentiatesInputs, kernels: kernels, allocator: allocator)
    let fields = try Fields(description, path: path)
    guard description.isObject, let layers = fields.value("layers"), layers.isArray, layers.count > 0 else {
      throw fields.error("layers", "a list of at least one layer", description.member("layers"))
    }
    let inputs = try Ports.readInputs(fields)
    parts.ports.namesEntries = !(description.member("inputs")?.isNull ?? true)
    parts.seed = UInt64(try fields.integer("seed", 0...Fields.unlimited, default: 0))
    let tiers: [StaticString] = ["exact", "fast"]
    parts.usesFastActivations = try fields.choice("activations", tiers, default: 0) == 1
    if let name = try fields.name(limit: nameLimit) { parts.name = name }
    _ = fields.value("training")
    let weights = WeightFormat(rawValue: try fields.choice("weights", WeightFormat.names, default: 0)) ?? .float32
    parts.kernels = kernels.packing(weights)
    let outputs = fields.value("outputs")
    try fields.finish()

    let sources = try parts.addLayers(layers, inputs)
    try parts.findExits(outputs, sources)
    try parts.checkReaders()
    try parts.findEntries(inputs)
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
}

/// What a layer may read, by its name.
struct NamedSource {
  let name: String
  let source: Construction.Source
  /// What makes it; nil: it is an input of the model.
  var layer: Layer?
}

extension Parts {
  /// - Returns: the model's inputs and all layers.
  mutating func addLayers(_ layers: Value, _ inputs: [DescribedInput]) throws(LSTMError) -> [NamedSource] {
    let types = Registry.types
    let entries = Registry.entries
    var made: Construction?
    var sources: [NamedSource] = []
    for input in inputs {
      let source = Construction.Source(signal: try wiring.addInput(), flow: .input(input.shape))
      try Memory.append(NamedSource(name: input.name, source: source), to: &sources)
    }
    var number = 0
    try layers.forEach { (layer) throws(LSTMError) in
      let fields = try Fields(layer, path: "layers[\(number)]")
      let type = try fields.type(of: types)
      let name = try uniqueName(try fields.name(limit: Model.nameLimit), types[type], fields, sources)
      try fields.record.key("name")
      try fields.record.string(name)
      var construction =
        made
        ?? Construction(
          fields: fields, name: name, usesFastActivations: usesFastActivations, allocator: allocator, wiring: wiring)
      try construction.begin(fields, name, try self.inputs(fields, entries[type], sources))
      let first = construction.stages.count
      let firstParameter = construction.plan.entries.count
      try entries[type].make(&construction)
      try construction.plan.readRules(fields, layer: name, from: firstParameter)
      try fields.finish()
      try Memory.append(
        Model.Block(type: types[type], name: name, stages: first..<construction.stages.count, record: fields.record),
        to: &blocks)
      let layer = construction.stages[construction.stages.count - 1]
      try Memory.append(NamedSource(name: name, source: construction.output, layer: layer), to: &sources)
      made = construction
      number += 1
    }
    if let made { (plan, stages) = (made.plan, made.stages) }
    return sources
  }

  /// The field 'inputs': names of layers before this one or of the model's inputs; the layer before, or the only input, if
  /// there is none.
  private func inputs(
    _ fields: Fields, _ entry: Registry.Entry, _ sources: [NamedSource]
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
    } else if blocks.isEmpty, sources.count > 1 {
      throw fields.error("inputs", "names of the model's inputs, which are several", nil)
    } else {
      try Memory.append(sources[sources.count - 1].source, to: &found)
    }
    guard entry.inputs.contains(found.count) else {
      throw .argument("\(fields.path).inputs: expected \(expected), got \(found.count)")
    }
    return found
  }

  private func source(
    _ name: UnsafeBufferPointer<UInt8>, _ sources: [NamedSource], _ fields: Fields
  ) throws(LSTMError) -> Construction.Source {
    guard let found = try find(name, sources) else {
      let inputs = ports.namesEntries ? "an input" : "\"input\""
      throw .argument(
        "\(fields.path).inputs: expected \(inputs) or the name of a layer before this one, got \(quoted(name))")
    }
    return found.source
  }

  /// A layer goes before an input of its name. Behind a layer's name and a dot may stand that of one of its states.
  func find(_ name: UnsafeBufferPointer<UInt8>, _ sources: [NamedSource]) throws(LSTMError) -> NamedSource? {
    if let found = sources.last(where: { $0.name.utf8.elementsEqual(name) }) { return found }
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")),
      let found = sources.last(where: { $0.name.utf8.elementsEqual(name[..<dot]) }), let layer = found.layer,
      let stage = wiring.maker(of: found.source.signal).stage,
      let port = index(of: name[(dot + 1)...], in: layer.stateNames)
    else { return nil }
    let source = Construction.Source(
      signal: try wiring.state(1 + port, of: stage), flow: .values(Shape(layer.stateWidth(port))))
    return NamedSource(name: String(decoding: name, as: UTF8.self), source: source)
  }

  /// A layer that nothing reads would be a mistake.
  func checkReaders() throws(LSTMError) {
    for (i, block) in blocks.enumerated() {
      if isRead(block.stages.upperBound - 1) { continue }
      let output = ports.namesExits ? "one of outputs" : "the last"
      throw .argument(
        "layers[\(i)] (\(block.name)): expected a layer that reads its output, or to be \(output), got neither")
    }
  }

  /// Whether something reads what a stage makes, or one of its states.
  private func isRead(_ stage: Int) -> Bool {
    for signal in 0..<wiring.signalCount where wiring.maker(of: signal).stage == stage {
      if wiring.readers(of: signal) > 0 || ports.exits.contains(where: { $0.signal == signal }) { return true }
    }
    return false
  }

  /// The name given, or the type with the number of earlier layers of that name.
  private func uniqueName(
    _ given: String?, _ type: StaticString, _ fields: Fields, _ sources: [NamedSource]
  ) throws(LSTMError) -> String {
    let taken = ports.namesEntries ? sources[...] : sources.dropFirst()
    func isTaken(_ name: String) -> Bool { taken.contains { $0.name.matches(name) } }
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

  /// Finds out what depends on what.
  mutating func followSignals() throws(LSTMError) {
    for signal in 0..<wiring.signalCount {
      let maker = wiring.maker(of: signal)
      guard let i = maker.stage else {
        let input = ports.entries[maker.port].input
        var isTrained = false
        if case .values = input { isTrained = differentiatesInputs }
        try signals.append(Model.SignalFacts(time: input.hasTime ? maker.port : nil, isTrained: isTrained))
        continue
      }
      if maker.port > 0 {
        try signals.append(Model.SignalFacts(time: nil, isTrained: signals[wiring.output(of: i)].isTrained))
        continue
      }
      let stage = stages[i]
      let inputs = wiring.inputs(of: i)
      var facts = Model.SignalFacts(
        time: signals[inputs[0]].time, isTrained: stage.parameters.contains { $0.isTrainable })
      for (place, input) in inputs.enumerated() {
        facts.isTrained = facts.isTrained || signals[input].isTrained
        if !stage.readsSteps(of: place) { continue }
        if (signals[input].time == nil) == (signals[inputs[0]].time == nil) { continue }
        // Rows that have ended are gone in one and there in the other.
        (joinsTimes, facts.time) = (true, nil)
      }
      if !stage.keepsTime { facts.time = nil }
      stage.hasTrainedInput = inputs.contains { signals[$0].isTrained }
      try signals.append(facts)
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
