internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// The parts of `backward`: through time, to the weights, to the input.
extension RecurrentLayer {
  /// Turns the kept gates into the gradients of what goes into them, step by step from the last.
  func backwardThroughTime(_ x: Signal, dy: MutableFloats, _ pass: Pass, _ plan: Plan) {
    let kernels = pass.kernels
    let blocks = panels(kernels)
    let rowCount = x.batch * units
    let plane = x.batch * blocks.count * kernels.lanes
    let gates = pass.workspace + plan.gates
    let memory = pass.workspace + plan.memory
    let (dHidden, dMemory) = (pass.workspace + plan.dHidden, pass.workspace + plan.dMemory)
    dHidden.update(repeating: 0, count: rowCount)
    dMemory.update(repeating: 0, count: plane)

    var step = lstm_cell_backward()
    (step.rows, step.dh_row) = (x.batch, units)
    for t in stride(from: x.steps - 1, through: 0, by: -1) {
      if returnsSequences {
        kernels.add(rowCount, dy + t * rowCount, to: dHidden)
      } else if t == x.steps - 1 {
        kernels.add(rowCount, dy, to: dHidden)
      }
      step.mask = x.mask.map { $0 + timestep(t, of: x.steps) * x.batch }
      for block in 0..<blocks.count {
        let lanes = block * kernels.lanes
        step.units = blocks.valid(panel: block, vector: 0)
        step.c = Floats(memory + t * plane + lanes * x.batch)
        step.c_next = Floats(memory + (t + 1) * plane + lanes * x.batch)
        step.gates = gates + (block * x.steps + t) * x.batch * blocks.width
        step.dh = dHidden + lanes
        step.dc = dMemory + lanes * x.batch
        cell.backward(&step, kernels)
      }
      if t > 0, let weights = pass.packedBackward {
        multiplyGates(x, pass, plan, step: t, steps: 1, weights, unitPanels(kernels), into: dHidden, .accumulate)
      }
    }
  }

  /// C = start + dGates·Wᵀ for the rows of some steps.
  private func multiplyGates(
    _ x: Signal, _ pass: Pass, _ plan: Plan, step: Int, steps: Int, _ weights: Floats, _ columns: Panels,
    into c: MutableFloats, _ start: Start
  ) {
    let blocks = panels(pass.kernels)
    for block in 0..<blocks.count {
      pass.kernels.multiply(
        rows: steps * x.batch, depth: blocks.width,
        pass.workspace + plan.gates + (block * x.steps + step) * x.batch * blocks.width, aRow: blocks.width,
        weights + block * blocks.width * columns.width, packedDepth: blocks.paddedColumns, columns, into: c,
        cRow: columns.extent, start: block == 0 ? start : .accumulate)
    }
  }

  /// Steps whose inputs lie in the same order as their gates: all at once, or one by one when time runs backwards.
  private func forEachRun(_ steps: Int, _ body: (_ step: Int, _ timestep: Int, _ count: Int) -> Void) {
    guard goesBackwards else { return body(0, 0, steps) }
    for t in 0..<steps { body(t, timestep(t, of: steps), 1) }
  }

  func accumulateWeights(_ x: Signal, _ y: Signal, _ gradients: MutableFloats, _ pass: Pass, _ plan: Plan) {
    let kernels = pass.kernels
    let blocks = panels(kernels)
    let gates = pass.workspace + plan.gates
    let stepCount = x.batch * blocks.width
    let input = dropout > 0 ? pass.workspace + plan.inputs : x.values
    forEachRun(x.steps) { step, timestep, count in
      kernels.accumulateTransposed(
        rows: inputs, depth: count * x.batch, input + timestep * x.batch * inputs, aRow: inputs,
        gates + step * stepCount, bRow: blocks.width, bPanel: x.steps * stepCount, blocks,
        into: gradients + parameters[0].offset, cRow: 4 * units)
    }
    // The state before the first step is zero, so that step adds nothing here.
    kernels.accumulateTransposed(
      rows: units, depth: (x.steps - 1) * x.batch, hiddenStates(y, pass, plan), aRow: units, gates + stepCount,
      bRow: blocks.width, bPanel: x.steps * stepCount, blocks, into: gradients + parameters[1].offset,
      cRow: 4 * units)
    guard parameters.count > 2 else { return }
    let sums = pass.workspace + plan.dBias
    for block in 0..<blocks.count {
      sums.update(repeating: 0, count: blocks.width)
      kernels.addColumnSums(
        rows: x.rows, width: blocks.width, gates + block * x.steps * stepCount, rowStride: blocks.width, to: sums)
      for gate in 0..<4 {
        kernels.add(
          blocks.valid(panel: block, vector: gate), sums + gate * kernels.lanes,
          to: gradients + parameters[2].offset + blocks.column(panel: block, vector: gate))
      }
    }
  }

  func inputGradient(_ x: Signal, into dx: MutableFloats, _ pass: Pass, _ plan: Plan) {
    guard let packed = pass.packedBackward else { return }
    let weights =
      packed + unitPanels(pass.kernels).packedCount(depth: panels(pass.kernels).paddedColumns)
    let rowCount = x.batch * inputs
    forEachRun(x.steps) { step, timestep, count in
      multiplyGates(
        x, pass, plan, step: step, steps: count, weights, inputPanels(pass.kernels),
        into: dx + timestep * rowCount, .zero)
    }
    guard dropout > 0 else { return }
    for t in 0..<x.steps {
      pass.kernels.multiply(rowCount, dx + t * rowCount, pass.workspace + plan.factors, dx + t * rowCount)
    }
  }
}
