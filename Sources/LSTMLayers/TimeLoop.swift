internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// One pass of one worker through the timesteps of a recurrent layer.
struct TimeLoop {
  let layer: RecurrentLayer
  let x: Signal
  let y: Signal
  let pass: Pass
  let kernels: Kernels
  let plan: RecurrentLayer.Plan
  let training: Bool
  /// Whether all hidden states are kept; else two take turns.
  private let keepsStates: Bool
  let hidden: MutableFloats
  /// Floats between rows of hidden states.
  let hiddenRow: Int
  /// What sequences begin with, rows as those of hidden states.
  let start: MutableFloats
  /// The states to begin with, `[batch, outputSize]` and `[batch, units]`, where other layers give them.
  private(set) var given: (hidden: MutableFloats?, memory: MutableFloats?) = (nil, nil)
  let width: Int
  /// This worker's units: panels of the gradient of the hidden state, of one block or four.
  let ownPanels: Range<Int>
  let ownBlocks: Range<Int>
  let ownUnits: Range<Int>
  /// The same of the hidden state, where units are projected to fewer numbers.
  let ownOutputPanels: Range<Int>
  let ownOutputs: Range<Int>

  init(_ layer: RecurrentLayer, _ x: Signal, _ y: Signal, _ pass: Pass) {
    (self.layer, self.x, self.y, self.pass, kernels) = (layer, x, y, pass, pass.kernels)
    plan = RecurrentLayer.Plan(layer, steps: x.steps, batch: x.batch, pass.mode, kernels)
    training = pass.mode.keepsTape
    keepsStates = training || layer.returnsSequences
    hidden = layer.returnsSequences ? y.values : pass.workspace + plan.hidden
    hiddenRow = layer.returnsSequences ? layer.outputRow : layer.outputSize
    start = pass.workspace + plan.start
    width = 4 * kernels.lanes
    let (blocks, units) = (layer.blockCount(kernels), layer.blockUnits(kernels))
    let inPanel = width / units
    ownPanels = pass.part.range(of: (blocks + inPanel - 1) / inPanel)
    ownBlocks = ownPanels.lowerBound * inPanel..<min(blocks, ownPanels.upperBound * inPanel)
    ownUnits = ownBlocks.lowerBound * units..<min(layer.units, ownBlocks.upperBound * units)
    ownOutputPanels = pass.part.range(of: (layer.outputSize + width - 1) / width)
    ownOutputs = ownOutputPanels.lowerBound * width..<min(layer.outputSize, ownOutputPanels.upperBound * width)
  }

  /// - Parameter xs: the inputs, and behind them the states to begin with if there are any.
  init(_ layer: RecurrentLayer, _ xs: Inputs, _ y: Signal, _ pass: Pass) {
    self.init(layer, xs[0], y, pass)
    if xs.count > 1 { given = (xs[1].values, xs.count > 2 ? xs[2].values : nil) }
  }

  var dHidden: MutableFloats { pass.workspace + plan.dHidden }
  private var padded: Int { layer.blockCount(kernels) * kernels.lanes }
  /// Floats of memory after a step.
  private var plane: Int { x.batch * padded }
  var isForwards: Bool { layer.direction == .forwards }

  /// The input's timestep that is taken as step `step`, and the reverse.
  func timestep(_ step: Int) -> Int { isForwards ? step : x.steps - 1 - step }

  /// The first row of the hidden states after a step.
  func hiddenRows(_ step: Int) -> Int {
    if !keepsStates { return (step & 1) * x.batch }
    return layer.direction == .backwards ? step * x.batch : x.first(timestep(step))
  }

  /// Rows of a step with what they had before it: a step's first rows were there the step before, the others begin.
  struct Before {
    let rows: Range<Int>
    /// Whether the rows begin here.
    let areNew: Bool
    /// The hidden state of the first of the rows.
    let hidden: Floats
    /// The plane of memory.
    let plane: Int
  }

  func before(_ step: Int, _ body: (Before) -> Void) {
    let rows = x.rows(at: timestep(step))
    let old = step > 0 ? min(rows, x.rows(at: timestep(step - 1))) : 0
    if old > 0 {
      body(
        Before(
          rows: 0..<old, areNew: false, hidden: hidden + hiddenRows(step - 1) * hiddenRow,
          plane: training ? step : 0))
    }
    if old < rows {
      let hidden = Floats(pass.state ?? start) + old * hiddenRow
      body(Before(rows: old..<rows, areNew: true, hidden: hidden, plane: 0))
    }
  }

  /// What the cell keeps of a row of a timestep, in this worker's first block.
  private func gates(row: Int) -> MutableFloats {
    pass.workspace + plan.gates + (ownBlocks.lowerBound * x.rows + row) * width
  }

  // MARK: Forward

  func forward() {
    let part = pass.part
    if part.isFirst {
      fillStart()
      var random = pass.random
      dropInputs(&random)
      dropStart(&random)
      layer.begin(self, &random)
    }
    // When streaming, the memory is the state's, and there is one step.
    let memory = pass.state.map { $0 + x.batch * layer.outputSize } ?? pass.workspace + plan.memory
    // A stream's lies row by row, so that one of many can be fetched at once.
    let streams = pass.state != nil
    let (memoryRow, memoryBlock) = (streams ? padded : kernels.lanes, kernels.lanes * (streams ? 1 : x.batch))
    let ownMemory = memory + ownBlocks.lowerBound * memoryBlock
    if !streams, layer.cell.hasMemory { fillMemory(ownMemory) }
    let rounded = RoundedFactors(layer, pass.workspace + plan.rounded, x, ownOutputs, kernels)
    let begins = pass.state ?? (beginsWithZeros ? nil : start)
    rounded?.begin(
      x, state: begins.map { Floats($0) }, row: pass.state == nil ? hiddenRow : nil, part)
    part.meet()

    let inputs = layer.inputs
    var step = lstm_cell_forward()
    step.format = kernels.code(layer.packing(kernels))
    (step.inputs, step.hidden, step.units) = (inputs, layer.outputSize, ownUnits.count)
    (step.x_row, step.h_row, step.h_next_row) = (inputs, hiddenRow, hiddenRow)
    step.weights_block = layer.packedDepth(kernels) * layer.inputPanels(kernels).width
    step.weights = pass.packed + ownBlocks.lowerBound * step.weights_block
    step.bias = pass.packed + layer.biasPlace(kernels) + ownBlocks.lowerBound * width
    (step.c_row, step.c_block, step.gates_block) = (memoryRow, memoryBlock, width * x.rows)
    var hoisted = HoistedInputs(self, &step)
    for s in 0..<x.steps {
      let t = timestep(s)
      let rows = x.rows(at: t)
      hoisted?.prepare(self, t, step, rounded)
      if s > 0 { part.meet() }
      let next = hidden + hiddenRows(s) * hiddenRow
      before(s) { before in
        let (row, here) = (before.rows.lowerBound, x.first(t) + before.rows.lowerBound)
        step.rows = before.rows.count
        step.x = usedInputs + here * inputs
        step.h = dropped.map { Floats($0 + here * hiddenRow) } ?? before.hidden
        step.h_own = before.hidden + ownOutputs.lowerBound
        step.mask = x.mask.map { $0 + here }
        step.c = Floats(ownMemory + before.plane * plane + row * memoryRow)
        step.c_next = ownMemory + (training ? s + 1 : 0) * plane + row * memoryRow
        step.h_next = next + row * hiddenRow + ownOutputs.lowerBound
        step.gates = training ? gates(row: here) : nil
        if let rounded {
          step.x_bytes = rounded.inputs(row: here)
          step.h_bytes = rounded.hidden(before: s, row: row, areNew: before.areNew)
        }
        hoisted?.begin(&step, self, row: here, sequence: row, next: s + 1 < x.steps ? timestep(s + 1) : nil)
        layer.advance(&step, self, row: here, sequence: row)
      }
      step.from_last ^= 1
      if let rounded, s + 1 < x.steps { rounded.keep(next, row: hiddenRow, rows: rows, after: s, part) }
      if s + 1 < x.steps { drop(next, rows: rows, before: timestep(s + 1)) }
      // Rows that end here: their state is the output.
      let going = s + 1 < x.steps ? x.rows(at: timestep(s + 1)) : 0
      if !layer.returnsSequences, going < rows { copyOwn(next, hiddenRow, going..<rows, to: y.values) }
      if going < rows { keepStates(next, ownMemory + (training ? s + 1 : 0) * plane, going..<rows) }
      if let state = pass.state {
        part.meet()
        copyOwn(next, hiddenRow, 0..<rows, to: state)
      }
    }
  }

  /// Copies this worker's units of some rows.
  func copyOwn(_ from: Floats, _ fromRow: Int, _ rows: Range<Int>, to: MutableFloats) {
    let (first, count) = (ownOutputs.lowerBound, ownOutputs.count)
    for row in rows { (to + row * layer.outputSize + first).copy(from: from + row * fromRow + first, count: count) }
  }

  /// The inputs, dropped or not.
  var usedInputs: Floats { Floats(isDropping ? pass.workspace + plan.inputs : x.values) }
  private var isDropping: Bool { pass.mode == .train && layer.dropout > 0 }

  /// Multiplies the inputs of each sequence with factors that are the same at all its steps.
  ///
  /// - Source: Gal & Ghahramani 2016; Keras's `dropout` of recurrent layers.
  private func dropInputs(_ random: inout RandomSequence) {
    guard isDropping else { return }
    let (dropped, factors) = (pass.workspace + plan.inputs, pass.workspace + plan.factors)
    drawDropout(factors, count: x.batch * layer.inputs, rate: layer.dropout, &random)
    for t in 0..<x.steps {
      let first = x.first(t) * layer.inputs
      kernels.multiply(x.rows(at: t) * layer.inputs, x.values + first, factors, dropped + first)
    }
  }

  // MARK: Backward

  func backward(dy: Floats, into dx: MutableFloats?, gradients: MutableFloats) {
    throughTime(dy)
    accumulateInputWeights(gradients + layer.parameters[0].offset)
    accumulateRecurrentWeights(gradients + layer.parameters[1].offset)
    if let bias = layer.parameter(.bias) { accumulateBias(gradients + bias.offset) }
    layer.accumulateOthers(self, gradients)
    accumulateStart(gradients)
    if let dx {
      pass.part.meet()
      inputGradient(dx)
    }
  }

  /// Turns what the cell kept into the gradients of its numbers before activation, step by step from the last.
  private func throughTime(_ dy: Floats) {
    let (dMemory, outputs) = (ownDMemory, layer.outputSize)
    let ownMemory = pass.workspace + plan.memory + ownBlocks.lowerBound * kernels.lanes * x.batch
    if layer.cell.hasMemory { dMemory.clear(ownBlocks.count * kernels.lanes * x.batch) }
    for row in 0..<x.batch {
      (dHidden + row * outputs + ownOutputs.lowerBound).clear(ownOutputs.count)
    }
    if let last = pass.states.0 { copyOwn(last, outputs, 0..<x.batch, to: dHidden) }
    if let last = pass.states.1 { copyMemory(0..<x.batch, dMemory, last, toBlocks: true) }

    var step = lstm_cell_backward()
    (step.units, step.dh_row) = (ownUnits.count, outputs)
    (step.h_row, step.h_next_row) = (hiddenRow, hiddenRow)
    (step.c_block, step.gates_block) = (kernels.lanes * x.batch, width * x.rows)
    for s in stride(from: x.steps - 1, through: 0, by: -1) {
      let t = timestep(s)
      let rows = x.rows(at: t)
      if s < x.steps - 1 {
        pass.part.meet()
        layer.addHiddenGradient(self, timestep(s + 1))
      }
      if layer.returnsSequences {
        addOwn(dy + hiddenRows(s) * hiddenRow, hiddenRow, 0..<rows)
      } else {
        let going = s + 1 < x.steps ? x.rows(at: timestep(s + 1)) : 0
        if going < rows { addOwn(dy, outputs, going..<rows) }
      }
      before(s) { before in
        let (row, here) = (before.rows.lowerBound, x.first(t) + before.rows.lowerBound)
        step.rows = before.rows.count
        step.mask = x.mask.map { $0 + here }
        step.c = Floats(ownMemory + before.plane * plane + row * kernels.lanes)
        step.c_next = Floats(ownMemory + (s + 1) * plane + row * kernels.lanes)
        step.h_own = before.hidden + ownOutputs.lowerBound
        step.gates = gates(row: here)
        step.dh = dHidden + row * outputs + ownOutputs.lowerBound
        step.dc = dMemory + row * kernels.lanes
        step.h_next = Floats(hidden + (hiddenRows(s) + row) * hiddenRow + ownOutputs.lowerBound)
        layer.retreat(&step, self, row: here, sequence: row)
      }
    }
  }

  /// Adds gradients of outputs to those of the hidden state, this worker's units.
  private func addOwn(_ dy: Floats, _ dyRow: Int, _ rows: Range<Int>) {
    if dyRow == layer.outputSize, ownOutputs.count == layer.outputSize {
      let first = rows.lowerBound * dyRow
      kernels.add(rows.count * dyRow, dy + first, to: dHidden + first)
      return
    }
    for row in rows {
      kernels.add(
        ownOutputs.count, dy + row * dyRow + ownOutputs.lowerBound,
        to: dHidden + row * layer.outputSize + ownOutputs.lowerBound)
    }
  }

  /// C = start + dGates·Wᵀ for some rows, from row `first` of all timesteps on, and some panels of C's columns.
  ///
  /// - Parameters:
  ///   - gates: their place in the workspace.
  ///   - weightVectors: vectors of a block in Wᵀ, if more than are used.
  func multiplyGates(
    _ gates: Int, _ own: Range<Int>, rows: Int, first: Int, vectors: RecurrentCell.Feed, _ weights: Floats,
    weightVectors: Int? = nil, _ columns: Panels, into c: MutableFloats, _ start: Start
  ) {
    kernels.multiplyChunks(
      own, rows: rows, depth: vectors.count * kernels.lanes, chunks: layer.blockCount(kernels),
      pass.workspace + gates + first * width + vectors.first * kernels.lanes, aRow: width,
      aChunk: x.rows * width, weights, bDepth: (weightVectors ?? vectors.count) * kernels.lanes, columns, into: c,
      cRow: columns.extent, start: start)
  }

  /// Adds Aᵀ·dGates for some rows, from row `first` of all timesteps on, to a gradient: this worker's units.
  ///
  /// - Parameter gates: their place in the workspace.
  func accumulateGates(
    _ gates: Int, _ vectors: RecurrentCell.Feed, _ first: Int, _ rows: Int, _ a: Floats, aRow: Int, count: Int,
    _ panels: Panels, _ gradient: MutableFloats
  ) {
    kernels.accumulateTransposed(
      ownBlocks, rows: count, depth: rows, a, aRow: aRow,
      pass.workspace + gates + first * width + vectors.first * kernels.lanes, bRow: width,
      bPanel: x.rows * width, panels, into: gradient, cRow: layer.cell.weightGates * layer.units,
      room: UnsafeMutableBufferPointer(
        start: pass.workspace + plan.tiles + ownBlocks.lowerBound * RecurrentLayer.Plan.tilesOfBlock,
        count: ownBlocks.count * RecurrentLayer.Plan.tilesOfBlock))
  }

  private func accumulateInputWeights(_ gradient: MutableFloats) {
    accumulateGates(
      plan.inputGates, layer.cell.inputs, 0, x.rows, usedInputs, aRow: layer.inputs, count: layer.inputs,
      layer.inputPanels(kernels), gradient)
  }

  /// A state of zeros before the first step adds nothing here. Steps whose rows lie one after the other, in
  /// gates and in hidden states, are multiplied at once.
  private func accumulateRecurrentWeights(_ gradient: MutableFloats) {
    if let dropped { return layer.accumulateRecurrent(self, gates: 0, dropped, rows: x.rows, gradient) }
    if !beginsWithZeros {
      for s in 0..<x.steps {
        let first = x.first(timestep(s))
        before(s) { before in
          if !before.areNew { return }
          layer.accumulateRecurrent(
            self, gates: first + before.rows.lowerBound, before.hidden, rows: before.rows.count, gradient)
        }
      }
    }
    var (gates, hidden, rows) = (0, 0, 0)
    for t in 0..<x.steps {
      let s = timestep(t)
      if s == 0 { continue }
      let (gatesHere, hiddenHere) = (x.first(t), hiddenRows(s - 1))
      let rowsHere = min(x.rows(at: t), x.rows(at: timestep(s - 1)))
      if gatesHere == gates + rows, hiddenHere == hidden + rows {
        rows += rowsHere
        continue
      }
      layer.accumulateRecurrent(self, gates: gates, self.hidden + hidden * hiddenRow, rows: rows, gradient)
      (gates, hidden, rows) = (gatesHere, hiddenHere, rowsHere)
    }
    layer.accumulateRecurrent(self, gates: gates, self.hidden + hidden * hiddenRow, rows: rows, gradient)
  }

  var ownDMemory: MutableFloats {
    pass.workspace + plan.dMemory + ownBlocks.lowerBound * kernels.lanes * x.batch
  }

  private func accumulateBias(_ gradient: MutableFloats) {
    let lanes = kernels.lanes
    for block in ownBlocks {
      let sums = pass.workspace + plan.dBias + block * width
      sums.clear(width)
      kernels.addColumnSums(
        rows: x.rows, width: width, pass.workspace + plan.gates + block * x.rows * width, rowStride: width, to: sums)
      layer.forEachBias(block, kernels) { (vector, first, count) in
        kernels.add(count, sums + vector * lanes, to: gradient + first)
      }
    }
  }

  private func inputGradient(_ dx: MutableFloats) {
    guard let packed = pass.packedBackward else { return }
    let columns = layer.plainPanels(layer.inputs, kernels)
    let own = pass.part.range(of: x.rows, by: 8)
    multiplyGates(
      plan.inputGates, 0..<columns.count, rows: own.count, first: own.lowerBound, vectors: layer.cell.inputs,
      packed + layer.inputTransposePlace(kernels), columns, into: dx + own.lowerBound * layer.inputs, .zero)
    guard isDropping else { return }
    // Steps, not rows, are shared here, and the others' rows are needed.
    pass.part.meet()
    for t in pass.part.range(of: x.steps) {
      let here = dx + x.first(t) * layer.inputs
      kernels.multiply(x.rows(at: t) * layer.inputs, here, pass.workspace + plan.factors, here)
    }
  }
}
