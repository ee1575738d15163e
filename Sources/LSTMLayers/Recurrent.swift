internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The time loop for any cell: input and recurrent products, masks, direction, dropout of the inputs, state between calls,
/// and the gradients of all weights.
///
/// - Shapes: x [batch, timesteps, inputs]; input_weights [inputs, gates·units], recurrent_weights [units, gates·units],
///   bias [gates·units]; y [batch, units], or [batch, timesteps, units] when it returns sequences.
/// - Padding: a masked step leaves state and output as they were (zero at the start). Sequences that have ended cost
///   nothing.
/// - Layout: hidden states `[timestep][row][units]`; per block of `lanes` units (of a cell with one gate four times as
///   many), memory `[step][block][row][lanes]`, and what a cell keeps `[block][timestep][row][4][lanes]`, which is the panel
///   that the weight gradients multiply with. Steps are counted in the order in which they are taken, timesteps in that of the input.
/// - Several workers: each has some of the units, so that it needs the others once a step.
class RecurrentLayer: SequenceLayer {
  let cell: RecurrentCell
  let inputs: Int
  /// Numbers of a hidden state.
  let outputSize: Int
  let dropout: Double
  let recurrentDropout: Double
  private let own: RecurrentParameters
  /// Floats between two rows of an output of sequences.
  let outputRow: Int
  /// Whether its first states are inputs behind x.
  private var takesStates = false

  init(
    _ options: RecurrentOptions, name: String, outputShape: Shape, parameters: RecurrentParameters,
    direction: Direction, outputRow: Int
  ) {
    cell = options.cell
    (inputs, outputSize) = (parameters.all[0].shape[0], options.outputSize)
    (dropout, recurrentDropout) = (options.dropout, options.recurrentDropout)
    (self.outputRow, own) = (outputRow, parameters)
    super.init(
      name: name, outputShape: outputShape, parameters: parameters.all, units: options.units,
      returnsSequences: options.returnsSequences, direction: direction)
  }

  func parameter(_ kind: RecurrentParameter) -> Parameter? { own[kind] }

  static func makeLSTM(_ model: inout Construction) throws(LSTMError) { try make(&model, type: 0) }
  static func makeGRU(_ model: inout Construction) throws(LSTMError) { try make(&model, type: 1) }
  static func makeSimple(_ model: inout Construction) throws(LSTMError) { try make(&model, type: 2) }

  private static func make(_ model: inout Construction, type: Int) throws(LSTMError) {
    let options = try RecurrentOptions(type, model.fields, model)
    let direction = options.goesBackwards ? Direction.backwards : .forwards
    let layer = try make(&model, options, .alone, direction, outputRow: options.outputSize)
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
    if parameter(.initialHidden) != nil {
      throw .argument(
        "\(model.fields.path).initial_state: expected \"zeros\" where inputs give the states to begin with"
          + ", got \"learned\"")
    }
    for (i, input) in model.inputs.enumerated().dropFirst() {
      let (shape, width) = (try model.values(of: input), stateWidth(i - 1))
      guard shape == Shape(width) else {
        throw .argument("\(model.fields.path).inputs[\(i)]: expected a state of shape (\(width),), got \(shape.text)")
      }
    }
  }

  override var stateNames: [StaticString] { cell.stateNames }
  override var stateCount: Int { cell.hasMemory ? 2 : 1 }
  override func stateWidth(_ i: Int) -> Int { i == 0 ? outputSize : units }
  override func readsSteps(of input: Int) -> Bool { input == 0 }

  static func make(
    _ model: inout Construction, _ options: RecurrentOptions, _ owner: RecurrentParameter.Owner,
    _ direction: Direction, outputRow: Int
  ) throws(LSTMError) -> RecurrentLayer {
    let shape = try model.values(rank: 2)
    guard shape.rank == 2 else {
      throw .argument("\(model.fields.path): expected an input of shape [timesteps, features], got \(shape.text)")
    }
    let parameters = try RecurrentParameters(options, inputs: shape[1], owner, &model)
    let output = options.returnsSequences ? Shape(shape[0], options.outputSize) : Shape(options.outputSize)
    if let gru = options.cell as? GRUCell, !gru.resetsAfter {
      return ResetBeforeLayer(
        options, name: model.name, outputShape: output, parameters: parameters, direction: direction,
        outputRow: outputRow)
    }
    if options.cell.options?.normEpsilon != nil {
      return NormalizedLayer(
        options, name: model.name, outputShape: output, parameters: parameters, direction: direction,
        outputRow: outputRow)
    }
    if options.cell.isSplit {
      return SplitLayer(
        options, name: model.name, outputShape: output, parameters: parameters, direction: direction,
        outputRow: outputRow)
    }
    return RecurrentLayer(
      options, name: model.name, outputShape: output, parameters: parameters, direction: direction,
      outputRow: outputRow)
  }

  /// The gradient of the input is made last.
  override var allowsGradientInPlace: Bool { true }

  // MARK: Weights

  func inputPanels(_ kernels: Kernels) -> Panels { panels(cell.inputs, kernels) }
  func hiddenPanels(_ kernels: Kernels) -> Panels { panels(cell.hidden, kernels) }
  private func panels(_ feed: RecurrentCell.Feed, _ kernels: Kernels) -> Panels {
    if cell.weightGates == 1 { return plainPanels(units, kernels) }
    return Panels(units: units, gates: feed.gates, vectors: feed.count, lanes: kernels.lanes)
  }
  func blockUnits(_ kernels: Kernels) -> Int { cell.weightGates == 1 ? gatesWidth(kernels) : kernels.lanes }
  func blockCount(_ kernels: Kernels) -> Int { (units + blockUnits(kernels) - 1) / blockUnits(kernels) }
  /// Floats that a block of one row keeps: four vectors.
  func gatesWidth(_ kernels: Kernels) -> Int { 4 * kernels.lanes }

  /// How the weights are packed. The sums of a few units are made otherwise, and there is little to be won.
  func packing(_ kernels: Kernels) -> WeightFormat {
    units <= Int(LSTM_HALVED_HIDDEN) ? .float32 : kernels.weights
  }

  /// Rows of a block of packed weights: those of the inputs, then those of the units.
  func packedDepth(_ kernels: Kernels) -> Int {
    packing(kernels).packedRows(inputs) + packing(kernels).packedRows(outputSize)
  }

  /// `[block][inputs, hidden state][vectors][lanes]`, then the bias `[block][4][lanes]`.
  override func packedCount(_ kernels: Kernels) -> Int {
    biasPlace(kernels) + biasCount(kernels)
  }
  func biasPlace(_ kernels: Kernels) -> Int {
    Carver.product(packedDepth(kernels), inputPanels(kernels).paddedColumns)
  }
  func biasCount(_ kernels: Kernels) -> Int { Carver.product(blockCount(kernels), gatesWidth(kernels)) }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let columns = cell.weightGates * units
    let (format, depth) = (packing(kernels), packedDepth(kernels))
    let own = part.range(of: blockCount(kernels))
    inputPanels(kernels).pack(
      own, rows: inputs, weights + parameters[0].offset, rowStride: columns, depth: depth, format, into: packed,
      kernels)
    hiddenPanels(kernels).pack(
      own, rows: outputSize, weights + parameters[1].offset, rowStride: columns, at: format.packedRows(inputs),
      depth: depth, format, into: packed, kernels)
    let lanes = kernels.lanes
    for block in own {
      let bias = packed + biasPlace(kernels) + block * 4 * lanes
      bias.clear(4 * lanes)
      guard let parameter = parameter(.bias) else { continue }
      forEachBias(block, kernels) { (vector, first, count) in
        kernels.add(count, weights + parameter.offset + first, to: bias + vector * lanes)
      }
    }
  }

  /// Which numbers of the bias, from `first` on, the lanes of a block's vectors have in them.
  func forEachBias(_ block: Int, _ kernels: Kernels, _ body: (_ vector: Int, _ first: Int, _ count: Int) -> Void) {
    let unit = block * blockUnits(kernels)
    for vector in 0..<4 {
      if cell.weightGates == 1 {
        let first = unit + vector * kernels.lanes
        if first < units { body(vector, first, min(kernels.lanes, units - first)) }
        continue
      }
      let (first, second) = cell.biasGates(vector: vector)
      let count = min(kernels.lanes, units - unit)
      if first >= 0 { body(vector, first * units + unit, count) }
      if second >= 0 { body(vector, second * units + unit, count) }
    }
  }

  func plainPanels(_ columns: Int, _ kernels: Kernels) -> Panels { Panels(columns: columns, lanes: kernels.lanes) }

  /// The transposes of the recurrent and, where there is use for them, of the input weights, their rows in the order of the
  /// kept vectors.
  override func packedBackwardCount(_ kernels: Kernels) -> Int {
    Carver.product(
      inputPanels(kernels).paddedColumns,
      plainPanels(outputSize, kernels).paddedColumns
        + (hasTrainedInput ? plainPanels(inputs, kernels).paddedColumns : 0))
  }
  func inputTransposePlace(_ kernels: Kernels) -> Int {
    hiddenPanels(kernels).paddedColumns * plainPanels(outputSize, kernels).paddedColumns
  }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let (ofHidden, ofInputs) = (plainPanels(outputSize, kernels), plainPanels(inputs, kernels))
    ofHidden.packTransposed(
      part.range(of: ofHidden.count), weights + parameters[1].offset, rowStride: cell.weightGates * units,
      rows: hiddenPanels(kernels), into: packed, kernels)
    guard hasTrainedInput else { return }
    ofInputs.packTransposed(
      part.range(of: ofInputs.count), weights + parameters[0].offset, rowStride: cell.weightGates * units,
      rows: inputPanels(kernels), into: packed + inputTransposePlace(kernels), kernels)
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    var sequence = random(0)
    let columns = cell.weightGates * units
    glorotUniform(weights + parameters[0].offset, rows: inputs, columns: columns, &sequence)
    sequence = random(1)
    orthogonal(weights + parameters[1].offset, rows: outputSize, columns: columns, &sequence, kernels)
    guard let bias = parameter(.bias) else { return }
    for gate in 0..<cell.biasGates {
      (weights + bias.offset + gate * units).update(repeating: cell.initialBias(gate: gate), count: units)
    }
  }

  // MARK: Workspace and state

  /// Hidden state, then the memory in whole blocks.
  override func statePieces(_ kernels: Kernels) -> [StatePiece] {
    let hidden = StatePiece(blocks: 1, lanes: outputSize, meaningful: outputSize)
    if !cell.hasMemory { return [hidden] }
    return [hidden, StatePiece(blocks: 1, lanes: blockCount(kernels) * kernels.lanes, meaningful: units)]
  }

  override func writeStart(_ weights: Floats, into state: MutableFloats) {
    if let hidden = parameter(.initialHidden) { state.copy(from: weights + hidden.offset, count: outputSize) }
    if let memory = parameter(.initialMemory) {
      (state + outputSize).copy(from: weights + memory.offset, count: units)
    }
  }

  /// Whether no number of a hidden state is beyond ±1.
  var isBounded: Bool { cell.isBounded && parameter(.initialHidden) == nil && !takesStates }

  /// Places in the workspace.
  struct Plan {
    let start, hidden, memory, gates, begins, inputs, factors, dHidden, dMemory, dBias, rounded, extra: Int
    let recurrentFactors, dropped, dDropped: Int
    /// Room for the products that make the gradients of weights: each worker's where its blocks are.
    let tiles: Int
    static let tilesOfBlock = 4096
    /// The gradients of the products: where the cell leaves those of its sums, unless they are others.
    let inputGates, hiddenGates: Int
    let count: Int

    init(_ layer: RecurrentLayer, steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) {
      let blocks = layer.blockCount(kernels)
      let padded = Carver.product(blocks, kernels.lanes)
      let training = mode.keepsTape
      let dropping = mode == .train && layer.dropout > 0
      let droppingStates = mode == .train && layer.recurrentDropout > 0
      let row = layer.returnsSequences ? layer.outputRow : layer.outputSize
      let memories = !layer.cell.hasMemory ? 0 : training ? steps + 1 : 1
      var plan = Carver()
      start = plan.take(batch, row)
      hidden = plan.take(layer.returnsSequences ? 0 : training ? steps : 2, batch, row)
      memory = plan.take(memories, batch, padded)
      gates = plan.take(training ? steps : 0, batch, 4, padded)
      let changed = training && layer.changesSums
      inputGates = changed ? plan.take(steps, batch, 4, padded) : gates
      hiddenGates = changed ? plan.take(steps, batch, 4, padded) : gates
      begins = plan.take(HoistedInputs.placed(layer, steps: steps, batch: batch, mode), 4, padded)
      inputs = plan.take(dropping ? steps : 0, batch, layer.inputs)
      factors = plan.take(dropping ? batch : 0, layer.inputs)
      dHidden = plan.take(training ? batch : 0, layer.outputSize)
      dMemory = plan.take(training && layer.cell.hasMemory ? batch : 0, padded)
      dBias = plan.take(training ? 4 : 0, padded)
      rounded = plan.take(RoundedFactors.count(layer, steps: steps, batch: batch, kernels))
      recurrentFactors = plan.take(droppingStates ? batch : 0, layer.outputSize)
      dropped = plan.take(droppingStates ? steps : 0, batch, row)
      dDropped = plan.take(droppingStates ? batch : 0, layer.outputSize)
      tiles = plan.take(training ? blocks : 0, Plan.tilesOfBlock)
      extra = plan.take(layer.extraCount(steps: steps, batch: batch, mode, kernels))
      count = plan.count
    }
  }

  /// Floats of workspace that a layer derived from this one needs besides.
  func extraCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int { 0 }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode, kernels).count
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

  // MARK: What is inside

  override var insides: [StaticString] { cell.insides }

  private func isGates(_ inside: Int) -> Bool { inside == cell.stateNames.count }

  override func insideShape(_ i: Int, steps: Int, otherSteps: Int) -> Shape {
    isGates(i) ? Shape(steps, cell.shownGates, units) : Shape(steps, i == 0 ? outputSize : units)
  }

  override func writeInside(
    _ i: Int, _ xs: Inputs, _ y: Signal, _ pass: Pass, shape: Shape, to sample: (Int) -> MutableFloats
  ) {
    writeInside(i, xs[0], y, pass, to: sample)
  }

  func writeInside(_ i: Int, _ x: Signal, _ y: Signal, _ pass: Pass, to sample: (Int) -> MutableFloats) {
    let loop = TimeLoop(self, x, y, pass)
    if isGates(i) { return loop.writeGates(to: sample) }
    if i == 0 { loop.writeHidden(to: sample) } else { loop.writeMemory(to: sample) }
  }

  // MARK: Products of tokens

  override func tokenProductsWidth(_ kernels: Kernels) -> Int {
    isFused && canHoistInputs && packing(kernels) == .float32 ? blockCount(kernels) * gatesWidth(kernels) : 0
  }

  override func multiplyTokens(
    _ count: Int, _ vectors: Floats, packed: Floats, into products: MutableFloats, _ kernels: Kernels
  ) {
    multiplyInputs(
      0..<blockCount(kernels), rows: count, vectors, nil, format: kernels.code(.float32), packed: packed,
      into: products, row: tokenProductsWidth(kernels), block: gatesWidth(kernels), kernels)
  }

  // MARK: What a cell of two products would do otherwise

  /// Whether a step of this worker's units is one call of the cell.
  var isFused: Bool { true }

  /// Whether the sums are more than the products and the bias, so that these have other gradients.
  var changesSums: Bool { false }

  /// Whether a step may begin with the products of the inputs.
  var canHoistInputs: Bool { true }

  /// What the first worker does before the first step.
  func begin(_ loop: TimeLoop, _ random: inout RandomSequence) {}

  /// One step of this worker's units for some rows, from row `row` of all timesteps and row `sequence` of the batch on;
  /// pointers and sizes are set. Until all have ended the step another worker may be at other rows of it.
  func advance(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int, sequence: Int) {
    cell.forward(&step, loop.kernels)
  }

  /// The same backwards.
  func retreat(_ step: inout lstm_cell_backward, _ loop: TimeLoop, row: Int, sequence: Int) {
    cell.backward(&step, loop.kernels)
  }

  /// Adds to the gradient of the hidden state what reaches it through the products of timestep t: this worker's units.
  func addHiddenGradient(_ loop: TimeLoop, _ t: Int) { loop.addHiddenGradient(t, through: cell.hidden) }

  /// Adds to the gradient of the recurrent weights, for this worker's units, the products of some rows: the gates from row
  /// `gates` on with the hidden states that they were made from.
  func accumulateRecurrent(_ loop: TimeLoop, gates: Int, _ hidden: Floats, rows: Int, _ gradient: MutableFloats) {
    loop.accumulateGates(
      loop.plan.hiddenGates, cell.hidden, gates, rows, hidden, aRow: loop.hiddenRow, count: outputSize,
      hiddenPanels(loop.kernels), gradient)
  }

  /// Adds to the gradients of what only a layer derived from this one has: this worker's units.
  func accumulateOthers(_ loop: TimeLoop, _ gradients: MutableFloats) {}
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
    guard let state = pass.state, x.rows == 1, layer.isFused else { return nil }
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
