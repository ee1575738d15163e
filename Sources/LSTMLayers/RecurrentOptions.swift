internal import LSTMDescription
internal import LSTMTensors

/// The fields that all recurrent layers share, and the cell.
struct RecurrentOptions {
  /// The types of recurrent layers.
  static var types: [StaticString] { ["lstm", "gru", "simple_rnn"] }

  let cell: RecurrentCell
  let units: Int
  /// Numbers of the hidden state: the units, or what they are projected to.
  let outputSize: Int
  let isProjected: Bool
  let hasBias: Bool
  let returnsSequences: Bool
  let goesBackwards: Bool
  let dropout: Double
  let recurrentDropout: Double
  let learnsStart: Bool

  /// - Parameter type: its place in `types`.
  init(_ type: Int, _ fields: Fields, _ model: Construction) throws(LSTMError) {
    let fast = model.usesFastActivations
    units = try fields.integer("units", 1...Fields.unlimited)
    var projection: Int?
    switch type {
    case 0:
      projection = try fields.optionalInteger("projection", 1...units)
      cell = try LSTMCell.make(fields, fast: fast, isProjected: projection != nil)
    case 1: cell = try GRUCell.make(fields, fast: fast)
    default: cell = try SimpleCell.make(fields, fast: fast)
    }
    (outputSize, isProjected) = (projection ?? units, projection != nil)
    hasBias = try fields.boolean("use_bias", default: true)
    returnsSequences = try fields.boolean("return_sequences", default: false)
    goesBackwards = try fields.boolean("go_backwards", default: false)
    dropout = try readRate(fields, "dropout", default: 0)
    recurrentDropout = try readRate(fields, "recurrent_dropout", default: 0)
    learnsStart = try fields.choice("initial_state", ["zeros", "learned"], default: 0) == 1
  }
}

/// The kinds of parameters that a recurrent layer may have.
enum RecurrentParameter: Int {
  case inputWeights, recurrentWeights, bias, peepholes, projectionWeights, initialHidden, initialMemory
  case inputGamma, recurrentGamma, memoryGamma, memoryBeta
  static let count = 11

  /// The layer that has them: one alone, or one of the two of a bidirectional layer.
  enum Owner: Int { case alone, forward, backward }

  func name(_ owner: Owner) -> StaticString {
    // A case each: of several array literals in one function the Embedded build has been seen to take the wrong one.
    switch (self, owner) {
    case (.inputWeights, .alone): "input_weights"
    case (.inputWeights, .forward): "forward_input_weights"
    case (.inputWeights, .backward): "backward_input_weights"
    case (.recurrentWeights, .alone): "recurrent_weights"
    case (.recurrentWeights, .forward): "forward_recurrent_weights"
    case (.recurrentWeights, .backward): "backward_recurrent_weights"
    case (.bias, .alone): "bias"
    case (.bias, .forward): "forward_bias"
    case (.bias, .backward): "backward_bias"
    case (.peepholes, .alone): "peepholes"
    case (.peepholes, .forward): "forward_peepholes"
    case (.peepholes, .backward): "backward_peepholes"
    case (.projectionWeights, .alone): "projection_weights"
    case (.projectionWeights, .forward): "forward_projection_weights"
    case (.projectionWeights, .backward): "backward_projection_weights"
    case (.initialHidden, .alone): "initial_hidden"
    case (.initialHidden, .forward): "forward_initial_hidden"
    case (.initialHidden, .backward): "backward_initial_hidden"
    case (.initialMemory, .alone): "initial_memory"
    case (.initialMemory, .forward): "forward_initial_memory"
    case (.initialMemory, .backward): "backward_initial_memory"
    case (.inputGamma, .alone): "input_gamma"
    case (.inputGamma, .forward): "forward_input_gamma"
    case (.inputGamma, .backward): "backward_input_gamma"
    case (.recurrentGamma, .alone): "recurrent_gamma"
    case (.recurrentGamma, .forward): "forward_recurrent_gamma"
    case (.recurrentGamma, .backward): "backward_recurrent_gamma"
    case (.memoryGamma, .alone): "memory_gamma"
    case (.memoryGamma, .forward): "forward_memory_gamma"
    case (.memoryGamma, .backward): "backward_memory_gamma"
    case (.memoryBeta, .alone): "memory_beta"
    case (.memoryBeta, .forward): "forward_memory_beta"
    case (.memoryBeta, .backward): "backward_memory_beta"
    }
  }
}

/// The parameters of a recurrent layer, and which of them is which.
struct RecurrentParameters {
  private(set) var all: [Parameter] = []
  private var places = InlineArray<11, Int>(repeating: -1)

  /// - Parameter inputs: features of the input.
  init(
    _ options: RecurrentOptions, inputs: Int, _ owner: RecurrentParameter.Owner, _ model: inout Construction
  ) throws(LSTMError) {
    let (cell, units) = (options.cell, options.units)
    let columns = try Size.product(cell.weightGates, units)
    try add(.inputWeights, Shape(inputs, columns), .columns, owner, &model)
    try add(.recurrentWeights, Shape(options.outputSize, columns), .columns, owner, &model)
    if options.hasBias {
      let rows = cell.biasGates / cell.weightGates
      try add(.bias, rows > 1 ? Shape(rows, columns) : Shape(columns), .none, owner, &model)
    }
    if cell.options?.hasPeepholes ?? false {
      try add(.peepholes, Shape(cell.weightGates - 1, units), .none, owner, &model)
    }
    if options.isProjected {
      try add(.projectionWeights, Shape(units, options.outputSize), .columns, owner, &model)
    }
    if options.learnsStart {
      try add(.initialHidden, Shape(options.outputSize), .none, owner, &model)
      if cell.hasMemory { try add(.initialMemory, Shape(units), .none, owner, &model) }
    }
    if cell.options?.normEpsilon != nil {
      try add(.inputGamma, Shape(columns), .none, owner, &model)
      try add(.recurrentGamma, Shape(columns), .none, owner, &model)
      if cell.hasMemory {
        try add(.memoryGamma, Shape(units), .none, owner, &model)
        try add(.memoryBeta, Shape(units), .none, owner, &model)
      }
    }
  }

  private mutating func add(
    _ kind: RecurrentParameter, _ shape: Shape, _ lines: Parameter.Lines, _ owner: RecurrentParameter.Owner,
    _ model: inout Construction
  ) throws(LSTMError) {
    places[kind.rawValue] = all.count
    all.append(try model.parameter(kind.name(owner), shape, lines: lines))
  }

  subscript(_ kind: RecurrentParameter) -> Parameter? {
    let place = places[kind.rawValue]
    return place < 0 ? nil : all[place]
  }
}
