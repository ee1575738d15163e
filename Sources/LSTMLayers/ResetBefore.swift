internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// A GRU that resets the hidden state before the product: n = tanh(x·W + b + (r⊙h)·R). The candidate needs all of r⊙h, so a
/// step takes two products, one after the other, and is not fused.
///
/// - Source: Cho et al. 2014.
final class ResetBeforeLayer: RecurrentLayer {
  /// Of the four vectors n r z m: m stays zero, and then the kernel's equations are those of this cell.
  private var candidate: RecurrentCell.Feed { RecurrentCell.Feed(first: 0, count: 1, gates: [2, 0, 0, 0]) }
  private var resetAndUpdate: RecurrentCell.Feed { RecurrentCell.Feed(first: 1, count: 2, gates: [1, 0, 0, 0]) }

  /// Places among the extra floats: r before activation and r⊙h, `[timestep][row][units]` in training, else of one step;
  /// the gradient of r⊙h; what the kernel begins with when the cell keeps nothing.
  private struct Extra {
    let reset, product, dProduct, gates: Int
    let count: Int

    init(_ layer: ResetBeforeLayer, steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) {
      let training = mode.keepsTape
      var plan = Carver()
      reset = plan.take(training ? steps : 1, batch, layer.units)
      product = plan.take(training ? steps : 1, batch, layer.units)
      dProduct = plan.take(training ? batch : 0, layer.units)
      gates = plan.take(training ? 0 : batch, layer.blockCount(kernels), layer.gatesWidth(kernels))
      count = plan.count
    }
  }

  override var isFused: Bool { false }
  override var canHoistInputs: Bool { false }

  /// Its products are many small ones, made apart.
  override func packing(_ kernels: Kernels) -> WeightFormat { .float32 }

  override func extraCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Extra(self, steps: steps, batch: batch, mode, kernels).count
  }

  private func extra(_ loop: TimeLoop) -> (MutableFloats, Extra) {
    let places = Extra(self, steps: loop.x.steps, batch: loop.x.batch, loop.pass.mode, loop.kernels)
    return (loop.pass.workspace + loop.plan.extra, places)
  }

  override func advance(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int, sequence: Int) {
    let (memory, places) = extra(loop)
    let lanes = loop.kernels.lanes
    let width = 4 * lanes
    let row = loop.pass.mode.keepsTape ? row : sequence
    var one = step
    if one.gates == nil {
      one.gates_block = width * loop.x.batch
      one.gates = memory + places.gates + loop.ownBlocks.lowerBound * one.gates_block + sequence * width
    }
    let (reset, product) = (memory + places.reset + row * units, memory + places.product + row * units)
    for (i, block) in loop.ownBlocks.enumerated() {
      guard let gates = one.gates.map({ $0 + i * one.gates_block }) else { return }
      let (first, valid) = (block * lanes, min(lanes, units - block * lanes))
      let weights = one.weights + i * one.weights_block
      for r in 0..<one.rows { (gates + r * width + 3 * lanes).clear(lanes) }
      var p = lstm_product()
      (p.rows, p.chunks, p.a_step, p.b_row) = (one.rows, 1, 1, 3 * lanes)
      (p.c_row, p.c_vector) = (width, (0, lanes, 2 * lanes, 0))
      (p.depth, p.a, p.a_row, p.b, p.c) = (inputs, one.x, one.x_row, weights, gates)
      (p.start, p.first, p.valid) = (UInt32(LSTM_FROM_ROW), one.bias + i * width, (lanes, lanes, lanes, 0))
      loop.kernels.product(&p)
      (p.depth, p.a, p.a_row, p.b) = (units, one.h, one.h_row, weights + inputs * 3 * lanes)
      (p.start, p.c, p.valid) = (UInt32(LSTM_FROM_C), gates + lanes, (lanes, lanes, 0, 0))
      loop.kernels.product(&p)
      for r in 0..<one.rows {
        let at = r * units + first
        (reset + at).copy(from: gates + r * width + lanes, count: valid)
        activateReset(loop.kernels, valid, reset + at, product + at)
        loop.kernels.multiply(valid, product + at, one.h + r * one.h_row + first, product + at)
      }
    }
    loop.pass.part.meet()
    for i in 0..<loop.ownBlocks.count {
      var p = lstm_product()
      (p.rows, p.chunks, p.a_step, p.b_row) = (one.rows, 1, 1, 3 * lanes)
      (p.depth, p.a, p.a_row) = (units, Floats(product), units)
      p.b = one.weights + i * one.weights_block + (3 * inputs + 2) * lanes
      p.c = one.gates.map { $0 + i * one.gates_block }
      (p.c_row, p.valid) = (width, (lanes, 0, 0, 0))
      p.start = UInt32(LSTM_FROM_C)
      loop.kernels.product(&p)
    }
    (one.inputs, one.hidden, one.begin) = (0, 0, Floats(one.gates))
    (one.begin_row, one.begin_block) = (width, one.gates_block)
    one.gates = step.gates
    cell.forward(&one, loop.kernels)
  }

  private func activateReset(_ kernels: Kernels, _ count: Int, _ x: Floats, _ y: MutableFloats) {
    kernels.activate((cell as? GRUCell)?.resetActivation ?? 0, count, x, y)
  }

  override func retreat(_ step: inout lstm_cell_backward, _ loop: TimeLoop, row: Int, sequence: Int) {
    cell.backward(&step, loop.kernels)
    guard let weights = loop.pass.packedBackward else { return }
    let (memory, places) = extra(loop)
    let kernels = loop.kernels
    let (lanes, width) = (kernels.lanes, 4 * kernels.lanes)
    let dProduct = memory + places.dProduct
    loop.pass.part.meet()
    let columns = plainPanels(units, kernels)
    loop.multiplyGates(
      loop.plan.gates, loop.ownPanels, rows: step.rows, first: row, vectors: candidate,
      weights + 2 * lanes * columns.width,
      weightVectors: 3, columns, into: dProduct, .zero)
    for (i, block) in loop.ownBlocks.enumerated() {
      let (first, valid) = (block * lanes, min(lanes, units - block * lanes))
      for r in 0..<step.rows {
        let at = r * units + first
        let reset = memory + places.reset + (row + r) * units + first
        guard let gates = step.gates.map({ $0 + i * step.gates_block + r * width }) else { return }
        // r is made again, in the place of the gradient that it has then been multiplied with.
        let (active, slope) = (gates + 3 * lanes, gates + lanes)
        activateReset(kernels, valid, reset, active)
        let before = loop.dropped.map { Floats($0 + (row + r) * loop.hiddenRow + first) }
        kernels.multiply(valid, dProduct + at, before ?? step.h_own + r * step.h_row + i * lanes, slope)
        kernels.activateBackward(
          (cell as? GRUCell)?.resetActivation ?? 0, valid, x: reset, y: active, dy: slope, dx: slope)
        kernels.multiply(valid, dProduct + at, active, active)
        if loop.dropped != nil {
          kernels.multiply(valid, active, loop.recurrentFactors + (sequence + r) * units + first, active)
        }
        kernels.add(valid, active, to: step.dh + r * step.dh_row + i * lanes)
        active.clear(lanes)
      }
    }
  }

  override func addHiddenGradient(_ loop: TimeLoop, _ t: Int) {
    loop.addHiddenGradient(t, through: resetAndUpdate, weightVectors: 3)
  }

  override func accumulateRecurrent(
    _ loop: TimeLoop, gates: Int, _ hidden: Floats, rows: Int, _ gradient: MutableFloats
  ) {
    let lanes = loop.kernels.lanes
    loop.accumulateGates(
      loop.plan.gates, resetAndUpdate, gates, rows, hidden, aRow: loop.hiddenRow, count: units,
      Panels(units: units, gates: resetAndUpdate.gates, vectors: 2, lanes: lanes), gradient)
    let (memory, places) = extra(loop)
    loop.accumulateGates(
      loop.plan.gates, candidate, gates, rows, memory + places.product + gates * units, aRow: units, count: units,
      Panels(units: units, gates: candidate.gates, vectors: 1, lanes: lanes), gradient)
  }
}
