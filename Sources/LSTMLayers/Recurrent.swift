internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The time loop for any cell with four gates: input and recurrent products, masks, direction, dropout of the inputs,
/// state between calls, and the gradients of all weights.
///
/// - Shapes: x [batch, timesteps, inputs]; input_weights [inputs, 4·units], recurrent_weights [units, 4·units], bias
///   [4·units]; y [batch, units], or [batch, timesteps, units] when it returns sequences.
/// - Padding: a masked step leaves state and output as they were (zero at the start).
/// - Layout: hidden states `[step][row][units]`; per block of `lanes` units, memory `[block][row][lanes]` and gates
///   `[block][step][row][4][lanes]`, which is the panel that the weight gradients multiply with. Steps are counted in
///   the order in which they are taken, which for `go_backwards` is from the last.
final class RecurrentLayer<Cell: RecurrentCell>: Layer {
  let cell: Cell
  let inputs: Int
  let units: Int
  let returnsSequences: Bool
  let goesBackwards: Bool
  let dropout: Double

  private init(
    _ cell: Cell, name: String, outputShape: Shape, parameters: [Parameter], goesBackwards: Bool, dropout: Double
  ) {
    self.cell = cell
    (inputs, units) = (parameters[0].shape[0], parameters[1].shape[0])
    (returnsSequences, self.goesBackwards, self.dropout) = (outputShape.rank > 1, goesBackwards, dropout)
    super.init(name: name, outputShape: outputShape, parameters: parameters)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let units = try fields.integer("units", 1...Fields.unlimited)
    let cell = try Cell.read(fields)
    let hasBias = try fields.boolean("use_bias", default: true)
    let returnsSequences = try fields.boolean("return_sequences", default: false)
    let goesBackwards = try fields.boolean("go_backwards", default: false)
    let dropout = try readRate(fields, "dropout", default: 0)
    let shape = try model.values(rank: 2)
    guard shape.rank == 2 else {
      throw .argument("\(fields.path): expected an input of shape [timesteps, features], got \(shape.text)")
    }
    let columns = try Size.product(4, units)
    var parameters = [
      try model.parameter("input_weights", Shape(shape[1], columns)),
      try model.parameter("recurrent_weights", Shape(units, columns)),
    ]
    if hasBias { parameters.append(try model.parameter("bias", Shape(columns))) }
    try model.append(
      RecurrentLayer(
        cell, name: model.name, outputShape: returnsSequences ? Shape(shape[0], units) : Shape(units),
        parameters: parameters, goesBackwards: goesBackwards, dropout: dropout))
  }

  override func outputSteps(_ steps: Int) -> Int { returnsSequences ? steps : 1 }
  override var isCausal: Bool { !goesBackwards }
  override var allowsTrimming: Bool { !(goesBackwards && returnsSequences) }

  // MARK: Weights

  func panels(_ kernels: Kernels) -> Panels { Panels(units: units, lanes: kernels.lanes) }

  /// `[block][inputs + units][4][lanes]`, then the bias `[block][4][lanes]`.
  override func packedCount(_ kernels: Kernels) -> Int {
    Carver.product(inputs + units + 1, panels(kernels).paddedColumns)
  }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels) {
    let panels = panels(kernels)
    let columns = 4 * units
    let depth = inputs + units
    panels.pack(rows: inputs, weights + parameters[0].offset, rowStride: columns, depth: depth, into: packed)
    panels.pack(
      rows: units, weights + parameters[1].offset, rowStride: columns, at: inputs, depth: depth, into: packed)
    let bias = packed + panels.packedCount(depth: depth)
    if parameters.count > 2 {
      panels.pack(rows: 1, weights + parameters[2].offset, rowStride: columns, depth: 1, into: bias)
    } else {
      bias.update(repeating: 0, count: panels.paddedColumns)
    }
  }

  func inputPanels(_ kernels: Kernels) -> Panels { Panels(columns: inputs, lanes: kernels.lanes) }
  func unitPanels(_ kernels: Kernels) -> Panels { Panels(columns: units, lanes: kernels.lanes) }

  /// The transposes of the recurrent and of the input weights, their rows in the order of the gates' layout.
  override func packedBackwardCount(_ kernels: Kernels) -> Int {
    Carver.product(
      panels(kernels).paddedColumns, unitPanels(kernels).paddedColumns + inputPanels(kernels).paddedColumns)
  }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels) {
    let rows = panels(kernels)
    let recurrent = unitPanels(kernels)
    recurrent.packTransposed(weights + parameters[1].offset, rowStride: 4 * units, rows: rows, into: packed)
    inputPanels(kernels).packTransposed(
      weights + parameters[0].offset, rowStride: 4 * units, rows: rows,
      into: packed + recurrent.packedCount(depth: rows.paddedColumns))
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    var sequence = random(0)
    glorotUniform(weights + parameters[0].offset, rows: inputs, columns: 4 * units, &sequence)
    sequence = random(1)
    orthogonal(weights + parameters[1].offset, rows: units, columns: 4 * units, &sequence, kernels)
    guard parameters.count > 2 else { return }
    for gate in 0..<4 {
      (weights + parameters[2].offset + gate * units).update(repeating: cell.initialBias(gate: gate), count: units)
    }
  }

  // MARK: Workspace and state

  /// Hidden state, then the memory in whole blocks.
  override func statePieces(_ kernels: Kernels) -> [(count: Int, meaningful: Int)] {
    [(units, units), (panels(kernels).count * kernels.lanes, units)]
  }

  /// Places in the workspace.
  struct Plan {
    let zeros, hidden, memory, gates, inputs, factors, dHidden, dMemory, dBias: Int
    let count: Int

    init(_ layer: RecurrentLayer, steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) {
      let blocks = layer.panels(kernels)
      let padded = blocks.count * kernels.lanes
      let training = mode == .train
      let dropping = training && layer.dropout > 0
      var plan = Carver()
      zeros = plan.take(batch, layer.units)
      hidden = plan.take(layer.returnsSequences ? 0 : training ? steps : 2, batch, layer.units)
      memory = plan.take(training ? steps + 1 : 1, batch, padded)
      gates = plan.take(training ? steps : 0, batch, blocks.paddedColumns)
      inputs = plan.take(dropping ? steps : 0, batch, layer.inputs)
      factors = plan.take(dropping ? batch : 0, layer.inputs)
      dHidden = plan.take(training ? batch : 0, layer.units)
      dMemory = plan.take(training ? batch : 0, padded)
      dBias = plan.take(training ? blocks.width : 0)
      count = plan.count
    }
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode, kernels).count
  }

  override var changesMask: Bool { goesBackwards && returnsSequences }

  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    guard returnsSequences, let mask = x.mask else { return nil }
    guard goesBackwards else { return mask }
    for step in 0..<x.steps {
      (memory + step * x.batch).update(from: mask + (x.steps - 1 - step) * x.batch, count: x.batch)
    }
    return UnsafePointer(memory)
  }

  // MARK: Forward

  /// The input's timestep that is taken as step `step`.
  func timestep(_ step: Int, of steps: Int) -> Int { goesBackwards ? steps - 1 - step : step }

  /// The hidden states of the steps so far: the output itself, or the workspace.
  func hiddenStates(_ y: Signal, _ pass: Pass, _ plan: Plan) -> MutableFloats {
    returnsSequences ? y.values : pass.workspace + plan.hidden
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let kernels = pass.kernels
    let blocks = panels(kernels)
    let plan = Plan(self, steps: x.steps, batch: x.batch, pass.mode, kernels)
    let rowCount = x.batch * units
    let plane = x.batch * blocks.count * kernels.lanes
    let training = pass.mode == .train
    let hidden = hiddenStates(y, pass, plan)
    // Without a use for all of them, two hidden states take turns.
    let keeps = training || returnsSequences
    let input = droppedInputs(x, pass, plan)
    let zeros = pass.workspace + plan.zeros
    zeros.update(repeating: 0, count: rowCount)
    var previous = Floats(pass.state ?? zeros)
    var memory = pass.state.map { $0 + units } ?? pass.workspace + plan.memory
    if pass.state == nil { memory.update(repeating: 0, count: plane) }

    var step = lstm_cell_forward()
    (step.rows, step.inputs, step.hidden) = (x.batch, inputs, units)
    (step.x_row, step.h_row, step.h_next_row) = (inputs, units, units)
    for t in 0..<x.steps {
      let next = hidden + (keeps ? t : t & 1) * rowCount
      let nextMemory = training ? memory + plane : memory
      let source = timestep(t, of: x.steps)
      step.x = input + source * x.batch * inputs
      step.h = previous
      step.mask = x.mask.map { $0 + source * x.batch }
      for block in 0..<blocks.count {
        let lanes = block * kernels.lanes
        step.units = blocks.valid(panel: block, vector: 0)
        step.h_own = previous + lanes
        step.weights = pass.packed + block * (inputs + units) * blocks.width
        step.bias = pass.packed + blocks.packedCount(depth: inputs + units) + block * blocks.width
        step.c = Floats(memory + lanes * x.batch)
        step.c_next = nextMemory + lanes * x.batch
        step.h_next = next + lanes
        step.gates =
          training ? pass.workspace + plan.gates + (block * x.steps + t) * x.batch * blocks.width : nil
        cell.forward(&step, kernels)
      }
      previous = Floats(next)
      memory = nextMemory
    }
    if !returnsSequences { y.values.update(from: previous, count: rowCount) }
    pass.state?.update(from: previous, count: rowCount)
  }

  /// The inputs, those of each sequence multiplied with factors that are the same at all its steps.
  ///
  /// - Source: Gal & Ghahramani 2016; Keras's `dropout` of recurrent layers.
  private func droppedInputs(_ x: Signal, _ pass: Pass, _ plan: Plan) -> Floats {
    guard pass.mode == .train, dropout > 0 else { return Floats(x.values) }
    let (dropped, factors) = (pass.workspace + plan.inputs, pass.workspace + plan.factors)
    let rowCount = x.batch * inputs
    drawDropout(factors, count: rowCount, rate: dropout, pass.random)
    for t in 0..<x.steps {
      pass.kernels.multiply(rowCount, x.values + t * rowCount, factors, dropped + t * rowCount)
    }
    return Floats(dropped)
  }

  // MARK: Backward

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    let plan = Plan(self, steps: x.steps, batch: x.batch, .train, pass.kernels)
    backwardThroughTime(x, dy: dy, pass, plan)
    accumulateWeights(x, y, gradients, pass, plan)
    if let dx { inputGradient(x, into: dx, pass, plan) }
  }
}
