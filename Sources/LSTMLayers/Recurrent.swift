internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The fields that all recurrent layers share, and the cell.
struct RecurrentOptions {
  let cell: RecurrentCell
  let units: Int
  let hasBias: Bool
  let returnsSequences: Bool
  let goesBackwards: Bool
  let dropout: Double

  static func lstm(_ fields: Fields, _ model: Construction) throws(LSTMError) -> RecurrentOptions {
    try RecurrentOptions(fields) { (fields) throws(LSTMError) in
      try LSTMCell.make(fields, fast: model.usesFastActivations)
    }
  }

  static func gru(_ fields: Fields, _ model: Construction) throws(LSTMError) -> RecurrentOptions {
    try RecurrentOptions(fields) { (fields) throws(LSTMError) in
      try GRUCell.make(fields, fast: model.usesFastActivations)
    }
  }

  private init(_ fields: Fields, _ cell: (Fields) throws(LSTMError) -> RecurrentCell) throws(LSTMError) {
    units = try fields.integer("units", 1...Fields.unlimited)
    self.cell = try cell(fields)
    hasBias = try fields.boolean("use_bias", default: true)
    returnsSequences = try fields.boolean("return_sequences", default: false)
    goesBackwards = try fields.boolean("go_backwards", default: false)
    dropout = try readRate(fields, "dropout", default: 0)
  }
}

/// How a recurrent layer goes through time and where its outputs lie.
enum Direction {
  case forwards
  /// From the last step; the outputs of sequences are in the order in which they were made.
  case backwards
  /// From the last step; each output lies at the step that it belongs to.
  case backwardsInPlace
}

/// The time loop for any cell: input and recurrent products, masks, direction, dropout of the inputs, state between calls,
/// and the gradients of all weights.
///
/// - Shapes: x [batch, timesteps, inputs]; input_weights [inputs, gates·units], recurrent_weights [units, gates·units],
///   bias [gates·units]; y [batch, units], or [batch, timesteps, units] when it returns sequences.
/// - Padding: a masked step leaves state and output as they were (zero at the start). Sequences that have ended cost
///   nothing.
/// - Layout: hidden states `[timestep][row][units]`; per block of `lanes` units, memory `[step][block][row][lanes]`, and
///   what a cell keeps `[block][timestep][row][4][lanes]`, which is the panel that the weight gradients multiply with. Steps
///   are counted in the order in which they are taken, timesteps in that of the input.
/// - Several workers: each has some of the units, so that it needs the others once a step.
class RecurrentLayer: Layer {
  let cell: RecurrentCell
  let inputs: Int
  let units: Int
  let returnsSequences: Bool
  let direction: Direction
  let dropout: Double
  /// Floats between two rows of an output of sequences.
  let outputRow: Int
  /// Whether its first states are inputs behind x.
  private var takesStates = false

  init(
    _ options: RecurrentOptions, name: String, outputShape: Shape, parameters: [Parameter], direction: Direction,
    outputRow: Int
  ) {
    cell = options.cell
    (inputs, units) = (parameters[0].shape[0], parameters[1].shape[0])
    (returnsSequences, dropout) = (options.returnsSequences, options.dropout)
    (self.direction, self.outputRow) = (direction, outputRow)
    super.init(name: name, outputShape: outputShape, parameters: parameters)
  }

  static func makeLSTM(_ model: inout Construction) throws(LSTMError) {
    try make(&model, try RecurrentOptions.lstm(model.fields, model))
  }

  static func makeGRU(_ model: inout Construction) throws(LSTMError) {
    try make(&model, try RecurrentOptions.gru(model.fields, model))
  }

  private static func make(_ model: inout Construction, _ options: RecurrentOptions) throws(LSTMError) {
    let kinds: (StaticString, StaticString, StaticString) = ("input_weights", "recurrent_weights", "bias")
    let direction = options.goesBackwards ? Direction.backwards : .forwards
    let layer = try make(&model, options, kinds, direction, outputRow: options.units)
    try layer.checkStates(model)
    try model.append(layer)
  }

  /// Inputs behind the first are the states to begin with.
  private func checkStates(_ model: Construction) throws(LSTMError) {
    let states = cell.stateNames
    takesStates = model.inputs.count > 1
    if !takesStates { return }
    guard model.inputs.count == 1 + states.count else {
      throw .argument(
        "\(model.fields.path).inputs: expected one, or \(1 + states.count) to begin with \(listing(states)), got "
          + "\(model.inputs.count)")
    }
    for (i, input) in model.inputs.enumerated().dropFirst() {
      let shape = try model.values(of: input)
      guard shape == Shape(units) else {
        throw .argument("\(model.fields.path).inputs[\(i)]: expected a state of shape (\(units),), got \(shape.text)")
      }
    }
  }

  override var stateNames: [StaticString] { cell.stateNames }
  override var stateCount: Int { cell.hasMemory ? 2 : 1 }
  override var stateWidth: Int { units }
  override func readsSteps(of input: Int) -> Bool { input == 0 }

  /// - Parameter kinds: the names of input weights, recurrent weights and bias.
  static func make(
    _ model: inout Construction, _ options: RecurrentOptions, _ kinds: (StaticString, StaticString, StaticString),
    _ direction: Direction, outputRow: Int
  ) throws(LSTMError) -> RecurrentLayer {
    let (cell, units) = (options.cell, options.units)
    let shape = try model.values(rank: 2)
    guard shape.rank == 2 else {
      throw .argument("\(model.fields.path): expected an input of shape [timesteps, features], got \(shape.text)")
    }
    let columns = try Size.product(cell.weightGates, units)
    var parameters = [
      try model.parameter(kinds.0, Shape(shape[1], columns), lines: .columns),
      try model.parameter(kinds.1, Shape(units, columns), lines: .columns),
    ]
    if options.hasBias {
      let rows = cell.biasGates / cell.weightGates
      parameters.append(try model.parameter(kinds.2, rows > 1 ? Shape(rows, columns) : Shape(columns)))
    }
    let output = options.returnsSequences ? Shape(shape[0], units) : Shape(units)
    if let gru = cell as? GRUCell, !gru.resetsAfter {
      return ResetBeforeLayer(
        options, name: model.name, outputShape: output, parameters: parameters, direction: direction,
        outputRow: outputRow)
    }
    return RecurrentLayer(
      options, name: model.name, outputShape: output, parameters: parameters, direction: direction,
      outputRow: outputRow)
  }

  override func outputSteps(_ steps: Int) -> Int { returnsSequences ? steps : 1 }
  override var keepsTime: Bool { returnsSequences }
  override var needsFuture: StaticString? { direction == .forwards ? nil : "go_backwards" }
  override var allowsTrimming: Bool { !(direction == .backwards && returnsSequences) }
  override var carriesState: Bool { true }

  /// The gradient of the input is made last.
  override var allowsGradientInPlace: Bool { true }

  // MARK: Weights

  func inputPanels(_ kernels: Kernels) -> Panels {
    Panels(units: units, gates: cell.inputs.gates, vectors: cell.inputs.count, lanes: kernels.lanes)
  }
  func hiddenPanels(_ kernels: Kernels) -> Panels {
    Panels(units: units, gates: cell.hidden.gates, vectors: cell.hidden.count, lanes: kernels.lanes)
  }
  func blockCount(_ kernels: Kernels) -> Int { (units + kernels.lanes - 1) / kernels.lanes }
  /// Floats that a block of one row keeps: four vectors.
  func gatesWidth(_ kernels: Kernels) -> Int { 4 * kernels.lanes }

  /// How the weights are packed. The sums of a few units are made otherwise, and there is little to be won.
  func packing(_ kernels: Kernels) -> WeightFormat {
    units <= Int(LSTM_HALVED_HIDDEN) || takesStates ? .float32 : kernels.weights
  }

  /// Rows of a block of packed weights: those of the inputs, then those of the units.
  func packedDepth(_ kernels: Kernels) -> Int {
    packing(kernels).packedRows(inputs) + packing(kernels).packedRows(units)
  }

  /// `[block][inputs, units][vectors][lanes]`, then the bias `[block][4][lanes]`.
  override func packedCount(_ kernels: Kernels) -> Int {
    Carver.product(packedDepth(kernels), inputPanels(kernels).paddedColumns) + biasCount(kernels)
  }
  func biasPlace(_ kernels: Kernels) -> Int { packedDepth(kernels) * inputPanels(kernels).paddedColumns }
  private func biasCount(_ kernels: Kernels) -> Int { Carver.product(blockCount(kernels), gatesWidth(kernels)) }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let columns = cell.weightGates * units
    let (format, depth) = (packing(kernels), packedDepth(kernels))
    let own = part.range(of: blockCount(kernels))
    inputPanels(kernels).pack(
      own, rows: inputs, weights + parameters[0].offset, rowStride: columns, depth: depth, format, into: packed,
      kernels)
    hiddenPanels(kernels).pack(
      own, rows: units, weights + parameters[1].offset, rowStride: columns, at: format.packedRows(inputs),
      depth: depth, format, into: packed, kernels)
    let lanes = kernels.lanes
    for block in own {
      let bias = packed + biasPlace(kernels) + block * 4 * lanes
      bias.clear(4 * lanes)
      guard parameters.count > 2 else { continue }
      let source = weights + parameters[2].offset + block * lanes
      for vector in 0..<4 {
        let (first, second) = cell.biasGates(vector: vector)
        for i in 0..<min(lanes, units - block * lanes) {
          if first >= 0 { bias[vector * lanes + i] = source[first * units + i] }
          if second >= 0 { bias[vector * lanes + i] += source[second * units + i] }
        }
      }
    }
  }

  func plainPanels(_ columns: Int, _ kernels: Kernels) -> Panels { Panels(columns: columns, lanes: kernels.lanes) }

  /// The transposes of the recurrent and of the input weights, their rows in the order of the kept vectors.
  override func packedBackwardCount(_ kernels: Kernels) -> Int {
    Carver.product(
      inputPanels(kernels).paddedColumns,
      plainPanels(units, kernels).paddedColumns + plainPanels(inputs, kernels).paddedColumns)
  }
  func inputTransposePlace(_ kernels: Kernels) -> Int {
    hiddenPanels(kernels).paddedColumns * plainPanels(units, kernels).paddedColumns
  }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let (ofHidden, ofInputs) = (plainPanels(units, kernels), plainPanels(inputs, kernels))
    ofHidden.packTransposed(
      part.range(of: ofHidden.count), weights + parameters[1].offset, rowStride: cell.weightGates * units,
      rows: hiddenPanels(kernels), into: packed, kernels)
    ofInputs.packTransposed(
      part.range(of: ofInputs.count), weights + parameters[0].offset, rowStride: cell.weightGates * units,
      rows: inputPanels(kernels), into: packed + inputTransposePlace(kernels), kernels)
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    var sequence = random(0)
    let columns = cell.weightGates * units
    glorotUniform(weights + parameters[0].offset, rows: inputs, columns: columns, &sequence)
    sequence = random(1)
    orthogonal(weights + parameters[1].offset, rows: units, columns: columns, &sequence, kernels)
    guard parameters.count > 2 else { return }
    for gate in 0..<cell.biasGates {
      (weights + parameters[2].offset + gate * units).update(repeating: cell.initialBias(gate: gate), count: units)
    }
  }

  // MARK: Workspace and state

  /// Hidden state, then the memory in whole blocks.
  override func statePieces(_ kernels: Kernels) -> [StatePiece] {
    let hidden = StatePiece(blocks: 1, lanes: units, meaningful: units)
    if !cell.hasMemory { return [hidden] }
    return [hidden, StatePiece(blocks: blockCount(kernels), lanes: kernels.lanes, meaningful: units)]
  }

  /// Places in the workspace.
  struct Plan {
    let zeros, hidden, memory, gates, begins, inputs, factors, dHidden, dMemory, dBias, rounded, extra: Int
    let count: Int

    init(_ layer: RecurrentLayer, steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) {
      let blocks = layer.blockCount(kernels)
      let padded = Carver.product(blocks, kernels.lanes)
      let training = mode == .train
      let dropping = training && layer.dropout > 0
      let memories = !layer.cell.hasMemory ? 0 : training ? steps + 1 : 1
      var plan = Carver()
      zeros = plan.take(batch, layer.units)
      hidden = plan.take(layer.returnsSequences ? 0 : training ? steps : 2, batch, layer.units)
      memory = plan.take(memories, batch, padded)
      gates = plan.take(training ? steps : 0, batch, 4, padded)
      begins = plan.take(HoistedInputs.rows(layer, steps: steps, batch: batch, mode), 4, padded)
      inputs = plan.take(dropping ? steps : 0, batch, layer.inputs)
      factors = plan.take(dropping ? batch : 0, layer.inputs)
      dHidden = plan.take(training ? batch : 0, layer.units)
      dMemory = plan.take(training && layer.cell.hasMemory ? batch : 0, padded)
      dBias = plan.take(training ? 4 : 0, padded)
      rounded = plan.take(RoundedFactors.count(layer, steps: steps, batch: batch, kernels))
      extra = plan.take(layer.extraCount(steps: steps, batch: batch, mode, kernels))
      count = plan.count
    }
  }

  /// Floats of workspace that a layer derived from this one needs besides.
  func extraCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int { 0 }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode, kernels).count
  }

  override var changesMask: Bool { !allowsTrimming }

  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    guard returnsSequences, let mask = x.mask else { return nil }
    guard changesMask else { return mask }
    for step in 0..<x.steps {
      (memory + step * x.batch).copy(from: mask + (x.steps - 1 - step) * x.batch, count: x.batch)
    }
    return UnsafePointer(memory)
  }

  override func prepareStep(_ x: Signal, into y: Signal, _ pass: Pass) -> LayerStep {
    RecurrentStep.make(self, x, y, pass) ?? super.prepareStep(x, into: y, pass)
  }

  override func forward(_ xs: Inputs, into y: Signal, _ pass: Pass) { TimeLoop(self, xs, y, pass).forward() }

  override func backward(
    _ xs: Inputs, _ y: Signal, dy: MutableFloats, into dxs: InputGradients, gradients: MutableFloats, _ pass: Pass
  ) {
    let loop = TimeLoop(self, xs, y, pass)
    loop.backward(dy: dy, into: dxs[0], gradients: gradients)
    if xs.count > 1 { loop.startGradient(hidden: dxs[1], memory: xs.count > 2 ? dxs[2] : nil) }
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) { TimeLoop(self, x, y, pass).forward() }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    TimeLoop(self, x, y, pass).backward(dy: dy, into: dx, gradients: gradients)
  }

  // MARK: What a cell of two products would do otherwise

  /// Whether a step may begin with the products of the inputs.
  var canHoistInputs: Bool { true }

  /// One step of this worker's units for some rows, from row `row` of all timesteps on; pointers and sizes are set.
  func advance(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int) { cell.forward(&step, loop.kernels) }

  /// The same backwards.
  func retreat(_ step: inout lstm_cell_backward, _ loop: TimeLoop, row: Int) { cell.backward(&step, loop.kernels) }

  /// Adds to the gradient of the hidden state what reaches it through the products of timestep t: this worker's units.
  func addHiddenGradient(_ loop: TimeLoop, _ t: Int) {
    guard let weights = loop.pass.packedBackward else { return }
    loop.multiplyGates(
      loop.ownPanels, rows: loop.x.rows(at: t), first: loop.x.first(t), vectors: cell.hidden, weights,
      plainPanels(units, loop.kernels), into: loop.dHidden, .accumulate)
  }

  /// Adds to the gradient of the recurrent weights, for this worker's units, the products of some rows: the gates from row
  /// `gates` on with the hidden states of the steps before them, from row `hidden` on.
  func accumulateRecurrent(_ loop: TimeLoop, gates: Int, hidden: Int, rows: Int, _ gradient: MutableFloats) {
    loop.accumulateGates(
      cell.hidden, gates, rows, loop.hidden + hidden * loop.hiddenRow, aRow: loop.hiddenRow, count: units,
      hiddenPanels(loop.kernels), gradient)
  }
}

/// A step of one sequence: one call of the cell.
private class RecurrentStep: LayerStep {
  private let cell: RecurrentCell
  private let kernels: Kernels
  fileprivate final var step: lstm_cell_forward
  private let state: MutableFloats
  private let y: MutableFloats
  private let units: Int

  static func make(_ layer: RecurrentLayer, _ x: Signal, _ y: Signal, _ pass: Pass) -> LayerStep? {
    guard let state = pass.state, x.rows == 1, !(layer is ResetBeforeLayer) else { return nil }
    let places = RecurrentLayer.Plan(layer, steps: 1, batch: 1, pass.mode, pass.kernels)
    let memory = pass.workspace + places.rounded
    if let rounded = RoundedFactors(layer, memory, x, 0..<layer.units, pass.kernels) {
      return RoundedRecurrentStep(layer, x, y, pass, state, rounded)
    }
    return RecurrentStep(layer, x, y, pass, state)
  }

  fileprivate init(_ layer: RecurrentLayer, _ x: Signal, _ y: Signal, _ pass: Pass, _ state: MutableFloats) {
    (cell, kernels, units, self.state, self.y) = (layer.cell, pass.kernels, layer.units, state, y.values)
    step = lstm_cell_forward()
    step.format = kernels.code(layer.packing(kernels))
    (step.rows, step.inputs, step.hidden, step.units) = (1, layer.inputs, units, units)
    (step.x, step.x_row, step.mask) = (Floats(x.values), layer.inputs, x.mask)
    (step.h, step.h_own, step.h_row) = (Floats(state), Floats(state), units)
    (step.weights, step.bias) = (pass.packed, pass.packed + layer.biasPlace(kernels))
    step.weights_block = layer.packedDepth(kernels) * layer.inputPanels(kernels).width
    (step.c, step.c_next, step.c_block) = (Floats(state + units), state + units, kernels.lanes)
    (step.h_next, step.h_next_row) = (y.values, units)
  }

  override func run() {
    cell.forward(&step, kernels)
    step.from_last ^= 1
    state.copy(from: y, count: units)
  }
}

/// The same with 8-bit weights.
private final class RoundedRecurrentStep: RecurrentStep {
  private let rounded: RoundedFactors
  private let x: Signal
  private let state: Floats

  fileprivate init(
    _ layer: RecurrentLayer, _ x: Signal, _ y: Signal, _ pass: Pass, _ state: MutableFloats, _ rounded: RoundedFactors
  ) {
    (self.rounded, self.x, self.state) = (rounded, x, Floats(state))
    super.init(layer, x, y, pass, state)
    (step.x_bytes, step.h_bytes) = (rounded.inputs(row: 0), rounded.hidden(before: 0, row: 0, areNew: true))
  }

  override func run() {
    rounded.begin(x, state: state, .whole)
    super.run()
  }
}
