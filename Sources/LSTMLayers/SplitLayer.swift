internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// A recurrent layer whose step is not one fused kernel: first all the sums of products go to what the cell keeps, then the
/// cell's equations are applied to them, and then, if units are projected, a further product makes the hidden state:
/// h = m·P, where m [batch, units] is what the equations make, P [units, outputSize].
///
/// - Source: of the projection Sak, Senior & Beaufays 2014; PyTorch's `proj_size`.
class SplitLayer: RecurrentLayer {
  override var isFused: Bool { false }

  // MARK: Weights: peepholes `[block][3][lanes]` and the projection, behind the others

  private func peepholePlace(_ kernels: Kernels) -> Int { biasPlace(kernels) + biasCount(kernels) }
  private func peepholeCount(_ kernels: Kernels) -> Int {
    parameter(.peepholes) == nil ? 0 : Carver.product(blockCount(kernels), 3 * kernels.lanes)
  }
  private func projectionPlace(_ kernels: Kernels) -> Int { peepholePlace(kernels) + peepholeCount(kernels) }
  private var isProjected: Bool { parameter(.projectionWeights) != nil }

  override func packedCount(_ kernels: Kernels) -> Int {
    let columns = isProjected ? plainPanels(outputSize, kernels).paddedColumns : 0
    return projectionPlace(kernels) + Carver.product(units, columns)
  }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    super.pack(weights, into: packed, kernels, part)
    if let parameter = parameter(.projectionWeights) {
      let panels = plainPanels(outputSize, kernels)
      panels.pack(
        part.range(of: panels.count), rows: units, weights + parameter.offset, rowStride: outputSize, depth: units,
        into: packed + projectionPlace(kernels), kernels)
    }
    for block in part.range(of: blockCount(kernels)) {
      let at = packed + peepholePlace(kernels) + block * 3 * kernels.lanes
      if parameter(.peepholes) != nil { at.clear(3 * kernels.lanes) }
      forEachPeephole(block, kernels) { (vector, place, count) in
        (at + vector).copy(from: weights + place, count: count)
      }
    }
  }

  /// For each gate the floats of a block before its vector of peepholes, the place of its first parameter, and how many
  /// there are.
  private func forEachPeephole(_ block: Int, _ kernels: Kernels, _ body: (Int, Int, Int) -> Void) {
    guard let parameter = parameter(.peepholes) else { return }
    let (lanes, gates) = (kernels.lanes, parameter.shape[0])
    for gate in 0..<gates {
      // The output gate's is the last; coupled gates have none for the forget gate.
      let vector = gate == gates - 1 ? 2 : gate
      body(vector * lanes, parameter.offset + gate * units + block * lanes, min(lanes, units - block * lanes))
    }
  }

  /// The transpose of the projection.
  override func packedBackwardCount(_ kernels: Kernels) -> Int {
    let columns = isProjected ? plainPanels(units, kernels).paddedColumns : 0
    return super.packedBackwardCount(kernels)
      + Carver.product(columns, plainPanels(outputSize, kernels).paddedColumns)
  }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    super.packBackward(weights, into: packed, kernels, part)
    guard let parameter = parameter(.projectionWeights) else { return }
    let panels = plainPanels(units, kernels)
    panels.packTransposed(
      part.range(of: panels.count), weights + parameter.offset, rowStride: outputSize,
      rows: plainPanels(outputSize, kernels), into: packed + super.packedBackwardCount(kernels), kernels)
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    super.initialize(weights, random, kernels)
    guard let parameter = parameter(.projectionWeights) else { return }
    var sequence = random(2)
    glorotUniform(weights + parameter.offset, rows: units, columns: outputSize, &sequence)
  }

  // MARK: Workspace

  /// Places among the extra floats: the sums of one step where the cell keeps none; shares of h and c that stay, those of a
  /// row where they are the same for all; the gradient of peepholes; m, `[timestep][row][units]` in training, else of one
  /// step; zeros in the place of its state before; and the gradients of h, as m, and of m, of one step.
  private struct Extra {
    let sums, keepHidden, keepMemory, dPeepholes, projected, nothing, dOutputs, dProjected: Int
    let count: Int

    init(_ layer: SplitLayer, steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) {
      let training = mode.keepsTape
      let options = layer.cell.options
      func kept(_ rate: Double?) -> Int { (rate ?? 0) == 0 ? 0 : training ? Carver.product(steps, batch) : 1 }
      let projects = layer.isProjected
      var plan = Carver()
      sums = plan.take(training ? 0 : batch, layer.blockCount(kernels), layer.gatesWidth(kernels))
      keepHidden = plan.take(kept(options?.zoneoutHidden), layer.units)
      keepMemory = plan.take(kept(options?.zoneoutMemory), layer.units)
      dPeepholes = plan.take(training ? layer.peepholeCount(kernels) : 0)
      projected = plan.take(projects ? training ? steps : 1 : 0, batch, layer.units)
      nothing = plan.take(projects ? layer.units : 0)
      dOutputs = plan.take(projects && training ? steps : 0, batch, layer.outputSize)
      dProjected = plan.take(projects && training ? batch : 0, layer.units)
      count = plan.count
    }
  }

  override func extraCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Extra(self, steps: steps, batch: batch, mode, kernels).count
  }

  private func extra(_ loop: TimeLoop) -> (MutableFloats, Extra) {
    let places = Extra(self, steps: loop.x.steps, batch: loop.x.batch, loop.pass.mode, loop.kernels)
    return (loop.pass.workspace + loop.plan.extra, places)
  }

  // MARK: Passes

  override func begin(_ loop: TimeLoop, _ random: inout RandomSequence) {
    let (memory, places) = extra(loop)
    if isProjected { (memory + places.nothing).clear(units) }
    if loop.pass.mode.keepsTape { (memory + places.dPeepholes).clear(peepholeCount(loop.kernels)) }
    func keep(_ rate: Double?, _ shares: MutableFloats) {
      guard let rate, rate > 0 else { return }
      if loop.pass.mode == .train {
        draw(shares, count: loop.x.rows * units, rate: rate, 1, else: 0, &random)
      } else {
        shares.update(repeating: Float(rate), count: loop.training ? loop.x.rows * units : units)
      }
    }
    keep(cell.options?.zoneoutHidden, memory + places.keepHidden)
    keep(cell.options?.zoneoutMemory, memory + places.keepMemory)
  }

  /// What the cell's options are told of this worker's units, for rows from `row` of all timesteps on.
  private func point(_ options: inout lstm_cell_options, _ loop: TimeLoop, row: Int) {
    let (memory, places) = extra(loop)
    let training = loop.pass.mode.keepsTape
    options.keep_row = training ? units : 0
    let at = (training ? row * units : 0) + loop.ownUnits.lowerBound
    if let rate = cell.options?.zoneoutHidden, rate > 0 { options.keep_h = Floats(memory + places.keepHidden + at) }
    if let rate = cell.options?.zoneoutMemory, rate > 0 { options.keep_c = Floats(memory + places.keepMemory + at) }
    guard parameter(.peepholes) != nil else { return }
    let block = loop.ownBlocks.lowerBound * 3 * loop.kernels.lanes
    options.peepholes = loop.pass.packed + peepholePlace(loop.kernels) + block
    options.d_peepholes = memory + places.dPeepholes + block
  }

  override func advance(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int, sequence: Int) {
    let (memory, places) = extra(loop)
    var one = step
    if one.gates == nil {
      one.gates_block = loop.width * loop.x.batch
      one.gates = memory + places.sums + loop.ownBlocks.lowerBound * one.gates_block + sequence * loop.width
    }
    makeSums(one, loop, row: row, sequence: sequence)
    point(&one.options, loop, row: row)
    if !isProjected { return apply(&one, loop, row: row, sequence: sequence) }
    let projected = memory + places.projected + (loop.pass.mode.keepsTape ? row : sequence) * units
    (one.h_next, one.h_next_row) = (projected + loop.ownUnits.lowerBound, units)
    (one.h_own, one.h_row) = (Floats(memory + places.nothing + loop.ownUnits.lowerBound), 0)
    apply(&one, loop, row: row, sequence: sequence)
    loop.pass.part.meet()
    let panels = plainPanels(outputSize, loop.kernels)
    loop.kernels.multiply(
      loop.ownOutputPanels, rows: step.rows, depth: units, projected, aRow: units,
      loop.pass.packed + projectionPlace(loop.kernels), packedDepth: units, panels,
      into: step.h_next - loop.ownOutputs.lowerBound, cRow: step.h_next_row, start: .zero)
    guard let mask = step.mask else { return }
    for r in 0..<step.rows where mask[r] == 0 {
      (step.h_next + r * step.h_next_row).copy(from: step.h_own + r * step.h_row, count: loop.ownOutputs.count)
    }
  }

  override func retreat(_ step: inout lstm_cell_backward, _ loop: TimeLoop, row: Int, sequence: Int) {
    point(&step.options, loop, row: row)
    if !isProjected { return applyBackward(&step, loop, row: row, sequence: sequence) }
    guard let weights = loop.pass.packedBackward else { return }
    let (memory, places) = extra(loop)
    let (own, kernels) = (loop.ownOutputs, loop.kernels)
    let dOutputs = memory + places.dOutputs + row * outputSize
    for r in 0..<step.rows {
      let dh = step.dh + r * step.dh_row
      (dOutputs + r * outputSize + own.lowerBound).copy(from: dh, count: own.count)
      // In a masked row it passes by.
      if step.mask.map({ $0[r] != 0 }) ?? true { dh.clear(own.count) }
    }
    loop.pass.part.meet()
    let dProjected = memory + places.dProjected + sequence * units
    kernels.multiply(
      loop.ownPanels, rows: step.rows, depth: outputSize, dOutputs, aRow: outputSize,
      weights + super.packedBackwardCount(kernels), packedDepth: plainPanels(outputSize, kernels).paddedColumns,
      plainPanels(units, kernels), into: dProjected, cRow: units, start: .zero)
    var one = step
    (one.dh, one.dh_row) = (dProjected + loop.ownUnits.lowerBound, units)
    applyBackward(&one, loop, row: row, sequence: sequence)
  }

  /// The cell's equations, from sums: this worker's units of some rows.
  func apply(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int, sequence: Int) {
    cell.forward(&step, loop.kernels)
  }

  /// The same backwards.
  func applyBackward(_ step: inout lstm_cell_backward, _ loop: TimeLoop, row: Int, sequence: Int) {
    cell.backward(&step, loop.kernels)
  }

  override func accumulateOthers(_ loop: TimeLoop, _ gradients: MutableFloats) {
    let (memory, places) = extra(loop)
    for block in loop.ownBlocks {
      let at = memory + places.dPeepholes + block * 3 * loop.kernels.lanes
      forEachPeephole(block, loop.kernels) { (vector, place, count) in
        loop.kernels.add(count, at + vector, to: gradients + place)
      }
    }
    guard let parameter = parameter(.projectionWeights) else { return }
    let panels = plainPanels(outputSize, loop.kernels)
    loop.kernels.accumulateTransposed(
      loop.ownOutputPanels, rows: units, depth: loop.x.rows, memory + places.projected, aRow: units,
      memory + places.dOutputs, bRow: outputSize, bPanel: panels.width, panels, into: gradients + parameter.offset,
      cRow: outputSize)
  }

  /// Makes the sums of this worker's units for some rows, in `step.gates`.
  func makeSums(_ step: lstm_cell_forward, _ loop: TimeLoop, row: Int, sequence: Int) {
    guard let gates = step.gates else { return }
    let (lanes, width, rows) = (loop.kernels.lanes, loop.width, step.rows)
    for i in 0..<loop.ownBlocks.count {
      let (sums, bias) = (gates + i * step.gates_block, step.bias + i * width)
      let weights = step.weights + i * step.weights_block
      if let begin = step.begin {
        sums.copy(from: begin + i * step.begin_block, count: rows * width)
      } else {
        // The vectors in which the inputs have no part.
        let others = cell.inputs.count * lanes
        for row in 0..<rows where others < width {
          (sums + row * width + others).copy(from: bias + others, count: width - others)
        }
        loop.multiplySums(
          cell.inputs, step, rows: rows, depth: inputs, step.x, aRow: step.x_row, step.x_bytes, weights, from: bias,
          into: sums)
      }
      let below = step.begin == nil ? packing(loop.kernels).packedRows(inputs) : 0
      loop.multiplySums(
        cell.hidden, step, rows: rows, depth: step.hidden, step.h, aRow: step.h_row, step.h_bytes,
        weights + below * cell.inputs.count * lanes, from: nil, into: sums)
    }
  }
}

extension TimeLoop {
  /// Adds products to the sums of some rows of one block, in the vectors that `feed` names: A·B, on top of what is there or
  /// of a row to begin with.
  fileprivate func multiplySums(
    _ feed: RecurrentCell.Feed, _ step: lstm_cell_forward, rows: Int, depth: Int, _ a: Floats?, aRow: Int,
    _ rounded: lstm_bytes, _ b: Floats, from first: Floats?, into sums: MutableFloats
  ) {
    let lanes = kernels.lanes
    var p = lstm_product()
    (p.rows, p.depth, p.chunks, p.format) = (rows, depth, 1, step.format)
    (p.a, p.a_row, p.a_step, p.a_bytes) = (a, aRow, 1, rounded)
    (p.b, p.b_row) = (b, feed.count * lanes)
    (p.c, p.c_row) = (sums + feed.first * lanes, width)
    (p.c_vector, p.valid) = ((0, lanes, 2 * lanes, 3 * lanes), feed.valid(lanes))
    (p.start, p.first) = (UInt32(first == nil ? LSTM_FROM_C : LSTM_FROM_ROW), first)
    kernels.product(&p)
  }
}
